"""Webhooks, the decisions (pure): how a delivery is signed, what an answer means, when to try again.

Signatures follow Standard Webhooks 1.0 (github.com/standard-webhooks): HMAC-SHA256 over `id.timestamp.body`.
"""

import base64
import os
import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import StrEnum

from standardwebhooks.webhooks import Webhook

SECRET_BYTES = 32  # the specification asks for 24 to 64
RETRY_AFTER_MOST_S = 24 * 3600.0
RETRY_MIN_S = 1.0  # a receiver that answered late never gets the next try at once
OBEYS_RETRY_AFTER = frozenset({429, 503})


class Verdict(StrEnum):
    """What one try has come to."""

    DELIVERED = "delivered"
    RETRY = "retry"
    FINAL = "final"  # refused for good
    GONE = "gone"  # 410: nobody wants these any more


@dataclass(frozen=True, slots=True)
class Schedule:
    """`retries_s[n]` belongs to the failure number n + 1: the gap after it, or the offset from the first failure."""

    name: str
    retries_s: tuple[float, ...]
    from_first_failure: bool = False
    jitter: float = 0.0  # 0.1 = plus or minus a tenth
    refusals_are_final: bool = False  # 3xx, and 4xx but 429


def standard(gaps_s: Sequence[float], jitter: float) -> Schedule:
    """As the settings say it: one gap before each try, the first of them 0."""
    return Schedule("standard", tuple(gaps_s[1:]), jitter=jitter)


STANDARD = standard((0, 5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400), jitter=0.1)  # 75.6 h, then dead letter
NINEBITS = Schedule("9bits", (30, 60, 120, 240, 480, 960, 1920, 3600), from_first_failure=True, refusals_are_final=True)


def new_secret() -> str:
    """`whsec_` and 32 random bytes in base64 (Standard Webhooks)."""
    return "whsec_" + base64.b64encode(os.urandom(SECRET_BYTES)).decode()


def sign(secrets: Sequence[str], event_id: str, body: str, at: datetime) -> dict[str, str]:
    """The three headers. Several secrets during a rotation: one signature each, and any of them verifies.

    Raises ValueError for a secret that is not base64, or none at all.
    """
    if not secrets:
        raise ValueError("a webhook needs a secret")
    moment = at.astimezone(UTC)  # the library replaces the zone instead of converting it
    signatures = [Webhook(secret).sign(event_id, moment, body) for secret in secrets]
    return {
        "webhook-id": event_id,
        "webhook-timestamp": str(int(moment.timestamp())),
        "webhook-signature": " ".join(signatures),
    }


def verdict(schedule: Schedule, status: int | None) -> Verdict:
    """Of an HTTP status; None: no answer at all (refused, reset, too late, bad certificate)."""
    if status is None:
        return Verdict.RETRY
    if 200 <= status < 300:
        return Verdict.DELIVERED
    if status == 410:
        return Verdict.GONE
    if schedule.refusals_are_final and 300 <= status < 500 and status != 429:
        return Verdict.FINAL
    return Verdict.RETRY


def retry_after(status: int | None, header: str | None, now: datetime) -> float | None:
    """Seconds the receiver asks us to wait (RFC 9110 §10.2.3, both forms), at most a day; None when it does not."""
    if status not in OBEYS_RETRY_AFTER or header is None:
        return None
    text = header.strip()
    if text.isascii() and text.isdigit():
        seconds = float(text[:12])
    else:
        try:
            moment = parsedate_to_datetime(text)
        except ValueError:
            return None
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
        seconds = (moment - now).total_seconds()
    return min(max(seconds, 0.0), RETRY_AFTER_MOST_S)


def next_try(
    schedule: Schedule,
    tries: int,
    failed_first_at: datetime,
    now: datetime,
    retry_after_s: float | None = None,
    rng: random.Random | None = None,
) -> float | None:
    """Seconds from `now` to the next try after `tries` failed ones; None: that was the last."""
    if tries > len(schedule.retries_s):
        return None
    wait_s = schedule.retries_s[tries - 1]
    if schedule.from_first_failure:
        wait_s = (failed_first_at + timedelta(seconds=wait_s) - now).total_seconds()
    if schedule.jitter:
        wait_s *= (rng or random).uniform(1 - schedule.jitter, 1 + schedule.jitter)
    return max(wait_s, retry_after_s or 0.0, RETRY_MIN_S)
