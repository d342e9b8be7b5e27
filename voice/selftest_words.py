"""What a step of a trunk's self-test saw -> the step, with what to do about it in words. Pure."""

import re
from collections.abc import Iterable

from sip.causes import Cause
from sip.commands import Why
from sip.events import Ended, Origin, Phase, Registered, RegistrationState, Trace
from sip.outcomes import PACKET_MS, judge
from sip.probing import Obstacle, WayError
from sip.trunk import DtmfWay, OptionsPing, Transport, Trunk
from voice.explain import explain
from voice.health import NOBODY_THERE
from voice.obstacles import seen_and_fix
from voice.selftest import Step, StepName, Verdict

LEFT_SHARE = 0.9  # fewer packets than this share of the tone: our own sound did not leave
LOSS_MOST_PCT = 3.0  # above it words get holes (ITU-T G.113: R falls by about ten)


def of_way(name: StepName, error: WayError, trunk: Trunk, host: str, port: int, ms: int) -> Step:
    what, fix = seen_and_fix(error, trunk, host, port)
    return Step(name, Verdict.FAILED, what, fix, ms)


# -- OPTIONS

_OPTIONS_FIX = {
    401: "Calls are not hurt by it; if they are refused too, set username and password of the trunk.",
    407: "Calls are not hurt by it; if they are refused too, set username and password of the trunk.",
    403: "It may not know our address: give {bind} (outside: {public}) to the carrier for its list.",
    404: "It knows no such user or domain; calls are often not hurt. Ask the carrier for the right host.",
    405: "It does not take OPTIONS at all; calls are not hurt.",
}


def of_options(code: int, trunk: Trunk, ms: int) -> Step:
    rules = trunk.options_ping or OptionsPing()
    what = f"OPTIONS was answered {code} after {ms} ms."
    if code in rules.ok_codes or (200 <= code < 300 and not rules.ok_codes):
        return Step(StepName.OPTIONS, Verdict.OK, what, ms=ms)
    if code in NOBODY_THERE:
        fix = "Somebody answers for a trunk that cannot take calls now: ask the carrier, or wait until it can."
        return Step(StepName.OPTIONS, Verdict.FAILED, what, fix, ms)
    fix = _OPTIONS_FIX.get(code, "Somebody is there, which is what counts; ask the carrier if calls fail.")
    if rules.ok_codes:
        fix += f" As options_ping.ok_codes does not name {code}, the health check calls the trunk down."
    public = trunk.public_address or trunk.bind_address
    return Step(StepName.OPTIONS, Verdict.WARNING, what, fix.format(bind=trunk.bind_address, public=public), ms)


def of_no_options(error: BaseException, trunk: Trunk, host: str, port: int, ms: int) -> Step:
    if isinstance(error, ConnectionRefusedError):
        return of_way(StepName.OPTIONS, WayError(Obstacle.REFUSED, str(error)), trunk, host, port, ms)
    if isinstance(error, TimeoutError):
        what = f"Nothing came back to OPTIONS from {host} port {port} within {ms / 1000:.0f} s."
        fix = (
            "Check host and port, open the firewall for SIP, and have our address "
            f"({trunk.public_address or trunk.bind_address}) on the carrier's list; some carriers answer no OPTIONS: "
            "give a number to ring, then the call decides."
        )
        return Step(StepName.OPTIONS, Verdict.FAILED, what, fix, ms)
    what = f"The connection to {host} ended without an answer to OPTIONS."
    return Step(StepName.OPTIONS, Verdict.FAILED, what, "Ask the carrier whether it takes SIP at this port.", ms)


def options_doubted(step: Step) -> Step:
    """The trunk answered something else: then it only takes no OPTIONS."""
    what = f"{step.what.rstrip('.')}, though the trunk answers other requests."
    return Step(step.name, Verdict.WARNING, what, "It takes no OPTIONS: leave options_ping off for it.", step.ms)


# -- REGISTER


def of_held(state: RegistrationState) -> Step:
    """The dialer's own registration is up: a second contact would only disturb it."""
    what = f"The dialer is registered (last answer {state.last_code or 200} {state.last_reason or 'OK'})."
    return Step(StepName.REGISTER, Verdict.OK, what)


