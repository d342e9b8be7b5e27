"""The outcome table as the whole service has to show it: what the far end does, and what the Call then says.

Written from RFC 3261, RFC 3398 and the product's own table, not from the code. A row's number is what is dialled:
two digits choose the trunk, five the behaviour of the SIPp behind it.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sip.causes import Sit
from tests import sipp
from tests.acceptance import outcome_carrier as far
from tests.acceptance.outcome_carrier import Ears, Steps

# cause -> its number, who ended it, who can do something about it
CAUSES: dict[str, tuple[int, str, str | None]] = {
    "canceled_by_api": (1000, "api", None),
    "remote_cancel": (1200, "trunk", "trunk"),
    "unallocated_number": (2000, "trunk", "request"),
    "intercept": (2010, "trunk", "request"),
    "incomplete_number": (2100, "trunk", "request"),
    "ambiguous_number": (2110, "trunk", "request"),
    "number_changed": (2120, "trunk", "request"),
    "redirected": (2130, "trunk", "trunk"),
    "ring_timeout": (3000, "platform", "person"),
    "user_busy": (3010, "callee", "person"),
    "call_declined": (3020, "callee", "person"),
    "no_user_responding": (3030, "callee", "person"),
    "temporarily_unavailable": (3040, "callee", "person"),
    "unwanted": (3050, "callee", "person"),
    "analytics_blocked": (3060, "trunk", "network"),
    "normal_clearing": (4000, "platform", None),
    "max_duration": (4100, "platform", None),
    "trunk_failure": (5000, "trunk", "trunk"),
    "trunk_unreachable": (5010, "platform", "network"),
    "trunk_timeout": (5020, "platform", "trunk"),
    "gateway_timeout": (5030, "trunk", "trunk"),
    "network_out_of_order": (5040, "trunk", "network"),
    "congestion": (5050, "trunk", "network"),
    "signalling_lost": (5060, "trunk", "network"),
    "glare": (5070, "trunk", "trunk"),
    "validity_expired": (1100, "platform", None),
    "geo_blocked": (8010, "platform", "account"),
    "spend_cap": (8020, "platform", "account"),
    "caller_id_unverified": (8040, "platform", "account"),
    "speech": (9030, "platform", "request"),  # as long as it is the request's own address that holds none
    "worker_lost": (9000, "platform", "us"),
    "media_timeout": (6000, "platform", "network"),
    "media_incompatible": (6020, "trunk", "trunk"),
    "auth_failed": (7000, "trunk", "account"),
    "forbidden": (7010, "trunk", "account"),
    "carrier_credit": (7020, "trunk", "account"),
    "protocol_error": (7030, "trunk", "us"),
    "not_supported": (7040, "trunk", "trunk"),
    "routing_loop": (7050, "trunk", "trunk"),
    "identity_rejected": (7060, "trunk", "account"),
    "anonymity_disallowed": (7070, "trunk", "account"),
    "security_required": (7080, "trunk", "trunk"),
}


@dataclass(frozen=True, slots=True)
class Says:
    """What the Call has to say. `again`: the retry class. `sip`: the code in it and whose word it is, or None."""

    status: str
    cause: str
    q850: int | None
    again: str
    sip: tuple[int, str] | None
    source: str = ""  # empty: what the cause says
    rang: bool | None = None  # may_have_rung; None: what the class says


@dataclass(frozen=True, slots=True)
class Row:
    """`second`: INVITEs that the next trunk has to get. `act_in`: the state in which the API asks for the end."""

    name: str
    trunk: int
    digits: int
    says: Says
    second: int = 0
    steps: Steps = ()
    ask: dict[str, Any] = field(default_factory=dict)
    act_in: str = ""
    valid_for: timedelta | None = None

    @property
    def number(self) -> str:
        return f"234802{self.trunk:02}{self.digits:05}"


MAIN, SILENT, LISTED, LOGIN_401, LOGIN_407, CREDIT, REST, CLOSED, NO_NAME, MUTE, NEEDS_RTP, RESET, DIES = range(10, 23)
CODES = 30  # and the following ones, for CHUNK answers each: SIPp reads no scenario above 64 kB
CHUNK = 80
TRYING_MS = 1200  # longer than what counts as a hasty 480

# answer -> status, cause, Q.850, class
_PROTOCOL = ("failed", "protocol_error", 127, "config")
_TABLE: dict[int, tuple[str, str, int | None, str]] = {
    **dict.fromkeys((300, 301, 302, 305, 380, 399), ("failed", "redirected", 23, "dead_number")),
    400: ("failed", "protocol_error", 41, "config"),
    403: ("failed", "forbidden", 21, "next_trunk"),
    **dict.fromkeys((404, 604), ("failed", "unallocated_number", 1, "dead_number")),
    405: ("failed", "not_supported", 63, "config"),
    **dict.fromkeys((406, 501), ("failed", "not_supported", 79, "config")),
    408: ("no_answer", "no_user_responding", 18, "later"),
    410: ("failed", "number_changed", 22, "dead_number"),
    **dict.fromkeys((413, 414, 416, 420, 421, 423, 505, 513), _PROTOCOL),
    415: ("failed", "media_incompatible", 79, "config"),
    **dict.fromkeys((488, 606), ("failed", "media_incompatible", 31, "config")),
    **dict.fromkeys((428, 436, 437, 438), ("failed", "identity_rejected", None, "config")),
    433: ("failed", "anonymity_disallowed", None, "config"),
    480: ("failed", "congestion", 34, "next_trunk"),  # in haste, without an 18x
    481: ("failed", "signalling_lost", 41, "later"),
    **dict.fromkeys((482, 483), ("failed", "routing_loop", 25, "config")),
    484: ("failed", "incomplete_number", 28, "dead_number"),
    485: ("failed", "ambiguous_number", 1, "dead_number"),
    **dict.fromkeys((486, 600), ("busy", "user_busy", 17, "later")),
    487: ("failed", "remote_cancel", None, "later"),
    491: ("failed", "glare", None, "later"),
    **dict.fromkeys((493, 494), ("failed", "security_required", None, "config")),
    **dict.fromkeys((500, 503), ("failed", "trunk_failure", 41, "next_trunk")),
    502: ("failed", "network_out_of_order", 38, "next_trunk"),
    504: ("failed", "gateway_timeout", 102, "next_trunk"),
    580: ("failed", "network_out_of_order", 47, "next_trunk"),
    603: ("rejected", "call_declined", 21, "refused"),
    607: ("rejected", "unwanted", 21, "refused"),
    608: ("rejected", "analytics_blocked", 21, "refused"),
}
# RFC 3261 section 8.1.3.2: an answer that nobody knows is the x00 of its class.
_CLASSES = {3: _TABLE[300], 4: _TABLE[400], 5: _TABLE[500], 6: _TABLE[600]}
_ELSEWHERE = (401, 402, 407)  # they stop their trunk: rows of their own


def answer_means(code: int) -> Says:
    status, cause, q850, again = _TABLE.get(code) or _CLASSES[code // 100]
    return Says(status, cause, q850, again, (code, "remote"))


def later(says: Says) -> Says:
    """After an 18x nobody is rung again by another way."""
    return replace(says, again="later") if says.again == "next_trunk" else says


def _answers(codes: Iterator[int]) -> Iterator[Row]:
    for place, code in enumerate(code for code in codes if code not in _ELSEWHERE):
        says, steps = answer_means(code), far.refuses(f"{code} Because")
        yield Row(f"{code}", CODES + place // CHUNK, code, says, int(says.again == "next_trunk"), steps)


def _answers_after_ringing(ears: Ears) -> Iterator[Row]:
    for code in (302, 403, 404, 408, 480, 486, 487, 488, 500, 502, 503, 504, 580, 600, 603):
        says = later(answer_means(code))
        if code == 480:
            says = Says("no_answer", "temporarily_unavailable", 18, "later", (480, "remote"))
        yield Row(f"180 then {code}", MAIN, 1000 + code, says, 0, far.refuses_after("180 Ringing", f"{code} Because"))
    for code in (403, 480, 503):
        says = later(answer_means(code))
        if code == 480:
            says = Says("no_answer", "temporarily_unavailable", 18, "later", (480, "remote"))
        steps = far.refuses_after("183 Session Progress", f"{code} Because", ears.talking)
        yield Row(f"183 then {code}", MAIN, 2000 + code, says, 0, steps)


def _reasons() -> Iterator[Row]:
    """The peer's own Q.850 value is kept; for 480 it decides."""
    unavailable = Says("no_answer", "temporarily_unavailable", 18, "later", (480, "remote"))
    congestion = answer_means(480)
    rows = [
        *((480, q850, replace(congestion, q850=q850), 1, TRYING_MS) for q850 in (34, 42, 44, 47)),
        *((480, q850, replace(unavailable, q850=q850), 0, 0) for q850 in (18, 19, 20)),
        (503, 38, replace(answer_means(503), q850=38), 1, 0),
        (486, 17, answer_means(486), 0, 0),
        (404, 3, replace(answer_means(404), q850=3), 0, 0),
    ]
    for code, q850, says, second, after_ms in rows:
        header = f'Reason: Q.850;cause={q850};text="because"'
        steps = far.refuses(f"{code} Because", header, after_ms=after_ms)
        steps = (sipp.send("100 Trying"), *steps) if after_ms else steps
        yield Row(f"{code} with Q.850 {q850}", MAIN, 3000 + 100 * (code % 10) + q850, says, second, steps)
    yield Row("a late 480", MAIN, 3999, unavailable, 0, far.trying_then("480 Because", TRYING_MS))


