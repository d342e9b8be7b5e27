"""/sandbox/v1/chaos: declared, read, ended; test keys only."""

import pytest

from sip.sandbox.faults import Chaos
from tests.api_door import LIVE_KEY, PLAIN_KEY, Door, bearer

PATH = "/sandbox/v1/chaos"
CALM = {
    "on": False,
    "busy_pct": 0,
    "trunk_503_pct": 0,
    "no_bye_pct": 0,
    "wrong_codec_pct": 0,
    "loss_pct": 0,
    "delay_ms": 0,
    "seed": None,
}


async def test_chaos_is_declared_whole_read_and_ended(door: Door) -> None:
    assert (await door.get(PATH)).json() == CALM

    declared = await door.client.put(PATH, json={"busy_pct": 10, "delay_ms": 2000, "seed": 7})
    assert declared.json() == CALM | {"on": True, "busy_pct": 10, "delay_ms": 2000, "seed": 7}
    assert (await door.get(PATH)).json() == declared.json()
    assert await door.api.chaos.declared() == Chaos(busy_pct=10, delay_ms=2000, seed=7)

    assert (await door.client.put(PATH, json={"loss_pct": 2})).json() == CALM | {"on": True, "loss_pct": 2}
    assert (await door.client.delete(PATH)).json() == CALM
    assert (await door.client.delete(PATH)).status_code == 200
    assert (await door.get(PATH)).json() == CALM


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"busy_pct": 101}, "#/busy_pct"),
        ({"busy_pct": "10%"}, "#/busy_pct"),
        ({"busy_pct": 0.5}, "#/busy_pct"),
        ({"loss_pct": 51}, "#/loss_pct"),
        ({"delay_ms": -1}, "#/delay_ms"),
        ({"busy": 10}, "#/busy"),
        ({"busy_pct": 60, "no_bye_pct": 60}, "#"),
    ],
)
async def test_what_cannot_be_is_refused_and_changes_nothing(door: Door, body: dict[str, object], pointer: str) -> None:
    refused = await door.client.put(PATH, json=body)

    assert refused.status_code == 422
    assert [error["pointer"] for error in refused.json()["errors"]] == [pointer]
    assert (await door.get(PATH)).json() == CALM


@pytest.mark.parametrize("key", [LIVE_KEY, PLAIN_KEY])
async def test_only_a_test_key_that_may_send_makes_chaos(door: Door, key: str) -> None:
    for method in ("GET", "PUT", "DELETE"):
        answered = await door.client.request(
            method, PATH, headers=bearer(key), json={"busy_pct": 1} if method == "PUT" else None
        )
        assert answered.status_code == 403, method
    assert (await door.get(PATH)).json() == CALM
