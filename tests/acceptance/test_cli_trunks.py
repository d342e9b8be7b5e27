"""Trunks as an operator keeps them: a file, a running service, and what the commands say of the two."""

import asyncio
import json
import os
import pty
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.command import Said, ended, tocsin, towards
from tests.service import LIVE_KEY, TEST_KEY, Service, running
from tests.until import until
from voice.explain import Exit

pytestmark = [pytest.mark.sip, pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(90)]

SECRET = "s3cret-CANARY"
CARRIER = """
[trunks.carrier]
host = "127.0.0.1:9"
channels = {channels}
username = "alarm"
password = {{ env = "CARRIER_PASSWORD" }}
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Service]:
    async with running(tmp_path_factory.mktemp("trunks")) as service:
        yield service


@pytest_asyncio.fixture(loop_scope="module")
async def file(tmp_path: Path, service: Service) -> AsyncIterator[Path]:
    """A trunk file of one carrier; afterwards the service has no trunk of a file any more."""
    path = tmp_path / "trunks.toml"
    path.write_text(CARRIER.format(channels=4))
    yield path
    path.write_text("[trunks]\n")
    assert (await as_operator(service, "apply", str(path), "--yes")).code == Exit.OK


async def as_operator(service: Service, *arguments: str, key: str = LIVE_KEY, **environ: str) -> Said:
    return await tocsin(*arguments, **towards(service, key), **{"CARRIER_PASSWORD": SECRET, **environ})


async def test_plan_apply_plan(service: Service, file: Path) -> None:
    planned = await as_operator(service, "plan", str(file))
    applied = await as_operator(service, "apply", str(file), "--yes")
    again = await as_operator(service, "apply", str(file), "--yes")
    nothing = await as_operator(service, "plan", str(file))

    assert (planned.code, planned.out.splitlines()) == (Exit.DIFFERS, ["+ carrier", "1 to make; 0 unchanged."])
    assert (applied.code, applied.out) == (Exit.OK, "carrier made\n")
    assert (again.code, again.out) == (Exit.OK, "No change: 1 trunk as the file says.\n")
    assert (nothing.code, nothing.out) == (Exit.OK, "Nothing to do; 1 unchanged.\n")


async def test_a_difference_is_shown_member_by_member_and_no_secret_is(service: Service, file: Path) -> None:
    await as_operator(service, "apply", str(file), "--yes")
    file.write_text(CARRIER.format(channels=7))

    planned = await as_operator(service, "plan", str(file), CARRIER_PASSWORD="other-CANARY")
    listed = await as_operator(service, "trunk", "list", "--file", str(file))
    as_json = await as_operator(service, "plan", str(file), "--json")

    assert planned.out.splitlines() == [
        "~ carrier",
        "    limits.channels: 4 → 7",
        "    auth.password: changed",
        "1 to change; 0 unchanged.",
    ]
    assert (
        " ".join(listed.out.split()) == "carrier ready udp 127.0.0.1:9 managed by trunks.toml, differs: limits.channels"
    )
    assert as_json.json["changes"][0]["differences"] == [{"path": "limits.channels", "before": 4, "after": 7}]
    assert "CANARY" not in planned.out + listed.out + as_json.out + "".join(service.log)


async def test_the_list_says_that_nothing_drifted_until_something_did(service: Service, file: Path) -> None:
    await as_operator(service, "apply", str(file), "--yes")
    calm = await as_operator(service, "trunk", "list", TOCSIN_TRUNKS=str(file))
    file.write_text("[trunks]\n")
    gone = await as_operator(service, "trunk", "list", TOCSIN_TRUNKS=str(file))

    assert "managed by trunks.toml, no drift" in calm.out
    assert "differs: not in the file" in gone.out


async def test_the_status_says_why_no_call_leaves(service: Service, file: Path) -> None:
    await as_operator(service, "apply", str(file), "--yes")
    async with service.client(LIVE_KEY) as http:
        await http.post("/v1/trunks/carrier/drain")
    said = await as_operator(service, "trunk", "status", "carrier")
    missing = await as_operator(service, "trunk", "status", "nowhere")

    assert said.out.splitlines()[0].split(maxsplit=2)[:2] == ["carrier", "draining"]
    assert "udp 127.0.0.1:9, static, as alarm" in said.out
    assert "takes no calls: it is draining" in said.out
    assert missing.code == Exit.NOT_FOUND


async def test_with_json_an_error_is_what_the_service_answered(service: Service) -> None:
    said = await as_operator(service, "trunk", "status", "nowhere", "--json")

    assert (said.code, json.loads(said.err)["status"], said.out) == (Exit.NOT_FOUND, 404, "")


async def test_without_a_terminal_apply_wants_to_be_told(service: Service, file: Path) -> None:
    said = await as_operator(service, "apply", str(file))

    assert (said.code, "--yes" in said.err) == (Exit.USAGE, True)
    assert (await as_operator(service, "plan", str(file))).code == Exit.DIFFERS


@pytest.mark.parametrize(("answer", "code"), [(b"y\n", Exit.DIFFERS), (b"n\n", Exit.OK), (b"\n", Exit.OK)])
async def test_on_a_terminal_apply_asks(service: Service, file: Path, answer: bytes, code: int) -> None:
    ours, theirs = pty.openpty()
    try:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "voice", "apply", str(file)),
            env={**os.environ, **towards(service, LIVE_KEY), "CARRIER_PASSWORD": SECRET},
            stdin=theirs, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        os.write(ours, answer)
        said = await ended(process)
    finally:
        os.close(ours)
        os.close(theirs)
    file.write_text("[trunks]\n")

    assert "Apply? [y/N]" in said.out + said.err
    assert (await as_operator(service, "plan", str(file))).code == code  # something to remove, when it was applied


async def test_a_test_key_leaves_live_trunks_alone_and_says_so(service: Service, file: Path) -> None:
    said = await as_operator(service, "plan", str(file), key=TEST_KEY)

    assert (said.code, "1 trunk of the other kind left alone" in said.out) == (Exit.OK, True)
    assert "comes with the service" in (await as_operator(service, "trunk", "list", key=TEST_KEY)).out


@pytest.mark.parametrize("command", ["plan", "apply"])
async def test_a_wrong_file_is_named_before_anything_is_sent(service: Service, tmp_path: Path, command: str) -> None:
    path = tmp_path / "trunks.toml"
    path.write_text('[trunks.a]\nhost = "a"\nchanels = 5\n')

    said = await as_operator(service, command, str(path))

    assert (said.code, said.err) == (
        Exit.CONFIG,
        f"tocsin: {path}: [trunks.a] chanels: unknown key; did you mean channels?\n",
    )


async def test_what_only_the_server_can_know_is_told_with_its_trunk(service: Service, tmp_path: Path) -> None:
    path = tmp_path / "trunks.toml"
    path.write_text('[trunks.a]\nhost = "127.0.0.1"\ntransport = "tls"\ntls = { ca = "/not/there.pem" }\n')

    said = await as_operator(service, "plan", str(path))

    assert (said.code, "a: tls.ca: cannot be read" in said.err) == (Exit.USAGE, True)


# -- the service's own file


async def test_a_started_service_has_what_its_file_says_and_keeps_what_the_api_made(tmp_path: Path) -> None:
    path, data = tmp_path / "trunks.toml", tmp_path / "data"
    path.write_text(CARRIER.format(channels=4) + '[trunks.second]\nhost = "127.0.0.1:9"\n')
    environ = {"TOCSIN_TRUNKS": str(path), "CARRIER_PASSWORD": SECRET}

    async def kept(service: Service) -> dict[str, tuple[str, int]]:
        async with service.client(LIVE_KEY) as http:
            trunks = (await http.get("/v1/trunks")).json()["data"]
        return {trunk["id"]: (trunk["managed_by"], trunk["limits"]["channels"]) for trunk in trunks}

    async with running(data, **environ) as service:
        await until(lambda: kept(service), 10)
        first = await kept(service)
        async with service.client(LIVE_KEY) as http:
            await http.post("/v1/trunks", json={"id": "by-hand", "host": "127.0.0.1:9"})
    path.write_text(CARRIER.format(channels=5))
    async with running(data, **environ) as service:
        await until(lambda: kept(service), 10)
        second = await kept(service)
        said = await as_operator(service, "trunk", "list", TOCSIN_TRUNKS=str(path))

    assert first == {"carrier": ("file", 4), "second": ("file", 20)}
    assert second == {"carrier": ("file", 5), "by-hand": ("api", 20)}
    assert [line.split(maxsplit=1)[0] for line in said.out.splitlines()] == ["by-hand", "carrier"]
    stored = [found for found in (data / "valkey").rglob("*") if found.is_file()]
    assert any(b"by-hand" in found.read_bytes() for found in stored)
    assert [found.name for found in stored if SECRET.encode() in found.read_bytes()] == []
    assert SECRET not in "".join(service.log)


# -- settings


async def test_check_reads_what_serve_would_read_and_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "trunks.toml"
    path.write_text('[trunks.a]\nhost = "a"\nusername = "u"\npassword = { env = "PW" }\n')
    environ = {"TOCSIN_TRUNKS": str(path), "TOCSIN_DATA_DIR": str(tmp_path / "data"), "PW": SECRET}

    good = await tocsin("config", "check", **environ)
    alone = await tocsin("config", "check", str(path), PW=SECRET)
    bad = await tocsin("config", "check", **environ | {"PW": ""})
    wrong = await tocsin("config", "check", TOCSIN_HTTP__PRT="1")

    assert (good.code, f"{path}: good, 1 trunk" in good.out, "! a: the login goes over UDP" in good.out) == (
        0,
        True,
        True,
    )
    assert (alone.code, alone.out.splitlines()[0]) == (0, f"{path}: good, 1 trunk")
    assert (bad.code, "[trunks.a.password] env: gives no password" in bad.err) == (Exit.CONFIG, True)
    assert (wrong.code, "did you mean http.port?" in wrong.err) == (Exit.CONFIG, True)
    assert not (tmp_path / "data").exists()
    assert SECRET not in good.out + good.err + alone.out


async def test_show_says_where_each_value_comes_from_and_hides_secrets(tmp_path: Path) -> None:
    settings = tmp_path / "tocsin.toml"
    settings.write_text('log_level = "debug"\n[http]\nport = 1\n')
    environ = {
        "TOCSIN_CONFIG": str(settings),
        "TOCSIN_HTTP__PORT": "2",
        "TOCSIN_SECRET_KEY": SECRET * 3,
        "TOCSIN_API_KEYS": f"tk_test_{SECRET}",
        "TOCSIN_REDIS_URL": f"redis://user:{SECRET}@store:6379/0",
    }

    told = await tocsin("config", "show", "--origin", **environ)
    as_json = await tocsin("config", "show", "--json", **environ)

    rows = {line.split()[0]: line.split()[1:] for line in told.out.splitlines()}
    assert rows["http.port"] == ["2", "TOCSIN_HTTP__PORT"]
    assert rows["log_level"] == ['"debug"', str(settings)]
    assert rows["http.host"] == ['"127.0.0.1"', "default"]
    assert rows["store.redis_url"] == ['"redis://store:6379/0"', "TOCSIN_REDIS_URL"]
    assert {row["name"]: row["origin"] for row in as_json.json}["secret_key"] == "TOCSIN_SECRET_KEY"
    assert SECRET not in told.out + json.dumps(as_json.json)
