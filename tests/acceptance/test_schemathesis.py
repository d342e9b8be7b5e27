"""schemathesis against the running service: every check on, data that fits the description and data that does not.

`SCHEMATHESIS_CASES=200 pytest tests/acceptance/test_schemathesis.py` makes that many cases per operation and adds the
coverage phase; by default it is small enough for every run.
"""

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest

from tests.service import TEST_KEY, running

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
CASES = int(os.environ.get("SCHEMATHESIS_CASES", "0"))
CASES_IN_CI = 15  # per operation
AT_LEAST = 300  # all phases together, or something is not being tested
ANSWER_WITHIN_S = 5
BOUND_S = 3600 if CASES else 170


@pytest.mark.sip
@pytest.mark.timeout(BOUND_S + 30)
async def test_no_request_breaks_the_api_and_every_answer_is_as_described(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    async with running(tmp_path / "data") as service:
        process = await asyncio.create_subprocess_exec(
            str(Path(sys.executable).parent / "schemathesis"),
            *("--config-file", str(HERE / "schemathesis.toml"), "run", f"{service.url}/openapi.json"),
            *("-H", f"Authorization: Bearer {TEST_KEY}", "--no-color", "--continue-on-failure"),
            *("--request-timeout", str(ANSWER_WITHIN_S), "--max-response-time", str(ANSWER_WITHIN_S)),
            *("--max-examples", str(CASES or CASES_IN_CI), *(() if CASES else ("--seed", "1"))),
            *("--phases", "examples,coverage,fuzzing,stateful" if CASES else "examples,fuzzing,stateful"),
            *("--report", "json", "--report-json-path", str(report)),
            cwd=tmp_path,
            env={**os.environ, "SCHEMATHESIS_HOOKS": "tests.acceptance.schemathesis_hooks", "PYTHONPATH": str(ROOT)},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            said, _ = await asyncio.wait_for(process.communicate(), BOUND_S)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()

    found = json.loads(report.read_text())
    print(f"{found['test_cases']['generated']} cases in {found['running_time']:.0f} s, seed {found['seed']}")
    assert found["failures"] == [], said.decode()[-20_000:]
    assert found["errors"] == [], said.decode()[-20_000:]
    assert found["operations"]["tested"] == found["operations"]["total"] >= 35
    assert found["test_cases"]["generated"] >= AT_LEAST
