"""Challenges counted from the library's own log, before it answers them."""

from sip.logins import LOGINS_MOST, Logins


def entry(cseq: int, call_id: str = "one", code: int = 401, method: str = "INVITE") -> str:
    return (
        f"RX 300 bytes Response msg {code}/{method}/cseq={cseq} (rdata0x1) from UDP 127.0.0.1:5060:\n"
        f"SIP/2.0 {code} Unauthorized\r\nCall-ID: {call_id}\r\nCSeq: {cseq} {method}\r\n\r\n\n--end msg--"
    )


def test_the_challenge_after_the_last_login_is_one_too_many() -> None:
    logins = Logins()

    told = [logins.too_many(entry(cseq, code=code)) for cseq, code in ((1, 401), (2, 407), (3, 401))]

    assert told == [None] * LOGINS_MOST + ["one"]


def test_a_challenge_that_is_repeated_counts_once() -> None:
    logins = Logins()

    assert [logins.too_many(entry(1)) for _ in range(9)] == [None] * 9


def test_calls_are_counted_each_for_itself_and_other_answers_are_not_counted() -> None:
    logins = Logins()

    told = [logins.too_many(entry(n, f"call-{n}")) for n in range(200)]
    told += [logins.too_many(entry(n, "busy", code=486)) for n in range(9)]
    told += [logins.too_many(entry(n, "reg", method="REGISTER")) for n in range(9)]

    assert set(told) == {None}
