"""The examples as a newcomer runs them: as programs, against the running service and its catch-all phone."""

import asyncio
import contextlib
import os
import re
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from config.children import free_port
from tests.service import TEST_KEY, Service, running
from tests.until import until

pytestmark = [pytest.mark.sip, pytest.mark.timeout(90), pytest.mark.asyncio(loop_scope="module")]

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
COMMAND = (sys.executable, "-m", "voice")
WITHIN_S = 60.0


@contextlib.asynccontextmanager
async def a_service(data: Path) -> AsyncIterator[Service]:
    """With the webhook settings that the tutorial names. A call that still rings is cut off."""
    settings = {"TOCSIN_WEBHOOKS__GUARD": "true", "TOCSIN_WEBHOOKS__ALLOW": "127.0.0.0/8"}
    async with running(data, **settings, TOCSIN_DIALER__DRAIN_S="1") as service:
        yield service


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Service]:
    """One for all that leave it as it was."""
    async with a_service(tmp_path_factory.mktemp("service")) as service:
        yield service


@pytest.fixture
def environ(service: Service) -> dict[str, str]:
    return environ_of(service)


def environ_of(service: Service) -> dict[str, str]:
    """What the examples read."""
    secret = (service.data / "webhook.secret").read_text().strip()
    return os.environ | {"TOCSIN_URL": service.url, "TOCSIN_API_KEY": TEST_KEY, "TOCSIN_WEBHOOK_SECRET": secret}


async def run(environ: dict[str, str], *command: str) -> tuple[int | None, str]:
    process = await asyncio.create_subprocess_exec(
        *command, env=environ, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    out, _ = await asyncio.wait_for(process.communicate(), WITHIN_S)
    return process.returncode, out.decode()


def example(name: str, *arguments: str) -> tuple[str, ...]:
    return sys.executable, str(EXAMPLES / name), *arguments


async def test_the_examples_ring_the_phone_and_tell_what_happened(environ: dict[str, str]) -> None:
    by_curl, too_late, alerted, not_alerted, reminded = await asyncio.gather(
        run(environ, str(EXAMPLES / "curl.sh")),
        run(environ, *COMMAND, "call", "12025550102", "--say", "Hello", "--wait", "--timeout", "2"),
        run(environ, *example("alert.py", "12025550101", "12025550110", "Disk full. Press 1.")),
        run(environ, *example("alert.py", "12025550104", "Disk full. Press 1.")),
        run(environ, *example("press_one.py", "12025550110", "12025550111", "12025550101", "0802")),
    )

    code, text = by_curl
    assert code == 0, text
    assert '"digits":"1"' in text
    assert "INVITE (SDP" in text
    assert "BYE" in text
    code, text = too_late
    assert code == 124, "a phone that rings for ever was waited for longer than asked"
    assert text.split()[1] in ("queued", "dialing", "ringing")
    assert alerted == (0, "12025550101: busy, user_busy, keys none\n12025550110: acknowledged\n")
    assert not_alerted == (1, "12025550104: failed, unallocated_number, keys none\n")
    code, text = reminded
    assert code == 0, text
    told = {line.split()[0]: line.split(maxsplit=1)[1] for line in text.splitlines()}
    assert told["12025550110"] == "confirmed"
    assert told["12025550111"] == "cancelled"
    assert told["12025550101"] == "busy"
    assert told["0802"].startswith("not called: ")


async def test_every_curl_line_of_the_pages_is_answered(tmp_path: Path) -> None:
    """In a service of its own: some of them make trunks to nowhere, over which calls would go."""
    async with a_service(tmp_path / "data") as service:
        call = await service.call(to="12025550110", text="Hello.")
        async with service.client() as http:  # the phone writes down what it heard when the call is over
            await http.get("/sandbox/v1/heard/latest", params={"call_id": call["call_id"], "wait": 10})
            login = {"type": "register", "username": "alarm", "password": "secret"}
            made = await http.post(
                "/v1/trunks", json={"id": "lagos-1", "host": "127.0.0.1:9", "sandbox": True, **login}
            )

            async def has_registered() -> bool:
                return (await http.get("/v1/trunks/lagos-1/registration/sip")).status_code == 200

            await until(has_registered, WITHIN_S)
        known = {"CALL_ID": call["call_id"], "REF_ID": call["ref_id"], "CURSOR": "0-0", "PLACE": str(tmp_path)}
        environ = environ_of(service) | known
        lines = [(page.name, _here(line, service.url)) for page in PAGES for line in _curl_lines(page)]
        # Limits hold from the moment when they are set: the calls of the other pages go first.
        first, last = ([one for one in lines if ("-X PUT" in one[1]) is late] for late in (False, True))
        results = [
            result
            for part in (first, last)
            for result in await asyncio.gather(
                *(run(environ, "sh", "-c", f'cd "$PLACE" && {line}') for _, line in part)
            )
        ]

    assert made.status_code == 201
    assert len(lines) > 15
    tried = zip((*first, *last), results, strict=True)
    assert [(page, line, said) for (page, line), (code, said) in tried if code] == []


def _curl_lines(page: Path) -> list[str]:
    """Each curl command in a block of shell, with the lines it goes on in."""
    blocks = re.findall(r"^```sh\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    return [
        command for block in blocks for command in re.findall(r"^curl (?:[^'\n\\]|\\\n|'[^']*')*", block, re.MULTILINE)
    ]


def _here(line: str, url: str) -> str:
    """The line as it is, but for the service's address and key; an HTTP error is a failure."""
    line = re.sub(r"tk_test_(demo|laptop)", TEST_KEY, line.replace("127.0.0.1:8088", url))
    return line.removesuffix("|").rstrip().replace("curl ", "curl --fail-with-body ", 1)


async def test_the_receiver_takes_what_is_signed_and_refuses_what_is_not(
    service: Service, environ: dict[str, str]
) -> None:
    port = free_port(socket.SOCK_STREAM)
    url = f"http://127.0.0.1:{port}/hook"
    async with receiver(environ, port) as out:
        async with service.client() as http:
            forged = await http.post(url, json={"type": "call.ended"}, headers={"webhook-id": "evt_forged"})
            call = await service.call(to="12025550101", text="Hello.", callback_url=url)
        line = await asyncio.wait_for(out.readline(), WITHIN_S)

    assert forged.status_code == 401
    assert call["status"] == "busy"
    assert line.decode().split() == ["call.ended", "12025550101", "busy", "keys", "-"]


@contextlib.asynccontextmanager
async def receiver(environ: dict[str, str], port: int) -> AsyncIterator[asyncio.StreamReader]:
    process = await asyncio.create_subprocess_exec(
        *example("webhook_receiver.py", "--port", str(port)),
        env=environ,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert process.stdout is not None
    try:
        await asyncio.wait_for(_listening(port), WITHIN_S)
        yield process.stdout
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def _listening(port: int) -> None:
    while True:
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
            await writer.wait_closed()
            return
        await asyncio.sleep(0.05)
