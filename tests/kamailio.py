"""Kamailio as the trunk's door: TLS, digest, registrar, and a way on to a carrier behind it. Loopback, free ports."""

import asyncio
import shutil
import socket
from pathlib import Path
from types import TracebackType
from typing import Self

from config.children import free_port
from tests import peer
from tests.authority import Issued
from tests.until import until

KAMAILIO = shutil.which("kamailio") or shutil.which("kamailio", path="/usr/sbin")

_CONFIG = """#!KAMAILIO
debug=2
log_stderror=yes
fork=yes
children=1
tcp_children=2
auto_aliases=no
disable_core_dump=yes
tcp_connection_lifetime=60
{listen}
mpath="/usr/lib/x86_64-linux-gnu/kamailio/modules/"
{load_tls}
loadmodule "sl.so"
loadmodule "tm.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "maxfwd.so"
loadmodule "textops.so"
loadmodule "siputils.so"
loadmodule "xlog.so"
loadmodule "usrloc.so"
loadmodule "registrar.so"
loadmodule "auth.so"
modparam("rr", "enable_full_lr", 1)
modparam("registrar", "min_expires", {min_expires})
modparam("auth", "nonce_expire", {nonce_s})
request_route {{
    xlog("L_NOTICE", "SAW|$proto|$rm|$ru|$hdr(Expires)|$hdr(Authorization)$hdr(Proxy-Authorization)\\n");
    if (has_totag()) {{
        if (loose_route()) {{ t_relay(); }}
        else if (is_method("ACK") && t_check_trans()) {{ t_relay(); }}
        exit;
    }}
    if (is_method("CANCEL")) {{ if (t_check_trans()) {{ t_relay(); }} exit; }}
    if (is_method("ACK")) {{ t_check_trans(); exit; }}
    t_check_trans();
    if (is_method("OPTIONS")) {{ sl_send_reply("200", "OK"); exit; }}
    if (is_method("REGISTER")) {{ {on_register} exit; }}
    {on_invite}
    remove_hf("Authorization"); remove_hf("Proxy-Authorization");
    record_route();
    $du = "sip:127.0.0.1:{carrier}";
    if (!t_relay()) {{ sl_reply_error(); }}
}}
"""
_TLS = """loadmodule "tls.so"
modparam("tls", "tls_method", "TLSv1.2")
modparam("tls", "certificate", "{certificate}")
modparam("tls", "private_key", "{key}")
modparam("tls", "ca_list", "{ca}")
modparam("tls", "verify_certificate", {ask})
modparam("tls", "require_certificate", {ask})
"""

NOBODY = 'sl_send_reply("486", "Busy Here"); exit;'


class Kamailio:
    """`async with Kamailio(tmp_path, ...) as door:`; it listens on `udp`, `tcp` and, with a certificate, `tls`."""

    def __init__(
        self,
        directory: Path,
        *,
        on_register: str = 'sl_send_reply("405", "Method Not Allowed");',
        on_invite: str = "",
        carrier: int = 9,
        certificate: Issued | None = None,
        clients_of: Path | None = None,  # ask callers for a certificate issued by this authority
        min_expires: int = 1,
        nonce_s: int = 300,
    ) -> None:
        self._directory = directory
        self._script = (on_register, on_invite, carrier, min_expires, nonce_s)
        self._certificate, self._clients_of = certificate, clients_of
        self._log = directory / "kamailio.log"
        self._process: asyncio.subprocess.Process | None = None
        self.udp = self.tcp = self.tls = 0

    async def __aenter__(self) -> Self:
        if KAMAILIO is None:
            raise RuntimeError("Kamailio is not installed: make peers")
        for _ in range(3):  # the free ports may have been taken meanwhile
            if await self._listens(KAMAILIO):
                return self
        raise RuntimeError(f"Kamailio does not listen: {self.log()[-2000:]}")

    async def _listens(self, program: str) -> bool:
        self.udp = free_port(socket.SOCK_DGRAM)
        self.tcp, self.tls = free_port(socket.SOCK_STREAM), free_port(socket.SOCK_STREAM)
        file = self._directory / "kamailio.cfg"
        file.write_text(self._config())
        with self._log.open("wb") as log:
            process = self._process = await asyncio.create_subprocess_exec(
                *(program, "-f", str(file), "-DD", "-E", "-m", "32", "-M", "4", "-Y", str(self._directory)),
                cwd=self._directory,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=log,
                start_new_session=True,
            )
        wanted = f":{self.tls if self._certificate else self.tcp:04X} "
        await until(lambda: process.returncode is not None or wanted in _tcp_listeners(), within_s=15)
        return process.returncode is None

    def _config(self) -> str:
        listen = [f"listen=udp:127.0.0.1:{self.udp}", f"listen=tcp:127.0.0.1:{self.tcp}"]
        load_tls = ""
        if self._certificate is not None:
            listen += ["enable_tls=yes", f"listen=tls:127.0.0.1:{self.tls}"]
            ca = self._clients_of or self._certificate.certificate
            load_tls = _TLS.format(
                certificate=self._certificate.certificate,
                key=self._certificate.key,
                ca=ca,
                ask=int(self._clients_of is not None),
            )
        on_register, on_invite, carrier, min_expires, nonce_s = self._script
        return _CONFIG.format(
            listen="\n".join(listen),
            load_tls=load_tls,
            on_register=on_register,
            on_invite=on_invite,
            carrier=carrier,
            min_expires=min_expires,
            nonce_s=nonce_s,
        )

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await peer.ended(self._process)

    def log(self) -> str:
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def saw(self, method: str) -> list[list[str]]:
        """Requests of this method: transport, method, URI, Expires, Authorization."""
        rows = [
            line.partition("SAW|")[2].split("|", 4)
            for line in self.log().replace("<null>", "").splitlines()
            if "SAW|" in line
        ]
        return [row for row in rows if row[1] == method]


def _tcp_listeners() -> str:
    return "\n".join(line for line in Path("/proc/net/tcp").read_text().splitlines() if line.split()[3:4] == ["0A"])