# name -> the tone, its answer, what it means
ANNOUNCED: dict[str, tuple[Sit, int, Says]] = {
    f"{sit} then {code}": (sit, code, Says("failed", cause, q850, again, (code, "remote")))
    for sit, cause, q850, again in (
        (Sit.VACANT, "unallocated_number", 1, "dead_number"),
        (Sit.INTERCEPT, "intercept", 22, "dead_number"),
        (Sit.NO_CIRCUIT, "congestion", 34, "later"),  # next_trunk, but an 18x came before it
        (Sit.REORDER, "congestion", 34, "later"),
    )
    for code in (480, 487)
} | {"VC then 486": (Sit.VACANT, 486, answer_means(486))}  # a tone says nothing against an answer that says more


def _announced(ears: Ears) -> Iterator[Row]:
    """The network says in early media what is wrong, and gives an answer that says less."""
    for place, (name, (_, code, says)) in enumerate(ANNOUNCED.items()):
        steps = far.announces(f"{code} Because", ears.announcing[name])
        yield Row(name, MAIN, 4101 + place, says, 0, steps)


def _given_up(ears: Ears) -> Iterator[Row]:
    """We gave it up: the ring timer, or somebody who asked."""
    timeout = Says("no_answer", "ring_timeout", 19, "later", (487, "remote"))
    canceled = Says("canceled", "canceled_by_api", None, "ours", (487, "remote"))
    crossed = replace(canceled, sip=None)
    ask = {"ring_timeout": 5}
    api = "ringing"
    yield Row("it rings for ever", MAIN, 4001, timeout, 0, far.only_tries("180 Ringing"), ask)
    yield Row("183, then nothing", MAIN, 4002, timeout, 0, far.only_tries("183 Progress", ears.talking), ask)
    yield Row("100, then nothing", MAIN, 4003, timeout, 0, far.only_tries("100 Trying"), ask)
    lost = replace(timeout, sip=None)
    yield Row("our CANCEL crosses a 200", MAIN, 4004, lost, 0, far.answers_while_cancelled(ears.talking), ask)
    yield Row(
        "our CANCEL crosses a 486", MAIN, 4005, answer_means(486), 0, far.refuses_while_cancelled("486 Busy"), ask
    )
    late_503 = later(answer_means(503))
    yield Row("our CANCEL crosses a 503", MAIN, 4006, late_503, 0, far.refuses_while_cancelled("503 Because"), ask)
    yield Row("the API cancels", MAIN, 4007, canceled, 0, far.only_tries("180 Ringing"), act_in=api)
    steps = far.answers_while_cancelled(ears.talking)
    yield Row("the API cancels, and a 200 crosses it", MAIN, 4008, crossed, 0, steps, act_in=api)
    steps = far.refuses_while_cancelled("486 Busy")
    busy = replace(canceled, sip=(486, "remote"), q850=None)
    yield Row("the API cancels, and a 486 crosses it", MAIN, 4009, busy, 0, steps, act_in=api)
    yield Row("the API cancels, and no 487 comes", MAIN, 4010, crossed, 0, far.ignores_the_cancel(), act_in=api)


