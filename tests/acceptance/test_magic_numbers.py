"""Each magic number gives its documented outcome, SIP code, ladder and webhook: one table over real SIP."""

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

import pytest
from sip.sandbox.scripts import MAGIC

from config.settings import load
from tests.service import Service
from voice.cli.receiver import Receiver
from voice.installation import webhook_secret

pytestmark = [pytest.mark.sip, pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(90)]

TEXT = "This is a test of the line."
RINGS = ("180", "200", "BYE")


@dataclass(frozen=True)
class Expected:
    status: str
    cause: str
    code: int
    ladder: tuple[str, ...]  # a subsequence of the ladder: methods and codes, in order
    source: str = "platform"
    digits: str = ""
    ask: dict[str, Any] = field(default_factory=dict)
    says: dict[str, Any] = field(default_factory=dict)  # further members of the Call object


KEY = {"gather": {"digits_max": 1, "timeout_ms": 6000}}
TABLE: dict[str, Expected] = {
    "12025550100": Expected("completed", "normal_clearing", 200, ("INVITE", *RINGS), says={"played_to_end": True}),
    "12025550101": Expected("busy", "user_busy", 486, ("INVITE", "486", "ACK"), "callee"),
    "12025550102": Expected(
        "no_answer", "ring_timeout", 487, ("INVITE", "180", "CANCEL", "487", "ACK"), ask={"ring_timeout": 5}
    ),
    "12025550103": Expected(
        "rejected", "call_declined", 603, ("INVITE", "603", "ACK"), "callee", says={"permanent": True}
    ),
    "12025550104": Expected("failed", "unallocated_number", 404, ("INVITE", "404", "ACK"), says={"permanent": True}),
    "12025550105": Expected("no_answer", "temporarily_unavailable", 480, ("INVITE", "480", "ACK")),
    "12025550106": Expected("failed", "trunk_failure", 503, ("INVITE", "503", "ACK"), "trunk"),
    "12025550107": Expected("completed", "normal_clearing", 200, ("INVITE", "200", "BYE")),
    "12025550108": Expected(
        "completed",
        "normal_clearing",
        200,
        ("INVITE", *RINGS),
        "callee",
        ask={"repeat": 5},
        says={"played_to_end": False},
    ),
    "12025550109": Expected("completed", "media_timeout", 200, ("INVITE", "200", "BYE")),
    "12025550110": Expected("completed", "normal_clearing", 200, ("INVITE", *RINGS), digits="1", ask=KEY),
    "12025550111": Expected("completed", "normal_clearing", 200, ("INVITE", *RINGS), digits="2", ask=KEY),
    "12025550112": Expected("completed", "normal_clearing", 200, ("INVITE", *RINGS), digits="9", ask=KEY),
    "12025550113": Expected(
        "completed",
        "normal_clearing",
        200,
        ("INVITE", *RINGS),
        digits="51",
        ask={"gather": {**KEY["gather"], "valid": "1"}},
    ),
    "12025550114": Expected(
        "completed", "normal_clearing", 200, ("INVITE", *RINGS), ask={"gather": {"digits_max": 1, "timeout_ms": 1500}}
    ),
    "12025550115": Expected("completed", "normal_clearing", 200, ("INVITE", "200", "BYE")),
    "12025550116": Expected("completed", "normal_clearing", 200, ("INVITE", *RINGS)),
    "12025550117": Expected("failed", "forbidden", 403, ("INVITE", "407", "ACK", "403", "ACK")),
}


def test_the_table_names_every_magic_number() -> None:
    assert set(TABLE) | {"12025550118"} == set(MAGIC)


@pytest.mark.parametrize("number", sorted(TABLE))
async def test_a_magic_number_gives_its_documented_outcome(service: Service, number: str) -> None:
    expected = TABLE[number]
    secret = webhook_secret(load({}, overrides={"data_dir": service.data}))
    async with Receiver(secret) as receiver:
        call = await service.call(to=number, text=TEXT, callback_url=receiver.url, **expected.ask)
        assert await receiver.wait_for(1, 10)
    ladder = await _ladder(service, call["call_id"])

    assert (call["status"], call["hangup_cause"], call["sip"]["code"]) == (
        expected.status,
        expected.cause,
        expected.code,
    )
    assert call["hangup_source"] == expected.source
    assert call["digits"] == expected.digits
    assert {name: call[name] for name in expected.says} == expected.says
    assert _in_order(expected.ladder, ladder), ladder
    assert receiver.received == receiver.verified == 1
    body = json.loads(receiver.bodies[0])
    assert body["type"] == "call.ended"
    assert body["data"] == call | {"sequence": body["data"]["sequence"]}


async def test_the_third_try_is_answered(service: Service) -> None:
    outcomes = [(await service.call(to="12025550118", text=TEXT))["status"] for _ in range(3)]

    assert outcomes[-1] == "completed"
    assert "completed" not in outcomes[:-1]


async def test_a_slow_network_shows_in_the_post_dial_delay(service: Service) -> None:
    slow, normal = await asyncio.gather(
        service.call(to="12025550115", text=TEXT), service.call(to="12025550100", text=TEXT)
    )

    assert slow["pdd_ms"] >= 8000 > normal["pdd_ms"]


async def test_loss_on_the_line_shows_in_the_quality(service: Service) -> None:
    lossy, clean = await asyncio.gather(
        service.call(to="12025550116", text=TEXT, repeat=4), service.call(to="12025550100", text=TEXT)
    )

    assert lossy["quality"]["loss_pct"] > 0 == clean["quality"]["loss_pct"]


async def _ladder(service: Service, call_id: str) -> list[str]:
    async with service.client() as http:
        response = await http.get(f"/v1/calls/{call_id}/sip", params={"format": "json"})
    assert response.status_code == 200, response.text
    words = []
    for row in response.json()["messages"]:
        first = row["first_line"].split()
        words.append(first[1] if first[0].startswith("SIP/2.0") else first[0])
    return words


def _in_order(wanted: tuple[str, ...], seen: list[str]) -> bool:
    rest = iter(seen)
    return all(word in rest for word in wanted)
