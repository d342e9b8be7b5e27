"""Every other command as a person types it: its words, its exit code, and never a traceback."""

import asyncio
import io
import os
import re
import sys
import time
import wave
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from messaging.embedded import embedded_url
from tests.command import Said, on_terminal, started, tocsin, towards
from tests.service import Service, running
from voice.explain import Exit
from voice.serve import VALKEY

pytestmark = [pytest.mark.sip, pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(90)]

ROOT = Path(__file__).resolve().parents[2]
NOBODY = "http://127.0.0.1:9"  # discard: nothing listens there


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Service]:
    async with running(tmp_path_factory.mktemp("cli")) as service:
        yield service


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (("call", "12025550100", "--say", "x", "--api-key", "tk_test_wrong"), Exit.AUTH, "no valid API key"),
        (("call", "112", "--say", "x"), Exit.NEVER_DIALLED, "Emergency"),
        (("call", "+1202555", "--say", "x"), Exit.USAGE, "too short"),
        (("call", "12025550100", "--say", "x", "--url", NOBODY), Exit.UNREACHABLE, "cannot reach"),
        (("call", "12025550100", "--say", "x", "--url", "nonsense"), Exit.UNREACHABLE, "cannot reach nonsense"),
        (("call", "12025550100", "--say", "x", "--gather", "99"), Exit.USAGE, "--gather"),
        (("call",), Exit.USAGE, "TO"),
        (("call", "1", "--say", "x", "--nonsense"), Exit.USAGE, "--nonsense"),
        (("nonsense",), Exit.USAGE, "nonsense"),
        (("say", "x", "--speed", "9"), Exit.USAGE, "--speed"),
        (("say", "x", "-o", "/nowhere/x.wav"), Exit.UNEXPECTED, "/nowhere/x.wav"),
        (("say", ""), Exit.USAGE, "nothing to say"),
        (("say", "x" * 2000), Exit.USAGE, "2000 characters"),
        (("say", "x", "--language", "tlh"), Exit.USAGE, "'tlh'"),
        (("say", "<speak>x", "--ssml"), Exit.USAGE, "not well-formed"),
        (("say", "<voice>x</voice>", "--ssml"), Exit.USAGE, "voice"),
        (("explain", "OVER_LIMT"), Exit.NOT_FOUND, "OVER_LIMIT"),
        (("keys", "create", "--expires-days", "500"), Exit.USAGE, "--expires-days"),
        (("keys", "list", "--data", "/nowhere"), Exit.CONFIG, "no service is running"),
        (("readyz", "--url", NOBODY), Exit.UNREACHABLE, "cannot reach"),
    ],
)
async def test_an_error_is_one_clear_line_and_its_exit_code(
    service: Service, arguments: tuple[str, ...], code: int, word: str
) -> None:
    environ = {"TOCSIN_SPEECH__ENGINES": "flite,espeak-ng"}
    said = await tocsin(*arguments, **towards(service) | environ)

    assert (said.code, said.out) == (code, "")
    assert said.err.startswith("tocsin: ")
    assert word in said.err
    assert said.err.count("\n") == 1


# -- settings: named, before anything starts

WRONG: dict[str, tuple[dict[str, str], str]] = {
    "an unknown setting": ({"TOCSIN_HTTP__PRT": "1"}, "http.prt (did you mean http.port?)"),
    "no number": ({"TOCSIN_LINES__MOST": "x"}, "lines.most"),
    "a key that is none": ({"TOCSIN_API_KEYS": "tk_live_"}, "api_keys"),
    "a live key that others can guess": ({"TOCSIN_API_KEYS": "tk_live_a", "TOCSIN_HTTP__HOST": "0.0.0.0"}, "api_keys"),
    "a block that is none": ({"TOCSIN_WEBHOOKS__ALLOW": "nonsense"}, "webhooks.allow"),
    "an engine nobody knows": ({"TOCSIN_SPEECH__ENGINES": "nonsense"}, "speech.engines"),
    "a pepper too short": ({"TOCSIN_KEY_PEPPER": "x"}, "key_pepper"),
    "a key for secrets too short": ({"TOCSIN_SECRET_KEY": "x"}, "secret_key"),
    "a trunk file that is missing": ({"TOCSIN_TRUNKS": "/nowhere/trunks.toml"}, "/nowhere/trunks.toml"),
    "a store that is none": ({"TOCSIN_REDIS_URL": "http://store"}, "store.redis_url"),
    "a settings file that is missing": ({"TOCSIN_CONFIG": "/nowhere/tocsin.toml"}, "/nowhere/tocsin.toml"),
    "a place that cannot be written": ({"TOCSIN_DATA_DIR": "/proc/tocsin"}, "data_dir"),
}