def _talked(ears: Ears) -> Iterator[Row]:
    """It was answered."""
    done = Says("completed", "normal_clearing", 16, "ok", (200, "remote"))
    theirs = replace(done, source="callee")
    port = ears.talking
    long = {"text": "This is a long message. " * 4, "max_duration": 5}
    yield Row("heard to the end", MAIN, 5001, done, 0, far.answers(port))
    yield Row("early media, then heard", MAIN, 5002, done, 0, far.answers_early_media(port))
    yield Row("they hang up", MAIN, 5003, theirs, 0, far.answers_and_hangs_up(port, 300))
    reason = 'Reason: Q.850;cause=31;text="normal, unspecified"'
    yield Row("they say why", MAIN, 5004, replace(theirs, q850=31), 0, far.answers_and_hangs_up(port, 300, reason))
    yield Row("both say BYE", MAIN, 5005, done, 0, far.says_bye_too(port))
    yield Row("481 to our BYE", MAIN, 5006, done, 0, far.knows_no_bye(port))
    yield Row("no answer to our BYE", MAIN, 5007, done, 0, far.never_answers_bye(port))
    api = replace(done, source="api")
    yield Row("the API hangs up", MAIN, 5008, api, 0, far.answers(port), {"gather": {"timeout_ms": 60000}}, "answered")
    limit = Says("completed", "max_duration", None, "later", (200, "remote"))
    yield Row("max_duration, little heard", MAIN, 5009, limit, 0, far.answers(port), long)
    waits = {"gather": {"timeout_ms": 60000}, "max_duration": 5}
    yield Row("max_duration, all heard", MAIN, 5010, replace(limit, again="ok"), 0, far.answers(port), waits)
    nothing = Says("completed", "media_incompatible", 31, "config", (200, "remote"))
    yield Row("200 without SDP", MAIN, 5011, nothing, 0, far.answers_without_sdp())
    yield Row("200 with a codec nobody offered", MAIN, 5012, nothing, 0, far.answers(port, codec=3))
    stays = {"repeat": 10, "gather": {"timeout_ms": 60000}}
    lost = Says("completed", "signalling_lost", 41, "later", (200, "remote"))
    yield Row("481 to our re-INVITE", MAIN, 5020, lost, 0, far.on_refresh(port, "481 Gone"), stays)
    yield Row("nobody refreshes the session", MAIN, 5021, lost, 0, far.forgets_to_refresh(port), stays)
    glare = {"repeat": 5, "gather": {"timeout_ms": 45000}}
    yield Row("491 to our re-INVITE", MAIN, 5022, done, 0, far.on_refresh(port, "491 Request Pending"), glare)
    mute = Says("completed", "media_timeout", None, "later", (200, "remote"))
    yield Row(
        "no RTP for the trunk's patience",
        MUTE,
        5013,
        mute,
        0,
        far.answers(ears.mute),
        {"gather": {"timeout_ms": 60000}},
    )
    yield Row("no RTP where it is required", NEEDS_RTP, 5014, mute, 0, far.answers(ears.mute))