def of_registration(state: RegistrationState, trunk: Trunk, ms: int) -> Step:
    name, code, words = StepName.REGISTER, state.last_code, state.last_reason
    if state.state is Registered.YES:
        return Step(name, Verdict.OK, f"REGISTER was accepted after {ms} ms, and taken back after the test.", ms=ms)
    said = f"{code} {words}".strip()
    if code in (401, 407) and "asks for the realm" in words:
        what = f"The registrar asks for another login: {said}."
        fix = "Write that realm into realm of the trunk; a login is never sent to a realm that was not named."
    elif code in (401, 407):
        what = f"The registrar refused the login twice: {said}."
        fix = "Correct username and password of the trunk; the realm has to be the one that it asks for."
    elif code == 403:
        what = f"The registrar forbids it: {said}."
        fix = "The login may be wrong, blocked, or allowed from another address only: ask the carrier."
    elif code == 404:
        what = f"The registrar knows no such user: {said}."
        fix = "Correct username of the trunk; the carrier may want another register.registrar."
    elif code == 423:
        what = f"The registrar wants longer registrations: {said}."
        fix = "Raise register.expires of the trunk to what it names in Min-Expires."
    elif code >= 300 and code != 408:
        what, fix = f"The registrar could not do it: {said}.", "It is no verdict on the login: try later, or ask."
    else:
        what = f"Nothing came back to REGISTER ({words or 'silence'})."
        fix = "Check register.registrar and outbound_proxy of the trunk, and the firewall; the login was not judged."
    return Step(name, Verdict.FAILED, what, fix, ms)


NO_LOGIN = "The trunk has no login here: its password is read when it is enabled."


# -- INVITE


def of_answer(waited_ms: int, codec: str, wire_to: str) -> Step:
    what = f"{wire_to} answered after {waited_ms / 1000:.1f} s" + (f" with {codec}." if codec else ".")
    return Step(StepName.INVITE, Verdict.OK, what, ms=waited_ms)


def of_refusal(ended: Ended, *, rang: bool, ms: int) -> Step:
    """A leg that was never answered."""
    outcome = judge(ended, rang=rang, answered=False, elapsed_s=ms / 1000)
    theirs = ended.origin is Origin.REMOTE and ended.code >= 300
    entry = (explain(str(ended.code)) if theirs else None) or explain(outcome.cause.value)
    said = f"SIP {ended.code} {ended.reason}".strip() if theirs else ended.error or ""
    sentence = entry.sentence if entry else "The call failed."
    what = f"{said.rstrip('.')}: {sentence}" if said else sentence
    if outcome.cause is Cause.RING_TIMEOUT:
        what = f"It rang for {ms / 1000:.0f} s, and nobody answered."
    return Step(StepName.INVITE, Verdict.FAILED, what, entry.next_step if entry else "", ms)


def of_no_line(reason: str) -> Step:
    what = f"No line could be opened: {reason.rstrip('.')}."
    return Step(StepName.INVITE, Verdict.FAILED, what, "`tocsin doctor` looks at the lines of this machine.")


# -- RTP, DTMF, BYE


def of_rtp(ended: Ended, tone_ms: int, *, spoke: bool) -> Step:
    name, rtp = StepName.RTP, ended.rtp
    if ended.why is Why.INSECURE:
        fix = 'The trunk has to answer with SRTP; set srtp = "optional" or "off" if it cannot.'
        return Step(name, Verdict.FAILED, "The answer came without SRTP, which this trunk has to use.", fix)
    counted = f"{rtp.sent_packets} packets left, {rtp.received_packets} came back"
    if not spoke:
        fix = "Compare codecs of the trunk with the SDP of its answer: both sides need one in common."
        return Step(name, Verdict.FAILED, "The answer brought no sound that our side can take.", fix)
    if rtp.received_packets == 0:
        fix = (
            "NAT or a firewall is in the way of RTP: set public_address of the trunk, open its rtp.ports for UDP in "
            "both directions, and switch SIP ALG off in the router. Sound from a machine that neither SDP nor "
            "signalling names is not taken: name its network in rtp.from of the trunk."
        )
        return Step(name, Verdict.FAILED, f"Nothing comes back: {counted}.", fix)
    if ended.by_us and rtp.sent_packets * PACKET_MS < LEFT_SHARE * tone_ms:
        fix = "Look at the load of this machine and at the dialer's log: the line could not keep the pace."
        return Step(name, Verdict.FAILED, f"Our own sound did not leave: {counted} in {tone_ms} ms.", fix)
    lost = max(rtp.sent_loss_pct or 0.0, rtp.received_loss_pct or 0.0)
    more = [f"{lost:g} % lost"] if lost else []
    more += [f"{rtp.rtt_ms:g} ms there and back"] if rtp.rtt_ms else []
    what = f"Sound flows both ways: {', '.join([counted, *more])}."
    if lost > LOSS_MOST_PCT:
        return Step(name, Verdict.WARNING, what, "Look for a full or wireless link between us and the trunk.")
    return Step(name, Verdict.OK, what)


