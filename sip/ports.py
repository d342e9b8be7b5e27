"""RTP port ranges, one per line process: even, disjoint, and never shared by two services on one machine.

PJSIP opens RTP ports only while a call is up, so a range that looks free may be somebody's. Each block therefore has a
guard port at its end, which nobody uses for media: whoever has it bound owns the block, and the kernel gives it back
when the owner dies, however it dies.
"""

import os
import socket
from dataclasses import dataclass

from sip.selfcheck import RANGE_PER_CALL

_RTCP_AND_GUARD = 4  # PJSIP may use two ports past the range; then the guard, then one port to stay even
_LOWEST, _HIGHEST = 20000, 32700  # below the ports that Linux gives to clients (32768 and up)
_TRIES = 1000


class NoFreePorts(Exception):
    """No block of the wanted size is free on that address."""


@dataclass(slots=True)
class PortBlock:
    """RTP uses `base` .. `base + range + 1`. Owned until `release`."""

    base: int
    range: int
    _guard: socket.socket | None

    def release(self) -> None:
        """Harmless when repeated."""
        if self._guard is not None:
            self._guard.close()
            self._guard = None


def claim(address: str, first: int, calls: int, last: int = 0) -> PortBlock:
    """The first free block for so many calls at or after port `first` (0: anywhere below 32700), up to `last`.

    Raises NoFreePorts, also when the address is not one of this machine's.
    """
    span = RANGE_PER_CALL * calls
    step = span + _RTCP_AND_GUARD
    highest = last or (65535 if first else _HIGHEST)
    start = first + first % 2 if first else _somewhere(step)
    bases = [start + n * step for n in range(_TRIES)]
    if not first:
        bases += [_LOWEST + n * step for n in range(_TRIES)]  # around once
    for base in bases:
        if base + step - 1 > highest:
            continue
        guard = _bind(address, base + span + 2)
        if guard is None:
            continue
        if _all_free(address, base, span + 2):
            return PortBlock(base, span, guard)
        guard.close()
    until = f" to {last}" if last else " on"
    raise NoFreePorts(f"no {step} free UDP ports on {address} from {start}{until}")


def free_sip_port(address: str, first: int, most: int) -> int:
    """The first port at or after `first` that nobody uses now; 0 (the system chooses) when `first` is 0."""
    if not first:
        return 0
    for port in range(first, min(first + most, 65535) + 1):
        probe = _bind(address, port)
        if probe is not None:
            probe.close()
            return port
    raise NoFreePorts(f"no free SIP port on {address} from {first} on")


def _somewhere(step: int) -> int:
    """Services that start together should not walk the same way."""
    blocks = (_HIGHEST - _LOWEST) // step
    return _LOWEST + (os.getpid() % max(1, blocks)) * step


def _bind(address: str, port: int) -> socket.socket | None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    probe = socket.socket(family, socket.SOCK_DGRAM)
    try:
        probe.bind((address, port))
    except OSError:
        probe.close()
        return None
    return probe


def _all_free(address: str, base: int, count: int) -> bool:
    for port in range(base, base + count):
        probe = _bind(address, port)
        if probe is None:
            return False
        probe.close()
    return True
