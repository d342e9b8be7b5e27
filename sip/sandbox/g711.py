"""G.711 (ITU-T G.711): A-law and µ-law to 16-bit samples and back, by tables and at C speed."""

import array
import sys
from dataclasses import dataclass
from functools import cache

RATE_HZ = 8000

# Speech on a telephone line rarely peaks under this; line noise and codec idle noise rarely reach it (-38 dBFS).
_LOUD = 400


@dataclass(frozen=True, slots=True)
class Law:
    """One companding law. `silence` is the code of the smallest positive sample."""

    name: str  # as in SDP
    payload_type: int  # static, RFC 3551
    silence: int
    low: bytes  # code -> low byte of the sample
    high: bytes  # code -> high byte of the sample
    quiet: bytes  # the codes whose sample is below the level of speech

    def decode(self, codes: bytes | bytearray) -> bytearray:
        """Little-endian PCM16, two bytes for each code."""
        pcm = bytearray(2 * len(codes))
        pcm[0::2] = codes.translate(self.low)
        pcm[1::2] = codes.translate(self.high)
        return pcm

    def encode(self, pcm: bytes) -> bytes:
        """The nearest code for each little-endian PCM16 sample."""
        samples = array.array("H", pcm)
        if sys.byteorder == "big":
            samples.byteswap()
        table = _encoder(self)
        return bytes(map(table.__getitem__, samples))

    def loud_share(self, codes: bytes) -> float:
        """The share of samples, 0 to 1, at or above the level of speech."""
        return len(codes.translate(None, self.quiet)) / len(codes) if codes else 0.0


def _a_law(code: int) -> int:
    code ^= 0x55
    step, segment = code & 0x0F, (code >> 4) & 0x07
    magnitude = (step << 4) + 8 if segment == 0 else ((step << 4) + 0x108) << (segment - 1)
    return magnitude if code & 0x80 else -magnitude


def _mu_law(code: int) -> int:
    code = ~code & 0xFF
    magnitude = ((((code & 0x0F) << 3) + 0x84) << ((code >> 4) & 0x07)) - 0x84
    return -magnitude if code & 0x80 else magnitude


def _law(name: str, payload_type: int, silence: int, samples: list[int]) -> Law:
    return Law(
        name,
        payload_type,
        silence,
        low=bytes(sample & 0xFF for sample in samples),
        high=bytes((sample >> 8) & 0xFF for sample in samples),
        quiet=bytes(code for code, sample in enumerate(samples) if abs(sample) < _LOUD),
    )


PCMA = _law("PCMA", 8, 0xD5, [_a_law(code) for code in range(256)])
PCMU = _law("PCMU", 0, 0xFF, [_mu_law(code) for code in range(256)])
LAWS = (PCMA, PCMU)


def _samples(law: Law) -> list[int]:
    return [int.from_bytes(pair, "little", signed=True) for pair in zip(law.low, law.high, strict=True)]


@cache
def _encoder(law: Law) -> bytes:
    """Code by unsigned 16-bit sample: each code owns the samples that lie nearest to its own."""
    levels = sorted((sample, code) for code, sample in enumerate(_samples(law)))
    table = bytearray(65536)
    start = -32768
    for (sample, code), (following, _) in zip(levels, [*levels[1:], (98303, 0)], strict=True):
        end = min((sample + following + 1) // 2, 32768)
        for value in range(start, end):
            table[value & 0xFFFF] = code
        start = max(start, end)
    return bytes(table)


@cache
def transcoder(source: Law, target: Law) -> bytes:
    """A table for `bytes.translate` from one law to the other."""
    return target.encode(bytes(source.decode(bytes(range(256)))))
