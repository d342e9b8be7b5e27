"""Signing, verdicts and schedules."""

import random
from datetime import UTC, datetime, timedelta, timezone

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from messaging.events import envelope, flat
from messaging.webhooks import (
    NINEBITS,
    STANDARD,
    Verdict,
    new_secret,
    next_try,
    retry_after,
    sign,
    standard,
    verdict,
)

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
VECTOR_SECRET = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # published by the specification
VECTOR = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize("zone", [UTC, timezone(timedelta(hours=1)), timezone(timedelta(hours=-7))])
@pytest.mark.parametrize("secret", [VECTOR_SECRET, f"whsec_{VECTOR_SECRET}"])
def test_the_published_vector_comes_out_in_any_time_zone(zone, secret):
    at = datetime.fromtimestamp(1614265330, UTC).astimezone(zone)

    headers = sign([secret], "msg_p5jXN8AQM9LWM0D4loKWxJek", '{"test": 2432232314}', at)

    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": VECTOR,
    }


def test_the_library_accepts_either_secret_while_one_is_being_replaced():
    old, new, stranger = new_secret(), new_secret(), new_secret()
    body = flat({"text": "née ☎ \ud800"})

    headers = sign([new, old], "evt_1", body, datetime.now(UTC))

    for secret in (old, new):
        Webhook(secret).verify(body.encode(), headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(stranger).verify(body.encode(), headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(new).verify(body.encode() + b" ", headers)


def test_a_signature_is_refused_after_six_minutes():
    secret = new_secret()

    headers = sign([secret], "evt_1", "{}", datetime.now(UTC) - timedelta(minutes=6))

    with pytest.raises(WebhookVerificationError, match="too old"):
        Webhook(secret).verify(b"{}", headers)


def test_nothing_goes_out_unsigned():
    with pytest.raises(ValueError, match="needs a secret"):
        sign([], "evt_1", "{}", NOW)


def test_secrets_are_long_and_never_the_same():
    import base64

    one = new_secret()

    assert one.startswith("whsec_")
    assert len(base64.b64decode(one[6:])) == 32
    assert one != new_secret()


def test_the_envelope_is_the_standard_one():
    text = envelope("call.ended", NOW, {"call_id": "call_1", "sequence": 4})

    assert (
        text == '{"type":"call.ended","timestamp":"2026-11-20T12:00:00.000Z","data":{"call_id":"call_1","sequence":4}}'
    )


def test_what_is_no_json_is_not_sent():
    with pytest.raises(ValueError, match="JSON"):
        flat({"mos": float("nan")})


@pytest.mark.parametrize(
    ("status", "by_standard", "by_9bits"),
    [
        (200, Verdict.DELIVERED, Verdict.DELIVERED),
        (204, Verdict.DELIVERED, Verdict.DELIVERED),
        (299, Verdict.DELIVERED, Verdict.DELIVERED),
        (100, Verdict.RETRY, Verdict.RETRY),
        (301, Verdict.RETRY, Verdict.FINAL),
        (304, Verdict.RETRY, Verdict.FINAL),
        (400, Verdict.RETRY, Verdict.FINAL),
        (401, Verdict.RETRY, Verdict.FINAL),
        (404, Verdict.RETRY, Verdict.FINAL),
        (410, Verdict.GONE, Verdict.GONE),
        (429, Verdict.RETRY, Verdict.RETRY),
        (500, Verdict.RETRY, Verdict.RETRY),
        (503, Verdict.RETRY, Verdict.RETRY),
        (None, Verdict.RETRY, Verdict.RETRY),
    ],
)
def test_each_answer_has_its_verdict(status, by_standard, by_9bits):
    assert verdict(STANDARD, status) is by_standard
    assert verdict(NINEBITS, status) is by_9bits


def test_the_standard_schedule_makes_ten_tries_in_seventy_five_hours():
    steady = standard((0, 5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400), jitter=0)

    waits = [next_try(steady, tries, NOW, NOW) for tries in range(1, 11)]

    assert waits == [5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400, None]
    assert len(STANDARD.retries_s) + 1 == 10
    assert sum(wait for wait in waits if wait) / 3600 == pytest.approx(75.6, abs=0.1)


def test_jitter_stays_within_a_tenth():
    rng = random.Random(7)

    waits = [next_try(STANDARD, 3, NOW, NOW, rng=rng) for _ in range(500)]

    assert all(wait is not None and 1620 <= wait <= 1980 for wait in waits)
    assert len(set(waits)) > 400


def test_the_9bits_schedule_counts_from_the_first_failure():
    at = [0]
    while (wait := next_try(NINEBITS, len(at), NOW, NOW + timedelta(seconds=at[-1]))) is not None:
        at.append(round(at[-1] + wait))

    assert at == [0, 30, 60, 120, 240, 480, 960, 1920, 3600]


def test_a_receiver_that_answers_late_does_not_get_the_next_try_at_once():
    assert next_try(NINEBITS, 2, NOW, NOW + timedelta(seconds=90)) == 1.0


def test_retry_after_only_ever_lengthens_the_wait():
    assert next_try(NINEBITS, 1, NOW, NOW, retry_after_s=5) == 30
    assert next_try(NINEBITS, 1, NOW, NOW, retry_after_s=500) == 500
    assert next_try(NINEBITS, 9, NOW, NOW, retry_after_s=500) is None


@pytest.mark.parametrize(
    ("status", "header", "seconds"),
    [
        (503, "120", 120.0),
        (429, " 7 ", 7.0),
        (429, "0", 0.0),
        (503, "99999999999999999999", 86400.0),
        (503, "Fri, 20 Nov 2026 12:10:00 GMT", 600.0),
        (503, "Fri, 20 Nov 2026 11:00:00 GMT", 0.0),
        (503, "Fri, 20 Nov 2099 11:00:00 GMT", 86400.0),
        (503, "-5", None),
        (503, "soon", None),
        (503, "１２", None),
        (503, "", None),
        (503, None, None),
        (500, "120", None),
        (None, "120", None),
    ],
)
def test_retry_after_is_read_in_both_forms_and_clamped(status, header, seconds):
    assert retry_after(status, header, NOW) == seconds
