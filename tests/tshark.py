"""tshark as the judge of a capture: what it dissects, as dictionaries of fields."""

import asyncio
import shutil
from pathlib import Path

import pytest

TSHARK = shutil.which("tshark")
needs_tshark = pytest.mark.skipif(TSHARK is None, reason="tshark is not installed: make peers")

FIELDS = (
    "frame.time_epoch",
    "frame.protocols",
    "frame.comment",
    "eth.src",
    "ip.src",
    "ipv6.src",
    "ip.dst",
    "ipv6.dst",
    "udp.srcport",
    "udp.dstport",
    "ip.checksum.status",  # 1: good
    "udp.checksum.status",
    "sip.Method",
    "sip.Status-Code",
    "sip.CSeq.method",
    "sip.Call-ID",
    "sdp.media.port",
    "_ws.malformed",
)


async def dissected(capture: Path) -> list[dict[str, str]]:
    """One dictionary for each frame."""
    asked = [word for field in FIELDS for word in ("-e", field)]
    checks = ["-o", "ip.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE"]
    text = await _run("-r", str(capture), "-n", *checks, "-T", "fields", "-E", "separator=/t", *asked)
    return [dict(zip(FIELDS, line.split("\t"), strict=True)) for line in text.splitlines()]


async def words(capture: Path) -> str:
    """Everything tshark can tell of the file, its comments too."""
    return await _run("-r", str(capture), "-n", "-V")


async def _run(*arguments: str) -> str:
    process = await asyncio.create_subprocess_exec(
        str(TSHARK), *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, err.decode()
    return out.decode("utf-8", "replace")
