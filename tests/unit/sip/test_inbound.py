"""Which call may ring, and whose it is."""

import pytest

from sip.inbound import Doorway, Knock, TurnAway, Welcome, called_of, caller_of

INVITE = (
    "INVITE sip:+2347080670000@192.0.2.1;user=phone SIP/2.0\r\n"
    'From: "Ada" <sip:%2B234-802-000-0000@carrier.example>;tag=1\r\nCall-ID: x\r\n\r\n'
)


def knock(source: str = "192.0.2.7:5060") -> Knock:
    return Knock("in-1", source, INVITE)


def judged(door: Doorway, source: str = "192.0.2.7:5060", now: float = 0.0, **room: object) -> Welcome | TurnAway:
    return door.judge(knock(source), **{"free": 4, "leaving": False, "now": now} | room)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("source", "room", "code"),
    [
        ("192.0.2.7:5060", {}, None),
        ("192.0.2.255:1", {}, None),
        ("192.0.3.1:5060", {}, 403),
        ("[2001:db8::7]:5060", {}, None),
        ("[2001:db9::7]:5060", {}, 403),
        ("carrier.example:5060", {}, 403),
        ("", {}, 403),
        ("192.0.2.7:5060", {"free": 0}, 486),
        ("192.0.2.7:5060", {"leaving": True}, 503),
    ],
)
def test_who_may_ring(source: str, room: dict[str, object], code: int | None) -> None:
    door = Doorway.of(["192.0.2.0/24", "2001:db8::/32"])

    verdict = judged(door, source, **room)

    assert (verdict.code if isinstance(verdict, TurnAway) else None) == code


def test_without_a_network_nobody_may_ring() -> None:
    assert isinstance(judged(Doorway.of([])), TurnAway)


def test_more_than_ten_calls_a_second_are_turned_away_and_strangers_do_not_count() -> None:
    door = Doorway.of(["192.0.2.0/24"])
    for _ in range(100):
        judged(door, "198.51.100.1:5060")

    verdicts = [judged(door, now=n / 100) for n in range(11)]

    assert [isinstance(one, Welcome) for one in verdicts] == [True] * 10 + [False]
    assert isinstance(judged(door, now=1.001), Welcome)


@pytest.mark.parametrize(
    ("header", "number"),
    [
        ("From: <sip:2348020000000@h>;tag=1", "2348020000000"),
        ("f: sip:2348020000000@h;tag=1", "2348020000000"),
        ('From: "A <sip:1@b>" <sip:2348020000000;npdi@h>', "1"),  # whoever lies in a name lies about himself only
        ("From: <tel:+234-802-000-0000>;tag=1", "+2348020000000"),
        ("From: <sip:+234802;phone-context=x@h>;tag=1", "+234802"),
        ("From: <sip:anonymous@anonymous.invalid>;tag=1", "anonymous"),
        ("From: <sip:%00%0a1@h>;tag=1", ""),
        ("From: <sip:" + "1" * 65 + "@h>;tag=1", ""),
        ("From: rubbish", ""),
        ("X: 1", ""),
        ("From: <sip:1@h>;tag=1\r\nP-Asserted-Identity: <sip:+2348020000000@h>", "+2348020000000"),
    ],
)
def test_whose_call_it_is(header: str, number: str) -> None:
    assert caller_of(f"INVITE sip:1@h SIP/2.0\r\n{header}\r\n\r\n") == number


def test_which_number_was_called() -> None:
    assert called_of(INVITE) == "+2347080670000"
    assert caller_of(INVITE) == "+2348020000000"
    assert called_of("INVITE") == ""