@pytest.mark.parametrize("case", sorted(WRONG))
async def test_a_wrong_setting_is_named_and_nothing_starts(tmp_path: Path, case: str) -> None:
    environ, word = WRONG[case]
    said = await tocsin("serve", "--port", "0", **{"TOCSIN_DATA_DIR": str(tmp_path)} | environ)

    assert (said.code, said.out) == (Exit.CONFIG, "")
    assert word in said.err
    assert said.err.count("\n") == 1
    assert not (tmp_path / "valkey").exists()


@pytest.mark.parametrize("content", ["[trunks.x", "[trunks.x]\n"])
async def test_a_broken_trunk_file_is_named_with_its_place(tmp_path: Path, content: str) -> None:
    trunks = tmp_path / "trunks.toml"
    trunks.write_text(content)
    said = await tocsin("serve", "--port", "0", "--data", str(tmp_path / "d"), TOCSIN_TRUNKS=str(trunks))

    assert said.code == Exit.CONFIG
    assert said.err.startswith(f"tocsin: trunks: {trunks}: ")


async def test_a_password_in_the_trunk_file_is_told_once_by_all_processes(tmp_path: Path) -> None:
    trunks = tmp_path / "trunks.toml"
    login = 'host = "127.0.0.1"\nusername = "u"\npassword = { plain = "x" }\n'
    trunks.write_text(f"[trunks.lagos-1]\n{login}[trunks.abuja]\n{login}")
    async with running(tmp_path / "data", TOCSIN_TRUNKS=str(trunks)) as service:
        await service.stop()

    told = [line for line in service.log if "a password stands in" in line]
    assert [name for line in told for name in ("lagos-1", "abuja") if f"[trunks.{name}]" in line] == [
        "lagos-1",
        "abuja",
    ]


@pytest.mark.parametrize("role", ["api", "dialer", "courier", "phone"])
async def test_a_role_alone_says_that_it_needs_a_store(tmp_path: Path, role: str) -> None:
    said = await tocsin(role, TOCSIN_DATA_DIR=str(tmp_path))

    assert said.code == Exit.CONFIG
    assert "TOCSIN_REDIS_URL is not set" in said.err


async def test_a_port_that_is_taken_is_named(service: Service, tmp_path: Path) -> None:
    port = service.url.rpartition(":")[2]
    said = await tocsin("serve", "--port", port, "--data", str(tmp_path))

    assert said.code == Exit.UNEXPECTED
    assert f"127.0.0.1:{port}: Address already in use" in said.err


async def test_two_services_on_one_directory_are_refused(service: Service) -> None:
    said = await tocsin("serve", "--port", "0", "--data", str(service.data))

    assert said.code == Exit.UNEXPECTED
    assert "another Tocsin already runs" in said.err


async def test_without_pjsip_the_reason_comes_in_words(tmp_path: Path) -> None:
    """A wheel that is there and does not load; simulated by a module of that name that raises."""
    (tmp_path / "pjsua2.py").write_text("raise ImportError('libssl.so.3: cannot open')\n")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "voice", "serve", "--port", "0", "--data", str(tmp_path / "d")),
        env=os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(60):
            # It is told for the trunk that has no lines, and the service goes on: its calls wait.
            await process.stdout.readuntil(b"PJSIP cannot be loaded: ImportError: libssl.so.3")
    finally:
        process.terminate()
        said, _ = await process.communicate()

    assert process.returncode == 0, said.decode()


# -- keys


async def test_a_key_works_until_it_is_revoked_and_not_a_second_longer(service: Service) -> None:
    data = ("--data", str(service.data))
    made = (await tocsin("keys", "create", "--name", "short-lived", "--json", *data)).json
    async with service.client(made["key"]) as http:
        assert (await http.get("/v1/calls")).status_code == 200  # and is cached now
        said = await tocsin("keys", "revoke", made["key_id"], *data)
        revoked = time.monotonic()
        asked = revoked
        while (await http.get("/v1/calls")).status_code != 401:
            assert asked - revoked < 1.0  # asked later than a second after, it has to be refused
            asked = time.monotonic()
    listed = (await tocsin("keys", "list", *data)).out

    assert (said.code, said.out) == (0, "revoked\n")
    [row] = [line for line in listed.splitlines() if made["key_id"] in line]
    assert "revoked" in row
    assert made["key"] not in listed
    assert made["scopes"] == ["send", "read", "admin"]


