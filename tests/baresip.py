"""Baresip as the phone at the far end: answers by itself, says a file, keeps what it hears, presses keys."""

import asyncio
import shutil
import socket
from pathlib import Path
from types import TracebackType
from typing import Self

import soundfile

from config.children import free_port
from media.speech import Sound
from tests import peer
from tests.authority import Issued
from tests.until import until

BARESIP = shutil.which("baresip")

_CONFIG = """module_path /usr/lib/baresip/modules
net_interface 127.0.0.1
sip_listen 127.0.0.1:{port}
{certificate}
module g711.so
module g722.so
module srtp.so
module aufile.so
module sndfile.so
module_app account.so
module_app menu.so
module_app ctrl_tcp.so
ctrl_tcp_listen 127.0.0.1:{control}
snd_path {directory}
audio_source aufile,{says}
audio_buffer 20-160
"""


class Baresip:
    """`async with Baresip(tmp_path, number, says=...) as phone:`; `udp` serves UDP and TCP, `tls` is one above.

    `says`: a WAV, 8 kHz, mono (16 kHz for G722). `secret`: baresip's media encryption, "srtp" or "srtp-mand".
    """

    def __init__(
        self,
        directory: Path,
        number: str,
        *,
        says: str,
        secret: str = "",
        codecs: str = "PCMA/8000/1,PCMU/8000/1",
        certificate: Issued | None = None,
        account: str = "",  # more parameters of its account
    ) -> None:
        self._directory = directory / "baresip"
        self._heard = self._directory / "heard"
        self._heard.mkdir(parents=True)
        self._number, self._says, self._codecs, self._account = number, says, codecs, account
        self._secret, self._certificate = secret, certificate
        self._log = self._directory / "baresip.log"
        self._process: asyncio.subprocess.Process | None = None
        self.udp = self.tls = self.control = 0

    async def __aenter__(self) -> Self:
        if BARESIP is None:
            raise RuntimeError("baresip is not installed: make peers")
        for _ in range(3):
            if await self._listens(BARESIP):
                return self
        raise RuntimeError(f"baresip does not listen: {self.log()[-2000:]}")

    async def _listens(self, program: str) -> bool:
        self.udp, self.control = free_port(socket.SOCK_STREAM), free_port(socket.SOCK_STREAM)
        self.tls = self.udp + 1
        certificate = f"sip_certificate {self._certificate.both}" if self._certificate else ""
        config = _CONFIG.format(
            port=self.udp,
            control=self.control,
            certificate=certificate,
            directory=self._heard,
            says=self._says,
        )
        (self._directory / "config").write_text(config)
        encryption = f";mediaenc={self._secret}" if self._secret else ""
        (self._directory / "accounts").write_text(
            f"<sip:{self._number}@127.0.0.1>;regint=0;answermode=auto;audio_codecs={self._codecs}"
            f"{encryption}{self._account}\n"
        )
        (self._directory / "contacts").write_text("")
        with self._log.open("wb") as log:
            process = self._process = await asyncio.create_subprocess_exec(
                *(program, "-f", str(self._directory), "-s"),
                cwd=self._directory,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        await until(lambda: process.returncode is not None or "baresip is ready" in self.log())
        return process.returncode is None and "failed" not in self.log()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await peer.ended(self._process)

    def log(self) -> str:
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    async def heard(self) -> Sound:
        """The last call's sound as it arrived, once the call is over and the file is written."""
        path = await until(lambda: next(iter(sorted(self._heard.glob("dump-*-dec.wav"), reverse=True)), None))
        await until(lambda: soundfile.info(path).frames)  # the header is written when the file is closed
        samples, rate = soundfile.read(path, dtype="float32")
        return Sound(samples, rate)
