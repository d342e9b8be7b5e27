"""What goes on the wire for a call: URIs and headers, made from the call, its message and the trunk. Pure."""

import re
from dataclasses import dataclass, replace

from sip import uri
from sip.causes import Cause
from sip.commands import AfterScript, Dial
from sip.events import Trace
from sip.trunk import Trunk, TrunkUri
from voice.calls import Call, Ending
from voice.messages import Message, SandboxScript, Script

SANDBOX_HEADER = "X-Tocsin-Sandbox"

_SIP_CALL_ID = re.compile(r"^(?:call-id|i)[ \t]*:[ \t]*([^\s]{1,255})", re.IGNORECASE | re.MULTILINE)


class CannotDial(Exception):
    """This call cannot leave by this trunk, and no other try will change that."""

    def __init__(self, cause: Cause, why: str) -> None:
        super().__init__(why)
        self.cause = cause


@dataclass(frozen=True, slots=True)
class Invite:
    """URIs and headers by sip.uri, and the two numbers as the record shows them."""

    call_id: str
    uri: str
    from_uri: str
    headers: tuple[tuple[str, str], ...]
    wire_to: str
    wire_from: str

    def dial(self, script: Script, trunk: Trunk, audio: str, then: AfterScript, record: str | None) -> Dial:
        return Dial(
            call_id=self.call_id,
            uri=self.uri,
            from_uri=self.from_uri,
            audio=audio,
            headers=self.headers,
            pause_ms=script.pause_ms,
            repeat=script.repeat,
            then=then,
            ring_timeout_s=script.ring_timeout_s,
            max_duration_s=script.max_duration_s,
            rtp_timeout_s=trunk.rtp.timeout_s,
            record=record,
        )


def invite_for(call: Call, message: Message, trunk: Trunk) -> Invite:
    """Raises CannotDial: the number or the caller id does not fit the trunk, or a header may not be written."""
    try:
        request_uri = uri.request_uri(call.to_number, trunk, _target(trunk.uris))
        wire_to = uri.wire_number(call.to_number, trunk.number_format)
    except uri.UriError as no:
        raise CannotDial(Cause.INVALID_NUMBER, str(no)) from no
    try:
        from_uri = uri.from_uri(call.from_number, trunk)
        wire_from = uri.wire_caller_id(call.from_number, trunk)
    except uri.UriError as no:
        raise CannotDial(Cause.CALLER_ID_UNVERIFIED, str(no)) from no
    script = message.script.sandbox
    more = ((SANDBOX_HEADER, sandbox_header(script)),) if script and trunk.sandbox else ()
    try:
        headers = uri.headers(call.call_id, trunk, more, caller=call.from_number)
    except uri.UriError as no:
        raise CannotDial(Cause.POISON, str(no)) from no
    return Invite(call.call_id, request_uri, from_uri, headers, wire_to, wire_from)


def _target(uris: tuple[TrunkUri, ...]) -> TrunkUri:
    enabled = [one for one in uris if one.enabled] or list(uris)
    return min(enabled, key=lambda one: (one.priority, -one.weight))


def sandbox_header(script: SandboxScript) -> str:
    """What the catch-all phone shall do: `answer_after=2;press=1@3s;hangup_after=10`."""
    asked = {"answer_after": script.answer_after, "press": script.press, "hangup_after": script.hangup_after}
    return ";".join(
        f"{name}={value:g}" if isinstance(value, float | int) else f"{name}={value}"
        for name, value in asked.items()
        if value is not None
    )


def with_sip_call_id(ending: Ending, traces: list[Trace]) -> Ending:
    """The SIP Call-ID as it stood on the wire, for the trunk's records."""
    found = next((found[1] for trace in traces if (found := _SIP_CALL_ID.search(trace.text))), None)
    if found is None or ending.sip is None:
        return ending
    return replace(ending, sip=replace(ending.sip, call_id=found))
