"""Each magic number gives its documented outcome, SIP code, ladder and webhook: one table over real SIP.

All the calls are placed at once, as an application would; each test then looks at one of them.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from config.settings import load
from sip.sandbox.scripts import MAGIC
from tests.service import Service, running
from voice.cli.receiver import Receiver
from voice.installation import webhook_secret

pytestmark = [pytest.mark.sip, pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(120)]

TEXT = "This is a test of the line."
ANSWERED = ("INVITE", "180", "200", "ACK", "BYE", "200")
KEY = {"gather": {"digits_max": 1, "timeout_ms": 6000}}
ONLY_ONE = {"gather": {"digits_max": 1, "timeout_ms": 6000, "valid": "1"}}
THIRD_TRY = "12025550118"


@dataclass(frozen=True)
class Expected:
    status: str
    cause: str
    code: int
    ladder: tuple[str, ...]  # methods and codes that stand in the ladder, in this order
    source: str
    digits: str = ""
    ask: dict[str, Any] = field(default_factory=dict)
    says: dict[str, Any] = field(default_factory=dict)  # further members of the Call object


def refused(status: str, cause: str, code: int, source: str, **says: Any) -> Expected:
    return Expected(status, cause, code, ("INVITE", str(code), "ACK"), source, says=says)


def answered(source: str = "platform", digits: str = "", ask: dict[str, Any] | None = None, **says: Any) -> Expected:
    return Expected("completed", "normal_clearing", 200, ANSWERED, source, digits, ask or {}, says)


TABLE: dict[str, Expected] = {
    "12025550100": answered(played_to_end=True),
    "12025550101": refused("busy", "user_busy", 486, "callee", may_have_rung=False),
    "12025550102": Expected(
        "no_answer", "ring_timeout", 487, ("INVITE", "180", "CANCEL", "487", "ACK"), "platform", ask={"ring_timeout": 5}
    ),
    "12025550103": refused("rejected", "call_declined", 603, "callee", permanent=True),
    "12025550104": refused("failed", "unallocated_number", 404, "trunk", permanent=True),
    "12025550105": refused("no_answer", "temporarily_unavailable", 480, "callee", permanent=False),
    "12025550106": refused("failed", "trunk_failure", 503, "trunk", permanent=False),
    "12025550107": answered(),
    "12025550108": answered("callee", ask={"repeat": 5}, played_to_end=False),
    "12025550109": Expected(
        "completed",
        "media_timeout",
        200,
        ANSWERED,
        "platform",
        says={"played_to_end": False, "heard_ms": 0, "heard_pct": 0},
    ),
    "12025550110": answered(digits="1", ask=KEY, played_to_end=True),
    "12025550111": answered(digits="2", ask=KEY),
    "12025550112": answered(digits="9", ask=KEY),
    "12025550113": answered(digits="71", ask=ONLY_ONE),
    "12025550114": answered(ask={"gather": {"digits_max": 1, "timeout_ms": 1500}}),
    "12025550115": answered(),
    "12025550116": answered(ask={"repeat": 4}),
    "12025550117": Expected("failed", "forbidden", 403, ("INVITE", "407", "ACK", "INVITE", "403", "ACK"), "trunk"),
}


@dataclass(frozen=True)
class Seen:
    call: dict[str, Any]
    ladder: list[str]
    webhooks: list[dict[str, Any]]
    verified: int


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Service]:
    async with running(tmp_path_factory.mktemp("magic")) as service:
        yield service


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def seen(service: Service) -> dict[str, Seen]:
    found = await asyncio.gather(*(_place(service, number, TABLE[number].ask) for number in TABLE))
    return dict(zip(TABLE, found, strict=True))


async def test_the_table_names_every_magic_number() -> None:
    assert set(TABLE) | {THIRD_TRY} == set(MAGIC)


@pytest.mark.parametrize("number", sorted(TABLE))
async def test_a_magic_number_gives_its_documented_outcome(seen: dict[str, Seen], number: str) -> None:
    expected, call = TABLE[number], seen[number].call

    assert (call["status"], call["hangup_cause"]) == (expected.status, expected.cause)
    assert (call["sip"]["code"], call["sip"]["origin"]) == (expected.code, "remote")
    assert call["hangup_source"] == expected.source
    assert call["digits"] == expected.digits
    assert {name: call[name] for name in expected.says} == expected.says


@pytest.mark.parametrize("number", sorted(TABLE))
async def test_the_ladder_of_a_magic_number_shows_what_crossed_the_wire(seen: dict[str, Seen], number: str) -> None:
    rest = iter(seen[number].ladder)

    missing = [word for word in TABLE[number].ladder if word not in rest]

    assert not missing, seen[number].ladder


@pytest.mark.parametrize("number", sorted(TABLE))
async def test_a_magic_number_posts_one_webhook_that_says_the_same(seen: dict[str, Seen], number: str) -> None:
    one = seen[number]

    assert one.verified == len(one.webhooks) == 1
    assert one.webhooks[0]["type"] == "call.ended"
    assert one.webhooks[0]["data"] == one.call


async def test_a_key_is_told_while_the_call_is_up(service: Service) -> None:
    async with _receiver(service) as receiver:
        events = ["call.queued", "call.dialing", "call.ringing", "call.answered", "call.dtmf", "call.ended"]
        asked = {"to": "12025550110", "text": TEXT, "callback_url": receiver.url, "callback_events": events, **KEY}
        await service.call(**asked)
        assert await receiver.wait_for(len(events), 10)

    told = [json.loads(body) for body in receiver.bodies]
    assert [body["type"] for body in sorted(told, key=lambda body: body["data"]["sequence"])] == events
    assert [body["data"]["sequence"] for body in told] == [1, 2, 3, 4, 5, 6]
    assert receiver.verified == len(events)


async def test_the_third_try_is_answered(service: Service) -> None:
    outcomes = [(await service.call(to=THIRD_TRY, text=TEXT))["status"] for _ in range(3)]

    assert outcomes[-1] == "completed"
    assert "completed" not in outcomes[:-1]


async def test_a_slow_network_shows_in_the_post_dial_delay(seen: dict[str, Seen]) -> None:
    assert seen["12025550115"].call["pdd_ms"] >= 8000 > seen["12025550100"].call["pdd_ms"]


async def test_loss_on_the_line_shows_in_the_quality(seen: dict[str, Seen]) -> None:
    assert seen["12025550116"].call["quality"]["loss_pct"] > 0
    assert seen["12025550100"].call["quality"]["loss_pct"] == 0


async def test_a_hang_up_after_two_seconds_leaves_most_unheard(seen: dict[str, Seen]) -> None:
    heard, call = seen["12025550108"].call["heard_pct"], seen["12025550108"].call

    assert 0 < heard < 60
    assert call["heard_ms"] < 2500


async def _place(service: Service, number: str, ask: dict[str, Any]) -> Seen:
    async with _receiver(service) as receiver:
        call = await service.call(to=number, text=TEXT, callback_url=receiver.url, **ask)
        assert await receiver.wait_for(1, 10), call
        async with service.client() as http:
            ladder = (await http.get(f"/v1/calls/{call['call_id']}/sip", params={"format": "json"})).json()
            call = (await http.get(f"/v1/calls/{call['call_id']}")).json()
    words = [_word(row["first_line"]) for row in ladder["messages"]]
    return Seen(call, words, [json.loads(body) for body in receiver.bodies], receiver.verified)


def _receiver(service: Service) -> Receiver:
    data: Path = service.data
    return Receiver(webhook_secret(load({}, overrides={"data_dir": data})))


def _word(first_line: str) -> str:
    words = first_line.split()
    return words[1] if words[0] == "SIP/2.0" else words[0]
