"""A process of the service is lost: it comes back, and the next call is heard. One service, one role after another."""

import contextlib
import os
import signal
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
import pytest_asyncio

from tests.service import Service, running
from tests.until import until

pytestmark = [pytest.mark.sip, pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(120)]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Service]:
    async with running(tmp_path_factory.mktemp("roles")) as service:
        yield service


@pytest.mark.parametrize("role", ["api", "dialer", "courier", "phone"])
async def test_a_role_that_is_killed_comes_back_and_the_next_call_is_heard(service: Service, role: str) -> None:
    first = service.children()[role]
    os.kill(first, signal.SIGKILL)
    await until(lambda: service.children().get(role, first) != first, 20)
    call = await _called_when_possible(service)

    assert call["status"] == "completed"


async def _called_when_possible(service: Service) -> dict[str, Any]:
    """A call; the api may be the one that is coming back, so connecting may take a moment."""

    async def called() -> dict[str, Any] | None:
        with contextlib.suppress(httpx2.HTTPError):
            call = await service.call(to="12025550100", text="Still here.")
            return None if call["hangup_cause"] == "trunk_timeout" else call  # the phone is still coming back
        return None

    call = await until(called, 30)
    assert call is not None
    return call