def of_dtmf(trunk: Trunk, traces: Iterable[Trace], ended: Ended, *, pressed: str, heard: str | None) -> Step:
    """`heard`: the keys that the catch-all phone heard; None when the far end is not it."""
    rows = tuple(traces)
    ways = 'Set dtmf = "info" or "inband" for this trunk, or ask the carrier for telephone-event.'
    if trunk.dtmf is DtmfWay.RFC4733 and not _offers_events(rows):
        return _dtmf(Verdict.FAILED, "The answer has no telephone-event: no key can be sent by RFC 4733.", ways)
    if not pressed or not (ended.by_us or ended.played_to_end):
        return _dtmf(Verdict.SKIPPED, "The far end hung up before a key could be pressed.")
    if trunk.dtmf is DtmfWay.INFO:
        code = _info_answer(rows)
        if code is None:
            return _dtmf(Verdict.FAILED, "Our INFO with the key got no answer.", _other_way("rfc4733"))
        if code >= 300:
            return _dtmf(Verdict.FAILED, f"Our INFO with the key was answered {code}.", _other_way("rfc4733"))
    if heard is not None and pressed not in heard:
        what = f"The key {pressed} was sent, and the phone heard {heard or 'none'}."
        return _dtmf(Verdict.FAILED, what, _other_way("rfc4733" if trunk.dtmf is not DtmfWay.RFC4733 else "info"))
    how = {
        DtmfWay.RFC4733: "as telephone-event",
        DtmfWay.INFO: "by INFO, which was answered",
        DtmfWay.INBAND: "as a tone in the sound; nobody confirms those",
    }[trunk.dtmf]
    what = f"The key {pressed} was sent {how}" + (", and the phone heard it." if heard is not None else ".")
    return _dtmf(Verdict.OK, what)


def _dtmf(verdict: Verdict, what: str, fix: str = "") -> Step:
    return Step(StepName.DTMF, verdict, what, fix)


def _other_way(name: str) -> str:
    return f'Set dtmf = "{name}" for this trunk, or ask the carrier how it takes keys.'


def of_bye(traces: Iterable[Trace], ended: Ended, settle_s: float) -> Step:
    rows = tuple(traces)
    if ended.lost:
        return Step(StepName.BYE, Verdict.FAILED, "Our line process died in the call.", "Look at the dialer's log.")
    ours = next((row for row in rows if row.sent and row.text.startswith("BYE ")), None)
    if ours is None:
        theirs = any(not row.sent and row.text.startswith("BYE ") for row in rows)
        if theirs:
            return Step(StepName.BYE, Verdict.OK, "The far end hung up first, and got our 200.")
        what = ended.error or "No BYE left."
        return Step(StepName.BYE, Verdict.FAILED, what, "Look at the dialer's log.")
    answer = next(((row, code) for row in rows if (code := _answer_to(row, "BYE")) is not None), None)
    if answer is None:
        what = f"Our BYE to {ours.peer} got no answer within {settle_s:g} s."
        fix = (
            "The trunk would keep the call up, and bill it: the Contact or Record-Route of its 200 leads nowhere, or a "
            "firewall forgot the way. Show the carrier the SIP ladder."
        )
        return Step(StepName.BYE, Verdict.FAILED, what, fix)
    row, code = answer
    ms = max(0, round((row.at - ours.at) * 1000))
    if code < 300:
        return Step(StepName.BYE, Verdict.OK, f"Our BYE was answered {code}.", ms=ms)
    fix = "The trunk does not know the call that it answered: a proxy on the way loses it. Show it the SIP ladder."
    return Step(StepName.BYE, Verdict.FAILED, f"Our BYE was answered {code}.", fix, ms)


_STATUS = re.compile(r"SIP/2\.0 ([2-6]\d\d)")
_CSEQ = re.compile(r"^cseq[ \t]*:[ \t]*\d+[ \t]+([A-Z]+)", re.IGNORECASE | re.MULTILINE)


def _answer_to(row: Trace, method: str) -> int | None:
    """The status of a final answer of theirs to a request of ours."""
    status = _STATUS.match(row.text)
    cseq = _CSEQ.search(row.text)
    return int(status[1]) if status and cseq and cseq[1] == method and not row.sent else None


def _offers_events(rows: Iterable[Trace]) -> bool:
    answers = [row for row in rows if (_answer_to(row, "INVITE") or 999) < 300]
    return any("telephone-event" in row.text.lower() for row in answers)


def _info_answer(rows: Iterable[Trace]) -> int | None:
    return next((code for row in rows if (code := _answer_to(row, "INFO")) is not None), None)


def was_heard_of(traces: Iterable[Trace], ended: Ended) -> bool:
    """Did the trunk say anything at all?"""
    return ended.phase is not Phase.SILENT or any(not row.sent for row in traces)


def info_answered(row: Trace) -> bool:
    return _answer_to(row, "INFO") is not None


def skipped(name: StepName, what: str) -> Step:
    return Step(name, Verdict.SKIPPED, what)


NO_CONNECTION = "UDP has no connection: whether somebody is there is what OPTIONS tells."


def no_tls(transport: Transport) -> str:
    return f"The trunk is reached over {transport.value}, without TLS."
