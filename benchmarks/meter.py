"""The far end's sound: one UDP port for all calls, which sends each packet back and notes when it came.

The moments are the kernel's (SO_TIMESTAMPNS), so a meter that is late to read does not blur the pace it measures.
"""

import asyncio
import socket
import struct
from collections import defaultdict
from dataclasses import dataclass
from itertools import pairwise
from typing import Self

_SO_TIMESTAMPNS = 35  # asm-generic/socket.h; the module has no name for it
_BUFFER = 4 * 1024 * 1024  # two thousand packets a second, for as long as a busy machine may keep us from reading
_PACKET_S = 0.02
_TIMESPEC = struct.Struct("@qq")


@dataclass(frozen=True, slots=True)
class Packet:
    """`at`: Unix seconds."""

    at: float
    sequence: int


@dataclass(frozen=True, slots=True)
class Pace:
    """Of packets that follow one another: how far from 20 ms apart, in milliseconds. `lost`: numbers never seen."""

    deviations_ms: list[float]
    lost: int
    streams: int


class Meter:
    """Context manager; `port` is for the SDP. A stream is a source address and its SSRC."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        self._socket.setblocking(False)
        self._socket.bind(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self._streams: dict[tuple[int, int], list[Packet]] = defaultdict(list)

    def __enter__(self) -> Self:
        asyncio.get_running_loop().add_reader(self._socket, self._read)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()

    def _read(self) -> None:
        while True:
            try:
                data, about, _, sender = self._socket.recvmsg(2048, 64)
                self._socket.sendto(data, sender)
            except BlockingIOError:
                return
            except ConnectionRefusedError:  # the caller has hung up: its port is closed when our echo arrives
                continue
            if len(data) < 12 or not about:
                continue
            seconds, nanoseconds = _TIMESPEC.unpack(about[0][2])
            sequence, source = struct.unpack_from("!xxH4xI", data)
            self._streams[sender[1], source].append(Packet(seconds + nanoseconds / 1e9, sequence))

    def heard_since(self, at: float) -> int:
        """Streams with a packet after that moment."""
        return sum(packets[-1].at >= at for packets in self._streams.values())

    def pace(self, begin: float, end: float) -> Pace:
        """Between two moments (Unix seconds), of the streams that sounded all the time."""
        deviations: list[float] = []
        lost = streams = 0
        for packets in self._streams.values():
            if packets[0].at > begin or packets[-1].at < end:
                continue
            inside = [packet for packet in packets if begin <= packet.at <= end]
            streams += 1
            for before, after in pairwise(inside):
                step = (after.sequence - before.sequence) & 0xFFFF
                if step == 1:
                    deviations.append(abs(after.at - before.at - _PACKET_S) * 1000)
                elif step < 0x8000:
                    lost += step - 1
        return Pace(deviations, lost, streams)
