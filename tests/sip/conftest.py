"""Fixtures of the line tests: SIPp as the carrier, line processes that call it, and an ear behind the carrier."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests import sipp
from tests.sip.bench import Bench


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with AsyncExitStack() as stack:
        yield Bench(stack, tmp_path)


@pytest.fixture
async def ear() -> AsyncIterator[sipp.Ear]:
    async with sipp.Ear(talks=True) as one:
        yield one
