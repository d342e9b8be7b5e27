"""One SIPp that plays every far end of the outcome table: the called number says which.

The last five digits of the number choose a branch of one scenario, because one process with a hundred branches costs
less than a hundred processes. `BRANCHES` maps those digits to steps of a scenario, from the INVITE on.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from tests.sipp import pause, recv, scenario, send

_INVITE_CSEQ = "CSeq: [last_cseq_number] INVITE"  # of an answer to the INVITE while the last request was a CANCEL
_OK, _GONE = "200 OK", "481 Call Does Not Exist"
_TERMINATED = "487 Request Terminated"
CHALLENGE = 'Digest realm="carrier", nonce="47364c23432d2e131a5fb210812c", algorithm=MD5'

ANNOUNCES_MS = 10_000  # seven times a tone's length: a busy machine tears some of them
SESSION_S = 90  # RFC 4028 section 4 allows no less: we ask after 45 s, and hang up after 60 s without a word

Steps = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Ears:
    """Ports behind the SDP: one that talks back, one that says nothing, one for each call that is announced."""

    talking: int
    mute: int
    announcing: Mapping[str, int]  # by the name of the row


def carrier(branches: Mapping[int, Steps]) -> str:
    """The scenario."""
    choices = [_choice(number) for number in branches]
    blocks = [step for number, steps in branches.items() for step in _block(number, steps)]
    said = "".join(blocks)
    used = ",".join(["number", "digits", "contact", *(name for name in _NOTED if f'assign_to="{name}' in said)])
    # SIPp refuses a variable that nobody uses, and one that is not there.
    last = '<label id="end"/>', "<nop/>", f'<Reference variables="{used}"/>'
    return scenario(_READ_INVITE, *choices, '<nop next="end"/>', *blocks, *last)


_READ_INVITE = """<recv request="INVITE" crlf="true"><action>
<ereg regexp="sip:[^&gt;]*" search_in="hdr" header="Contact:" assign_to="contact"/>
<ereg regexp="234802[0-9][0-9]([0-9]+)" search_in="hdr" header="To:" assign_to="number,digits"/>
<todouble assign_to="row" variable="digits"/>
</action></recv>"""
_NOTED = ("via", "cseq", "caller", "callee")


def _choice(number: int) -> str:
    test = f'<test assign_to="hit" variable="row" compare="equal" value="{number}"/>'
    return f'<nop next="row{number}" test="hit"><action>{test}</action></nop>'


def _block(number: int, steps: Steps) -> Steps:
    return f'<label id="row{number}"/>', *steps, '<nop next="end"/>'


# -- parts

_ACK = recv("ACK")
_NOTE_PARTIES = """<recv request="ACK" crlf="true"><action>
<ereg regexp=".*" search_in="hdr" header="From:" assign_to="caller"/>
<ereg regexp=".*" search_in="hdr" header="To:" assign_to="callee"/>
</action></recv>"""
_NOTE_BYE = """<recv request="BYE" crlf="true"><action>
<ereg regexp=".*" search_in="hdr" header="Via:" assign_to="via"/>
<ereg regexp=".*" search_in="hdr" header="CSeq:" assign_to="cseq"/>
</action></recv>"""
_ANSWER_NOTED_BYE = """<send><![CDATA[

SIP/2.0 200 OK
Via:[$via]
From:[$caller]
To:[$callee]
[last_Call-ID:]
CSeq:[$cseq]
Content-Length: 0

]]></send>"""
_BYE = """<send retrans="500"><![CDATA[

BYE [$contact] SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
From:[$callee]
To:[$caller]
[last_Call-ID:]
CSeq: 7 BYE
Max-Forwards: 70
{headers}
Content-Length: 0

]]></send>"""


def _reply(status: str, *headers: str) -> str:
    """Inside the dialog, where To has its tag already."""
    return send(status, *headers).replace("[last_To:];tag=[call_number]", "[last_To:]")


def _takes_bye() -> Steps:
    return recv("BYE"), _reply(_OK)


def _picks_up(port: int, *headers: str, codec: int = 8) -> str:
    return send(_OK, *headers, sdp_port=port, codec=codec)


# -- far ends


def refuses(status: str, *headers: str, after_ms: int = 0) -> Steps:
    return pause(after_ms), send(status, *headers), _ACK


def refuses_after(first: str, status: str, sdp_port: int | None = None) -> Steps:
    return send(first, sdp_port=sdp_port), pause(100), send(status), _ACK


def announces(status: str, sdp_port: int) -> Steps:
    """The tone comes again and again before the answer."""
    return send("183 Session Progress", sdp_port=sdp_port), pause(ANNOUNCES_MS), send(status), _ACK


def says_nothing() -> Steps:
    return (pause(20_000),)


def only_tries(first: str, sdp_port: int | None = None) -> Steps:
    """A 1xx, then nothing until we give up."""
    return send(first, sdp_port=sdp_port), recv("CANCEL"), _reply(_OK), send(_TERMINATED, cseq=_INVITE_CSEQ), _ACK


def ignores_the_cancel() -> Steps:
    """The CANCEL is answered, the INVITE never."""
    return send("180 Ringing"), recv("CANCEL"), _reply(_OK), pause(10_000)


def refuses_while_cancelled(status: str) -> Steps:
    """The refusal crosses our CANCEL."""
    return send("180 Ringing"), recv("CANCEL"), send(status, cseq=_INVITE_CSEQ), _reply(_GONE), _ACK


def answers_while_cancelled(port: int) -> Steps:
    """The 200 crosses our CANCEL."""
    return (
        send("180 Ringing"),
        recv("CANCEL"),
        send(_OK, sdp_port=port, cseq=_INVITE_CSEQ),
        _reply(_GONE),
        _ACK,
        *_takes_bye(),
    )


def answers(port: int, first: str = "180 Ringing", codec: int = 8) -> Steps:
    return send(first), _picks_up(port, codec=codec), _ACK, *_takes_bye()


def answers_early_media(port: int) -> Steps:
    return send("183 Session Progress", sdp_port=port), pause(200), _picks_up(port), _ACK, *_takes_bye()


def answers_without_sdp() -> Steps:
    return send("180 Ringing"), send(_OK), _ACK, *_takes_bye()


def answers_and_hangs_up(port: int, after_ms: int, *headers: str) -> Steps:
    return (
        _picks_up(port),
        _NOTE_PARTIES,
        pause(after_ms),
        _BYE.format(headers="\n".join(headers) or "Subject: -"),
        '<recv response="200"/>',
    )


def says_bye_too(port: int) -> Steps:
    """Our BYE crosses theirs."""
    bye = _BYE.format(headers="Subject: -")
    told = '<recv response="200" optional="true" next="end"/>', '<recv response="481"/>'
    return _picks_up(port), _NOTE_PARTIES, _NOTE_BYE, bye, _ANSWER_NOTED_BYE, *told


def knows_no_bye(port: int) -> Steps:
    return _picks_up(port), _ACK, recv("BYE"), _reply(_GONE)


def never_answers_bye(port: int) -> Steps:
    return _picks_up(port), _ACK, recv("BYE"), pause(5000)


def on_refresh(port: int, status: str) -> Steps:
    """We refresh the session when half of it is over, and this is the answer."""
    expires = f"Session-Expires: {SESSION_S};refresher=uac"
    return _picks_up(port, expires, "Require: timer"), _ACK, recv("INVITE"), _reply(status), _ACK, *_takes_bye()


def forgets_to_refresh(port: int) -> Steps:
    """They promise to refresh the session, and never do."""
    return _picks_up(port, f"Session-Expires: {SESSION_S};refresher=uas", "Require: timer"), _ACK, *_takes_bye()


def asks_for_a_login(status: str, header: str, times: int) -> Steps:
    asked = (send(status, f"{header}: {CHALLENGE}"), _ACK)
    again = (recv("INVITE"), *asked)
    return *asked, *(again * (times - 1)), pause(3000)


def trying_then(status: str, after_ms: int) -> Steps:
    return send("100 Trying"), pause(after_ms), send(status), _ACK
