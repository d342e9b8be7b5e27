"""`--simulate`: the whole service without SIP, and each magic number ends as it does over a real line."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.acceptance.test_magic_numbers import TABLE, TEXT, THIRD_TRY
from tests.service import Service, running

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(120)]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Service]:
    async with running(tmp_path_factory.mktemp("simulated"), TOCSIN_SIMULATE="true") as service:
        yield service


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def seen(service: Service) -> dict[str, dict[str, Any]]:
    found = await asyncio.gather(*(service.call(to=number, text=TEXT, **row.ask) for number, row in TABLE.items()))
    return dict(zip(TABLE, found, strict=True))


@pytest.mark.parametrize("number", sorted(TABLE))
async def test_a_magic_number_ends_as_over_a_real_line(seen: dict[str, dict[str, Any]], number: str) -> None:
    expected, call = TABLE[number], seen[number]

    assert (call["status"], call["hangup_cause"]) == (expected.status, expected.cause)
    assert call["sip"]["code"] == expected.code
    assert call["hangup_source"] == expected.source
    assert call["digits"] == expected.digits
    assert {name: call[name] for name in expected.says} == expected.says


async def test_the_third_try_is_answered(service: Service) -> None:
    outcomes = [(await service.call(to=THIRD_TRY, text=TEXT))["status"] for _ in range(3)]

    assert outcomes == ["busy", "busy", "completed"]


async def test_an_override_changes_what_a_number_does(service: Service) -> None:
    call = await service.call(
        to="12025550101", text=TEXT, gather={"digits_max": 1}, sandbox={"answer_after": 0.1, "press": "5@1s"}
    )

    assert (call["status"], call["digits"]) == ("completed", "5")


async def test_readiness_says_that_it_is_simulated_and_knows_no_phone(service: Service) -> None:
    async with service.client() as http:
        checks = (await http.get("/readyz", params={"verbose": "1"})).json()["checks"]

    assert "simulated" in checks["lines"]["detail"]
    assert "phone" not in checks
    assert "tocsin-line" not in service.children()


async def test_the_way_that_is_shown_is_the_way_that_is_taken(service: Service) -> None:
    async with service.client() as http:
        shown = (await http.post("/v1/routes/simulate", json={"to": "12025550100"})).json()
    call = await service.call(to="12025550100", text=TEXT)

    assert [(row["trunk_id"], row["position"]) for row in shown["data"]] == [("sandbox", 1)]
    assert call["route"] == {"trunk": shown["trunk_id"], "hop": 1, "why": "the only one that can"}