async def test_revoking_a_key_that_is_none_is_not_found(service: Service) -> None:
    said = await tocsin("keys", "revoke", "key_none", "--data", str(service.data))

    assert (said.code, said.out) == (Exit.NOT_FOUND, "")


# -- the rest


async def test_readyz_is_silent_when_ready(service: Service) -> None:
    assert await tocsin("readyz", "--url", service.url) == Said(0, "", "")


async def test_say_writes_a_file_that_sounds(tmp_path: Path) -> None:
    file = tmp_path / "hello.wav"
    environ = {"TOCSIN_SPEECH__ENGINES": "flite,espeak-ng", "TOCSIN_DATA_DIR": str(tmp_path)}
    said = await tocsin("say", "Hello there.", "-o", str(file), "--json", **environ)

    assert said.code == 0
    assert said.json["seconds"] > 0.5
    assert file.stat().st_size > 8000


async def test_say_that_finds_no_voice_is_no_fault_of_the_text(tmp_path: Path) -> None:
    environ = {"TOCSIN_SPEECH__ENGINES": "flite", "TOCSIN_DATA_DIR": str(tmp_path), "PATH": "/nowhere"}
    said = await tocsin("say", "Hello there.", "-o", str(tmp_path / "x.wav"), **environ)

    assert said.code == Exit.UNEXPECTED
    assert "flite is installed here" in said.err


async def test_say_tells_which_voice_it_could_not_use(tmp_path: Path) -> None:
    file = str(tmp_path / "hello.wav")
    environ = {"TOCSIN_SPEECH__ENGINES": "flite", "TOCSIN_DATA_DIR": str(tmp_path)}
    words = await tocsin("say", "Hello there.", "--voice", "nosuch", "-o", file, **environ)
    table = await tocsin("say", "Hello there.", "--voice", "nosuch", "-o", file, "--json", **environ)

    assert (words.code, table.code) == (0, 0)
    assert re.fullmatch(r"tocsin: warning: .*nosuch.*\n", words.err)
    assert table.err == ""
    assert "nosuch" in table.json["warnings"][0]


async def test_say_leaves_nothing_but_the_wav(tmp_path: Path) -> None:
    """Rendered audio is kept in the user's cache; without one, nowhere."""
    here, cache = tmp_path / "here", tmp_path / "cache"
    here.mkdir()
    for place in (str(cache), "/proc/nowhere"):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "voice", "say", "Hello there.",
            cwd=here, stdout=asyncio.subprocess.DEVNULL,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": place, "TMPDIR": str(tmp_path)}
            | {"TOCSIN_SPEECH__ENGINES": "flite,espeak-ng"},
        )  # fmt: skip
        assert await asyncio.wait_for(process.wait(), 60) == 0

        assert [path.name for path in here.iterdir()] == ["out.wav"]
    assert [path.suffix for path in cache.rglob("*flite*") if path.is_file()].count(".wav") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache", "here"]


async def test_say_writes_to_stdout_when_asked(tmp_path: Path) -> None:
    environ = {"TOCSIN_SPEECH__ENGINES": "flite,espeak-ng", "TOCSIN_DATA_DIR": str(tmp_path)}
    process = await started("say", "Hello there.", "-o", "-", **environ)
    out, err = await asyncio.wait_for(process.communicate(), 60)

    assert process.returncode == 0
    with wave.open(io.BytesIO(out)) as sound:
        assert sound.getnframes() > sound.getframerate() / 2
    assert "flite" in err.decode()


async def test_magic_lists_every_number_and_what_it_does() -> None:
    said = await tocsin("magic", "--json")

    assert {"number": "12025550101", "title": "is busy"} in said.json


async def test_doctor_finds_this_machine_fit(tmp_path: Path) -> None:
    environ = {"TOCSIN_SPEECH__ENGINES": "flite,espeak-ng", "TOCSIN_DATA_DIR": str(tmp_path), "TOCSIN_HTTP__PORT": "0"}
    said = await tocsin("doctor", "--json", **environ)

    assert (said.code, said.err) == (0, "")
    assert {row["name"] for row in said.json} >= {
        "python",
        "voice",
        "lines",
        "store",
        "disk",
        "files",
        "trunks",
        "port",
        "clock",
    }
    assert all(row["ok"] for row in said.json)
    (lines,) = [row["detail"] for row in said.json if row["name"] == "lines"]
    assert re.search(r", [2-9] calls per process", lines)  # the wheel was compiled for 4


