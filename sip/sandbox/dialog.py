"""The phone's side of a dialog (RFC 3261 section 12): whom its own requests are addressed to, and where they go."""

from collections.abc import Iterable

from sip.sandbox import messages, sdp
from sip.sandbox.messages import Address, Request


class Dialog:
    """Made from the INVITE as its callee."""

    def __init__(self, invite: Request, source: Address) -> None:
        self._invite = invite
        self._source = source
        self._routes = invite.headers.all("record-route")
        self._target = _contact(invite) or f"sip:{source[0]}:{source[1]}"

    def retarget(self, request: Request) -> None:
        """A re-INVITE or UPDATE may name a new contact (section 12.2.2)."""
        self._target = _contact(request) or self._target

    def next_hop(self) -> Address:
        """The first route, else the contact; where they are no loopback address, whence the INVITE came.

        Nothing of this phone ever leaves the machine, whatever a message says.
        """
        uri = messages.address_uri(self._routes[0]) if self._routes else self._target
        address = messages.uri_address(uri)
        return address if address is not None and sdp.is_loopback(address[0]) else self._source

    def request(
        self, method: str, cseq: int, branch: str, tag: str, here: Address, headers: Iterable[tuple[str, str]]
    ) -> bytes:
        """A request inside the dialog, as bytes; `tag` is ours."""
        caller, called = self._invite.headers.get("from") or "", self._invite.headers.get("to") or ""
        rows = [
            ("Via", f"SIP/2.0/UDP {here[0]}:{here[1]};branch={branch};rport"),
            *(("Route", route) for route in self._routes),
            ("Max-Forwards", "70"),
            ("From", f"{called};tag={tag}"),
            ("To", caller),
            ("Call-ID", self._invite.call_id),
            ("CSeq", f"{cseq} {method}"),
            *headers,
        ]
        return messages.write(f"{method} {self._target} SIP/2.0", rows)


def _contact(request: Request) -> str | None:
    contacts = request.headers.all("contact")
    uri = messages.address_uri(contacts[0]) if contacts else ""
    return uri if uri.lower().startswith(("sip:", "sips:")) and not any(c.isspace() for c in uri) else None
