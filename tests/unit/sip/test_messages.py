"""What is read from a SIP message, and what is kept of one."""

import pytest

from sip.messages import TEXT_MAX, Answer, masked, read_answer, read_log, reason_of

BUSY = (
    "SIP/2.0 486 Busy Here\r\nVia: SIP/2.0/UDP 10.0.0.1\r\n"
    'reason: SIP;cause=486,\r\n Q.850 ;cause=17;text="User busy"\r\nCall-ID: abc\r\nCSeq: 7 INVITE\r\n\r\n'
)


def test_an_answer_is_read_word_for_word() -> None:
    assert read_answer(BUSY) == Answer(486, "Busy Here", 'SIP;cause=486, Q.850 ;cause=17;text="User busy"', 17)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "SIP/2.0 503 No\r\nRetry-After: 120 (maintenance);duration=3600\r\n\r\n",
            Answer(503, "No", retry_after_s=120),
        ),
        ("SIP/2.0 503 No\r\nRetry-After: soon\r\n\r\n", Answer(503, "No")),
        ("SIP/2.0 183 Progress\r\nc: application/sdp\r\n\r\nv=0", Answer(183, "Progress", has_sdp=True)),
        ("SIP/2.0 600\r\n\r\n", Answer(600, "")),
        ("SIP/2.0 480 Gone\r\nReason: Q.850;text=x;cause=20\r\n\r\n", Answer(480, "Gone", "Q.850;text=x;cause=20", 20)),
        ("INVITE sip:1@h SIP/2.0\r\n\r\n", None),
        ("", None),
    ],
)
def test_answers_of_all_shapes(text: str, expected: Answer | None) -> None:
    assert read_answer(text) == expected


def test_a_bye_has_a_reason_too() -> None:
    assert reason_of("BYE sip:x SIP/2.0\r\nReason: Q.850;cause=31\r\n\r\n") == ("Q.850;cause=31", 31)
    assert reason_of("BYE sip:x SIP/2.0\r\n\r\n") == (None, None)


def test_a_log_entry_gives_the_message_in_it() -> None:
    entry = f"RX 310 bytes Response msg 486/INVITE/cseq=7 (rdata0x1) from UDP 127.0.0.1:5070:\n{BUSY}\n--end msg--"

    seen = read_log(entry)

    assert seen is not None
    assert (seen.sent, seen.peer, seen.sip_call_id, seen.method, seen.code) == (
        False,
        "127.0.0.1:5070",
        "abc",
        "INVITE",
        486,
    )
    assert seen.text.startswith("SIP/2.0 486 Busy Here")


def test_other_log_entries_are_not_messages() -> None:
    assert read_log("sip_endpoint.c  .Processing incoming message: Response msg 200/BYE") is None


SECRETS = (
    "INVITE sip:1@h SIP/2.0\r\n"
    'Authorization: Digest username="u", response="c0ffee"\r\n'
    'proxy-authorization : Digest\r\n\tresponse="c0ffee"\r\n'
    "CSeq: 1 INVITE\r\n\r\n"
    "v=0\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:c0ffee\r\nk=clear:c0ffee\r\na=rtpmap:8 PCMA/8000\r\n"
)


def test_credentials_and_media_keys_are_not_kept() -> None:
    kept = masked(SECRETS)

    assert "c0ffee" not in kept
    assert "Authorization: (hidden)" in kept
    assert "a=crypto:(hidden)" in kept
    assert "a=rtpmap:8 PCMA/8000" in kept


def test_pressed_keys_are_not_kept() -> None:
    kept = masked("INFO sip:1@h SIP/2.0\r\nCSeq: 2 INFO\r\n\r\nSignal=4\r\nDuration=160\r\n")

    assert "Signal" not in kept
    assert kept.endswith("(hidden)")


def test_a_message_has_a_longest_size() -> None:
    kept = masked("SIP/2.0 200 OK\r\n\r\n" + "x" * 100_000)

    assert len(kept) == TEXT_MAX
    assert kept.endswith("…")
