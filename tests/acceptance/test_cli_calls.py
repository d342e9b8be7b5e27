"""`tocsin call`: its exit code is how the call ended."""

import asyncio
import json
import re
import signal
import time
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.command import Said, ended, on_terminal, started, tocsin, towards
from tests.service import TEST_KEY, Service, running
from voice.explain import Exit

pytestmark = [pytest.mark.sip, pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(90)]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Service]:
    async with running(tmp_path_factory.mktemp("cli")) as service:
        yield service


async def call(service: Service, *arguments: str, key: str = TEST_KEY) -> Said:
    return await tocsin("call", *arguments, **towards(service, key))


ENDS = {
    "12025550100": (Exit.OK, "Answered"),
    "12025550101": (Exit.BUSY, "busy"),
    "12025550103": (Exit.DECLINED, "declined"),
    "12025550104": (Exit.NOT_IN_SERVICE, "does not exist"),
    "12025550105": (Exit.NO_ANSWER, "switched off"),
    "12025550106": (Exit.TRUNK_FAILURE, "trunk"),
    "12025550109": (Exit.NO_AUDIO, "no sound"),
    "12025550117": (Exit.TRUNK_FAILURE, "trunk"),
}


@pytest.mark.parametrize("number", sorted(ENDS))
async def test_the_exit_code_of_a_call_is_how_it_ended(service: Service, number: str) -> None:
    said = await call(service, number, "--say", "Hello there.", "--wait")

    code, word = ENDS[number]
    assert (said.code, said.err) == (code, "")
    assert word in said.out


@pytest.mark.parametrize(
    ("number", "more", "code"),
    [
        ("12025550110", (), Exit.OK),
        ("12025550114", (), Exit.WRONG_KEY),
        ("12025550111", ("--keys", "1"), Exit.WRONG_KEY),
        ("12025550111", ("--keys", "12"), Exit.OK),
    ],
)
async def test_a_call_that_asks_for_keys_tells_whether_one_came(
    service: Service, number: str, more: tuple[str, ...], code: int
) -> None:
    said = await call(service, number, "--say", "Press a key.", "--gather", "1", "--wait", *more)

    assert said.code == code, said


async def test_a_call_that_takes_too_long_is_a_timeout_and_goes_on(service: Service) -> None:
    began = time.monotonic()
    said = await call(service, "12025550102", "--say", "Hello", "--wait", "--timeout", "1.5")

    assert said.code == Exit.TIMEOUT
    assert "ringing" in said.out
    assert time.monotonic() - began < 10


async def test_without_waiting_the_call_is_only_placed(service: Service) -> None:
    said = await call(service, "12025550100", "--say", "Hello")

    assert said.code == Exit.OK
    assert re.fullmatch(r"call_\w{26}  queued\n", said.out)


async def test_what_a_test_key_cannot_have_is_told(service: Service) -> None:
    asked = ("12025550101", "--say", "Hello", "--trunk", "nosuch")
    words = await call(service, *asked)
    table = await call(service, *asked, "--wait", "--json")

    assert (words.code, words.err) == (
        Exit.OK,
        "tocsin: warning: trunk_id was ignored: test keys reach the sandbox only.\n",
    )
    assert (table.code, table.err) == (Exit.BUSY, "")
    assert table.json["warnings"] == ["trunk_id was ignored: test keys reach the sandbox only."]


async def test_waiting_shows_on_a_terminal_how_far_the_call_is(service: Service) -> None:
    """A pipe stays quiet: that is in the first test of this file."""
    asked = ("call", "12025550110", "--say", "Press one.", "--gather", "1", "--wait")
    said, shown = await on_terminal(*asked, **towards(service))

    assert said.code == Exit.OK
    assert said.out.startswith("Answered after")
    assert re.search(r"\r\x1b\[K  answered  \d+ s", shown)
    assert shown.endswith("\r\x1b[K")  # and leaves no trace
    assert "\n" not in shown


async def test_following_prints_a_line_per_state_on_stderr(service: Service) -> None:
    said = await call(service, "12025550110", "--say", "Press one.", "--gather", "1", "--follow")

    states = [line.split()[1] for line in said.err.splitlines()]
    expected = ["queued", "dialing", "ringing", "answered", "dtmf", "ended"]
    assert states == [f"call.{word}" for word in expected]
    assert said.out.startswith("Answered after")


async def test_following_as_json_prints_one_object_a_line_and_the_call_last(service: Service) -> None:
    said = await call(service, "12025550101", "--say", "Hello", "--follow", "--json")

    *events, last = [json.loads(line) for line in said.out.splitlines()]
    assert [event["type"] for event in events] == ["call.queued", "call.dialing", "call.ended"]
    assert (last["status"], said.err) == ("busy", "")


async def test_ctrl_c_hangs_up_politely(service: Service) -> None:
    process, call_id = await _interrupted(service, times=1)

    assert process.code == Exit.INTERRUPTED
    assert "hung up by request" in process.out
    assert call_id is None


async def test_ctrl_c_twice_leaves_the_call_alone(service: Service) -> None:
    process, call_id = await _interrupted(service, times=2)

    assert process.code == Exit.INTERRUPTED
    assert call_id is not None
    async with service.client() as http:
        found = await http.get(f"/v1/calls/{call_id}")
        assert found.json()["status"] in ("answered", "completed")
        await http.post(f"/v1/calls/{call_id}/hangup")


async def _interrupted(service: Service, times: int) -> tuple[Said, str | None]:
    """Ctrl-C after the answer; the call's id when the command says that it goes on."""
    text = "One. Two. Three. Four. Five. Six. Seven. Eight. Nine. Ten. Eleven. Twelve. Thirteen. Fourteen."
    process = await started("call", "12025550100", "--say", text, "--follow", **towards(service))
    assert process.stderr is not None
    head = b""
    while b"call.answered" not in head:
        head += await asyncio.wait_for(process.stderr.readline(), 20)
    process.send_signal(signal.SIGINT)
    if times == 2:
        await process.stderr.readline()  # it was understood
        process.send_signal(signal.SIGINT)
    said = await ended(process)
    goes_on = re.search(r"goes on without us: (\w+)", said.err)
    return said, goes_on[1] if goes_on else None
