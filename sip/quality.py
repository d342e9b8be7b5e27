"""How a call sounded, from what RTP and RTCP counted: the E-model of ITU-T G.107, simplified. Pure."""

import math

PACKET_MS = 20  # one RTP packet of G.711 or G.722 as we send it
_BEST = 93.2  # R with all parameters at their defaults (G.107 table 3)
_LOSS_BASE = {"PCMA": (0.0, 25.1), "PCMU": (0.0, 25.1), "G722": (13.0, 4.3)}  # Ie, Bpl: G.113 App. I; G.711 with PLC
_DELAY_KNEE_MS = 177.3  # below it delay hardly matters (G.107, the usual two-piece form of Id)


def mos(loss_pct: float | None, rtt_ms: float | None, jitter_ms: float | None, codec: str = "PCMA") -> float | None:
    """Mean opinion score 1.0-4.5 of one direction; None when loss was never reported.

    One-way delay is taken as half the round trip, plus twice the jitter that a receiver must buffer, plus one packet.
    """
    if loss_pct is None:
        return None
    equipment, robustness = _LOSS_BASE.get(codec.upper(), _LOSS_BASE["PCMA"])
    loss = min(100.0, max(0.0, loss_pct))
    effective = equipment + (95.0 - equipment) * loss / (loss + robustness)
    delay = (rtt_ms or 0.0) / 2 + 2 * (jitter_ms or 0.0) + PACKET_MS
    late = 0.024 * delay + (0.11 * (delay - _DELAY_KNEE_MS) if delay > _DELAY_KNEE_MS else 0.0)
    return _score(_BEST - late - effective)


def _score(r: float) -> float:
    if r <= 0:
        return 1.0
    if r >= 100:
        return 4.5
    return round(max(1.0, 1 + 0.035 * r + r * (r - 60) * (100 - r) * 7e-6), 2)


def loss_pct(lost: int, arrived: int) -> float | None:
    """Of all that should have arrived; None when nothing was expected."""
    expected = lost + arrived
    return round(100.0 * lost / expected, 2) if expected > 0 else None


def milliseconds(microseconds: float) -> float | None:
    """From PJSIP's microseconds; None for "never measured", which it writes as 0."""
    return round(microseconds / 1000, 2) if microseconds > 0 and math.isfinite(microseconds) else None
