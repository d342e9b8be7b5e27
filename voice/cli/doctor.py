"""`tocsin doctor`: looks at this machine the way a call would, and says how to mend what is wrong."""

import asyncio
import errno
import functools
import json
import os
import resource
import shutil
import socket
import sys
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from pathlib import Path

from config.logs import configure
from config.settings import Settings, load
from voice.cli.clock import Instant, judge, read
from voice.cli.finding import Finding
from voice.cli.progress import Progress
from voice.explain import Exit

DISK_LEAST_BYTES = 500 * 1024 * 1024
FILES_LEAST = 1024
ASKED_WITHIN_S = 3.0  # the API answers /readyz within its own bound of two seconds or says 503


def run_doctor(*, as_json: bool) -> int:
    settings = load(os.environ)  # a wrong setting ends here, in words, with exit 3
    configure("doctor", "error")  # its own findings are the talk here
    findings = asyncio.run(_examine(settings, told_at_once=not as_json))
    if as_json:
        print(json.dumps([asdict(finding) for finding in findings]))
    return Exit.OK if all(finding.ok or not finding.required for finding in findings) else Exit.UNEXPECTED


Examination = Callable[[Settings], Awaitable[list[Finding]]]


async def _examine(settings: Settings, *, told_at_once: bool) -> list[Finding]:
    began = Instant.now()
    examinations: dict[str, Examination] = {
        "python": _python,
        "voices": _voices,
        "lines": _lines,
        "store": _store,
        "disk": _disk,
        "files": _files,
        "trunks": _trunks,
        "port": _port,
        "clock": functools.partial(_clock, began),  # last: it also tells whether the clock was moved meanwhile
    }
    found: list[Finding] = []
    for name, examine in examinations.items():
        try:
            async with Progress(f"looking at {name}"):
                new = await examine(settings)
        except Exception as error:  # noqa: BLE001 - a broken examination is itself a finding
            new = [Finding(name, False, f"{type(error).__name__}: {error}")]
        found += new
        for finding in new if told_at_once else ():
            print(f"  {finding.mark} {finding.name:<10} {finding.detail}", flush=True)
            if not finding.ok and finding.fix:
                print(f"    {'':<10} → {finding.fix}", flush=True)
    return found


async def _python(_: Settings) -> list[Finding]:
    good = (3, 11) <= sys.version_info[:2] <= (3, 12)
    return [Finding("python", good, sys.version.split()[0], "use Python 3.11 or 3.12: the PJSIP wheel ends there")]


async def _voices(settings: Settings) -> list[Finding]:
    from media.speech import SpeechError, Utterance
    from voice.compose import speech_engines

    found = []
    for engine in speech_engines(settings):
        try:
            sound = await engine.speak(Utterance("One, two, three.", "en-gb"))
            found.append(Finding("voice", True, f"{engine.name}: {sound.seconds:.1f} s rendered"))
        except SpeechError as error:
            # One silent engine is no fault as long as another speaks.
            fix = f"nothing, if the others are enough; else install {engine.name}, or take it out of speech.engines"
            fix = fix if engine.name != "gtts" else "it needs the internet; without, take it out of speech.engines"
            found.append(Finding("voice", False, f"{engine.name}: not now ({error})", fix, required=False))
    if not any(finding.ok for finding in found):
        found.append(Finding("voice", False, "no engine speaks", "apt-get install flite, or check speech.engines"))
    return found


async def _lines(settings: Settings) -> list[Finding]:
    from sip.line import LinesDown
    from voice.compose import probe_lines

    try:
        detail = await probe_lines(settings)
    except LinesDown as error:
        return [Finding("lines", False, str(error), "install pjsua2-python (Linux x86_64), or use --simulate")]
    return [Finding("lines", True, detail)]


async def _store(settings: Settings) -> list[Finding]:
    from messaging.embedded import EmbeddedValkey
    from messaging.store import connect, durability

    if settings.store.redis_url is None:
        with tempfile.TemporaryDirectory(prefix="tocsin-doctor-") as folder:
            async with EmbeddedValkey(Path(folder)) as valkey:
                redis = connect(valkey.url)
                found = await durability(redis, settings.store.policy)
                await redis.aclose()
        return [Finding("store", found.ok, f"embedded, {found.version}", "; ".join(found.reasons))]
    redis = connect(settings.store.redis_url)
    try:
        found = await durability(redis, settings.store.policy)
    finally:
        await redis.aclose()
    return [Finding("store", found.ok, f"{found.version}, policy {settings.store.policy}", "; ".join(found.reasons))]


async def _disk(settings: Settings) -> list[Finding]:
    place = settings.data_dir if settings.data_dir.exists() else Path.cwd()
    free = shutil.disk_usage(place).free
    detail = f"{free // 1024**2} MB free at {place}"
    return [Finding("disk", free >= DISK_LEAST_BYTES, detail, "free some space: a full disk stops the store")]


async def _files(_: Settings) -> list[Finding]:
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return [Finding("files", limit >= FILES_LEAST, f"{limit} open files allowed", "ulimit -n 4096")]


async def _trunks(settings: Settings) -> list[Finding]:
    from sip.trunk_file import TrunkError, load_trunks

    if settings.trunks is None:
        return [
            Finding(
                "trunks", True, "no file: they come from the API; without any, only the catch-all phone can be called"
            )
        ]
    try:
        trunks = load_trunks(settings.trunks, os.environ)
    except TrunkError as error:
        return [Finding("trunks", False, str(error), "config/trunks.example.toml shows every field")]
    return [Finding("trunks", True, ", ".join(trunk.id for trunk in trunks) or "the file names none")]


async def _port(settings: Settings) -> list[Finding]:
    host, port = settings.http.host, settings.http.port
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as serve does: what has just ended is no obstacle
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE and await _is_ours(host, port):
                return [Finding("port", True, f"{host}:{port}: Tocsin runs there")]
            detail = f"{host}:{port}: {error.strerror}"
            return [Finding("port", False, detail, "serve with --port 0, or stop what listens there")]
    return [Finding("port", True, f"{host}:{port} is free")]


async def _is_ours(host: str, port: int) -> bool:
    """Whether what listens there answers as our API does; ready or not."""
    from voice.cli.client import Client, ClientError

    async with Client(f"http://{'127.0.0.1' if host == '0.0.0.0' else host}:{port}", "", ASKED_WITHIN_S) as client:
        try:
            said = await client.get("/readyz", verbose="1")
        except ClientError as error:
            said = error.body
    checks = said.get("checks")
    return isinstance(checks, dict) and {"api", "store", "lines"} <= checks.keys()


async def _clock(began: Instant, settings: Settings) -> list[Finding]:
    from messaging.store import connect

    if settings.store.redis_url is None:
        return [judge(await read(began, None))]
    redis = connect(settings.store.redis_url)

    async def store_time_s() -> float:
        seconds, microseconds = await redis.time()
        return float(seconds) + float(microseconds) / 1e6

    try:
        return [judge(await read(began, store_time_s))]
    finally:
        await redis.aclose()
