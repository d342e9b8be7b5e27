"""Which numbers an account may show. Pure."""

import ipaddress
from collections.abc import Sequence

from sip.trunk import Trunk

# Reserved for fiction: good for the catch-all phone and a laboratory, never shown to a person.
FICTIONAL = "12025550199"


def caller_ids(own: Sequence[str], trunks: Sequence[Trunk], *, sandbox: bool) -> tuple[str, ...]:
    """The account's own list; without one, what its trunks say is ours; empty when nobody said anything.

    A trunk may restrict the list further (`sip.uri.from_uri` refuses the rest). On loopback nobody can be deceived, so
    there a fictional number will do.
    """
    live = [trunk for trunk in trunks if trunk.enabled and not trunk.sandbox]
    shown = tuple(dict.fromkeys(number for trunk in live for number in trunk.caller_ids))
    if sandbox:
        return tuple(own) or (FICTIONAL,)
    if own:
        allowed = tuple(number for number in own if not shown or number in shown)
        return allowed or tuple(own)
    if shown:
        return shown
    return (FICTIONAL,) if live and all(_is_laboratory(trunk) for trunk in live) else ()


def _is_laboratory(trunk: Trunk) -> bool:
    return all(_is_loopback(uri.host) for uri in trunk.uris)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
