"""`tocsin doctor`: looks at this machine the way a call would, and says how to mend what is wrong."""

import asyncio
import json
import os
import resource
import shutil
import socket
import sys
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from config.logs import configure
from config.settings import Settings, load

DISK_LEAST_BYTES = 500 * 1024 * 1024
FILES_LEAST = 1024


@dataclass(frozen=True, slots=True)
class Finding:
    name: str
    ok: bool
    detail: str
    fix: str = ""


def run_doctor(*, as_json: bool) -> int:
    settings = load(os.environ)  # a wrong setting ends here, in words, with exit 3
    configure("doctor", "error")  # its own findings are the talk here
    findings = asyncio.run(_examine(settings))
    if as_json:
        print(json.dumps([asdict(finding) for finding in findings]))
    else:
        for finding in findings:
            print(f"  {'✓' if finding.ok else '✗'} {finding.name:<10} {finding.detail}")
            if not finding.ok and finding.fix:
                print(f"    {'':<10} → {finding.fix}")
    return 0 if all(finding.ok for finding in findings) else 1


async def _examine(settings: Settings) -> list[Finding]:
    examinations: list[Callable[[Settings], Awaitable[list[Finding]]]] = [
        _python,
        _voices,
        _lines,
        _store,
        _disk,
        _files,
        _trunks,
        _port,
    ]
    found: list[Finding] = []
    for examine in examinations:
        try:
            found += await examine(settings)
        except Exception as error:  # noqa: BLE001 - a broken examination is itself a finding
            found.append(Finding(examine.__name__.strip("_"), False, f"{type(error).__name__}: {error}"))
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
            # One silent engine is no fault as long as another speaks; the list says which.
            found.append(Finding("voice", True, f"{engine.name}: not now ({error})"))
    spoke = any("rendered" in finding.detail for finding in found)
    if not spoke:
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
    with socket.socket() as probe:
        try:
            probe.bind((settings.http.host, settings.http.port))
        except OSError as error:
            detail = f"{settings.http.host}:{settings.http.port}: {error.strerror}"
            return [Finding("port", False, detail, "serve with --port 0, or stop what listens there")]
    return [Finding("port", True, f"{settings.http.host}:{settings.http.port} is free")]