def _trunk_gone() -> Iterator[Row]:
    """What says more about the trunk than about the call: each on a trunk of its own."""
    silent = Says("failed", "trunk_timeout", 102, "uncertain", None)
    yield Row("silence", SILENT, 6001, silent, 0, far.says_nothing())
    canceled = Says("canceled", "canceled_by_api", None, "ours", None, rang=True)
    yield Row("the API cancels in silence", SILENT, 6002, canceled, 0, far.says_nothing(), act_in="dialing")
    yield Row("silence that may be redialled", LISTED, 6003, silent, 1, far.says_nothing())
    login = Says("failed", "auth_failed", 21, "config", (401, "remote"))
    yield Row("401 again and again", LOGIN_401, 6004, login, 0, far.asks_for_a_login("401 No", "WWW-Authenticate", 2))
    login = replace(login, sip=(407, "remote"))
    yield Row("407 again and again", LOGIN_407, 6005, login, 0, far.asks_for_a_login("407 No", "Proxy-Authenticate", 2))
    credit = Says("failed", "carrier_credit", 21, "config", (402, "remote"))
    yield Row("402", CREDIT, 6006, credit, 0, far.refuses("402 Payment Required"))
    rest = answer_means(503)
    yield Row("503 with Retry-After", REST, 6007, rest, 1, far.refuses("503 Because", "Retry-After: 60"))
    closed = Says("failed", "trunk_unreachable", 38, "next_trunk", (503, "local"))
    yield Row("connection refused", CLOSED, 6008, closed, 1)
    unknown = Says("failed", "network_out_of_order", 38, "next_trunk", (502, "local"))
    yield Row("a name that nobody knows", NO_NAME, 6009, unknown, 1)
    yield Row("connection cut after the INVITE", RESET, 6010, replace(silent, sip=(503, "local")), 0)