async def test_doctor_says_on_a_terminal_what_it_looks_at(tmp_path: Path) -> None:
    environ = {"TOCSIN_SPEECH__ENGINES": "espeak-ng", "TOCSIN_DATA_DIR": str(tmp_path), "TOCSIN_HTTP__PORT": "0"}
    said, shown = await on_terminal("doctor", **environ)

    assert said.code == Exit.OK
    looked_at = list(dict.fromkeys(re.findall(r"looking at (\w+)  \d+ s", shown)))
    assert looked_at == ["python", "voices", "lines", "store", "disk", "files", "trunks", "port", "clock"]
    assert shown.endswith("\r\x1b[K")


async def test_doctor_says_when_no_voice_speaks(tmp_path: Path) -> None:
    environ = {"TOCSIN_SPEECH__ENGINES": "flite", "TOCSIN_DATA_DIR": str(tmp_path), "PATH": "/nowhere"}
    said = await tocsin("doctor", **environ)

    assert said.code == Exit.UNEXPECTED
    assert "no engine speaks" in said.out
    assert "apt-get install flite" in said.out


async def test_doctor_marks_the_engine_that_is_silent_while_another_speaks(tmp_path: Path) -> None:
    """A flite that is there and ends at once."""
    flite = tmp_path / "flite"
    flite.write_text("#!/bin/sh\nexit 1\n")
    flite.chmod(0o755)
    environ = {"TOCSIN_SPEECH__ENGINES": "flite,espeak-ng", "TOCSIN_DATA_DIR": str(tmp_path), "TOCSIN_HTTP__PORT": "0"}
    said = await tocsin("doctor", PATH=f"{tmp_path}:{os.environ['PATH']}", **environ)

    assert said.code == Exit.OK
    assert re.search(r"^  ! voice +flite: not now", said.out, re.MULTILINE)
    assert re.search(r"^  ✓ voice +espeak-ng", said.out, re.MULTILINE)


async def test_doctor_beside_a_service_knows_its_port_and_its_store(service: Service) -> None:
    environ = {
        "TOCSIN_SPEECH__ENGINES": "espeak-ng",
        "TOCSIN_DATA_DIR": str(service.data),
        "TOCSIN_HTTP__PORT": service.url.rpartition(":")[2],
        "TOCSIN_REDIS_URL": embedded_url(service.data / VALKEY),
    }
    said = await tocsin("doctor", "--json", **environ)
    told = {row["name"]: row for row in said.json}

    assert said.code == Exit.OK
    assert (told["port"]["ok"], told["port"]["detail"].endswith("Tocsin runs there")) == (True, True)
    assert re.match(r"0\.\d\d s (behind|ahead of) the store's clock; ", told["clock"]["detail"])


async def test_doctor_finds_somebody_else_on_our_port(tmp_path: Path) -> None:
    """One that answers, with something that is not ours."""

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
        writer.close()

    stranger = await asyncio.start_server(answer, "127.0.0.1", 0)
    environ = {"TOCSIN_SPEECH__ENGINES": "espeak-ng", "TOCSIN_DATA_DIR": str(tmp_path)}
    async with stranger:
        port = str(stranger.sockets[0].getsockname()[1])
        said = await tocsin("doctor", TOCSIN_HTTP__PORT=port, **environ)

    assert said.code == Exit.UNEXPECTED
    assert re.search(rf"^  ✗ port +127.0.0.1:{port}: Address already in use", said.out, re.MULTILINE)


@pytest.mark.parametrize("arguments", [(), ("keys",)])
async def test_help_fits_the_terminal(arguments: tuple[str, ...]) -> None:
    said = await tocsin(*arguments, "--help")

    assert said.code == 0
    assert all(len(line) <= 80 for line in said.out.splitlines())
    assert not re.search(r"\w\.\.\.$", said.out, re.MULTILINE)  # no description is cut off


async def test_help_loads_nothing_of_the_service() -> None:
    code = "import sys; from voice.cli.main import main; main(['--help']); print(sorted(sys.modules), file=sys.stderr)"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
    )
    _, err = await process.communicate()

    assert process.returncode == 0
    heavy = ("pydantic", "redis", "fastapi", "numpy", "httpx2", "structlog", "rich")
    assert [name for name in heavy if f"'{name}'" in err.decode()] == []