def _never_dialled() -> Iterator[Row]:
    """No INVITE, to nobody."""
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()

    def row(name: str, digits: int, status: str, cause: str, again: str, **ask: Any) -> Row:
        return Row(name, MAIN, digits, Says(status, cause, None, again, None), ask=ask)

    nowhere = {"text": None, "media_url": "https://127.0.0.1:9/alarm.wav"}
    yield row("no audio could be made", 7001, "failed", "speech", "ours", **nowhere)
    canceled = row("canceled while queued", 7002, "canceled", "canceled_by_api", "ours", send_at=tomorrow)
    yield replace(canceled, act_in="queued")
    expired = row("its time passed in the queue", 7003, "expired", "validity_expired", "none", trunk_id="shut")
    yield replace(expired, valid_for=timedelta(seconds=3))
    yield row("no trunk goes there", 7004, "blocked", "geo_blocked", "ours", trunk_id="mute")
    yield row("dearer than allowed", 7005, "blocked", "spend_cap", "ours", trunk_id="dear")
    yield row("a caller id of another trunk", 7006, "blocked", "caller_id_unverified", "ours", trunk_id="other-caller")


def _process_dies() -> Iterator[Row]:
    """Our line process is killed under the call."""
    lost = Says("failed", "worker_lost", None, "uncertain", None)
    yield Row(
        "the line process dies while it rings", DIES, 8001, lost, 0, far.only_tries("180 Ringing"), act_in="ringing"
    )


def rows(ears: Ears, every_code: bool = False) -> list[Row]:
    """`every_code`: 300 to 699, instead of those with a meaning of their own and some of the others."""
    unknown = (306, 399, 411, 418, 429, 440, 470, 499, 506, 555, 599, 601, 605, 699)
    codes = range(300, 700) if every_code else sorted({*_TABLE, *unknown})
    made = [  # what takes longest first
        *_talked(ears),
        *_never_dialled(),
        *_given_up(ears),
        *_announced(ears),
        *_trunk_gone(),
        *_process_dies(),
        *_answers_after_ringing(ears),
        *_reasons(),
        *_answers(iter(codes)),
    ]
    assert len({row.number for row in made}) == len(made)
    return made
