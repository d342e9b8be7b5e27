"""What is read from a SIP message, and what is kept of one."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sip.messages import HIDDEN, TEXT_MAX, Answer, kept, masked, read_answer, read_log, reason_of
from tests.unit.sip.wording import answer, messages, request

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


@pytest.mark.parametrize(
    "secret",
    [
        "Authorization: Digest CANARY",
        "authorization : Digest CANARY",
        "Authentication-Info: rspauth=CANARY",
        "proxy-authentication-info: rspauth=CANARY",
        "PROXY-AUTHORIZATION:Digest CANARY",
        "Proxy-Authorization: Digest username=a,\r\n response=CANARY",
        "Authorization:\r\n\tDigest\r\n CANARY",
        "Authorization: Digest \rCANARY",
        "Authorization: Digest \x0bCANARY",
        "Authorization: Digest \u2028CANARY",
        "Subject: x\rAuthorization: CANARY",
        " Authorization: CANARY",
    ],
)
@pytest.mark.parametrize("end", ["\r\n", "\n"])
def test_credentials_are_hidden_however_they_are_folded(secret: str, end: str) -> None:
    text = f"INVITE sip:1@x SIP/2.0{end}{secret}{end}Via: kept{end}{end}"

    hidden = masked(text)

    assert "CANARY" not in hidden
    assert "Via: kept" in hidden
    assert HIDDEN in hidden
    assert "CANARY" not in masked(secret)


def test_challenges_stay_because_a_wrong_login_is_explained_by_them() -> None:
    text = answer("407 X").replace("CSeq", 'Proxy-Authenticate: Digest realm="r", nonce="abc"\r\nCSeq')

    assert masked(text) == text


@pytest.mark.parametrize("line", ["a=crypto:1 AES_CM_128 inline:CANARY", "a=key-mgmt:mikey CANARY", "k=base64:CANARY"])
def test_media_keys_are_hidden(line: str) -> None:
    hidden = masked(request("INVITE", f"v=0\r\n{line}\r\nm=audio 4000 RTP/AVP 8\r\n"))

    assert "CANARY" not in hidden
    assert "m=audio 4000" in hidden


@pytest.mark.parametrize(
    "text", [request("INFO", "Signal=CANARY\r\nDuration=160"), answer("200 OK", "Signal=CANARY", "INFO")]
)
@pytest.mark.parametrize("end", ["\r\n", "\n", "\r"])
def test_bodies_of_info_are_hidden_because_they_carry_keys(text: str, end: str) -> None:
    hidden = masked(text.replace("\r\n", end))

    assert "CANARY" not in hidden
    assert "Via" in hidden


@given(st.one_of(st.text(max_size=200), st.binary(max_size=200)))
@example("")
@example("\r\n\r\n")
@example(b"\xff\xfe\x00")
@example("m=audio 1 RTP/AVP " + "9" * 400)
@example("SIP/2.0 ")
@example("\ud800")
def test_masking_never_raises_and_repeating_it_changes_nothing(raw: str | bytes) -> None:
    once = masked(raw)

    assert masked(once) == once


@given(
    before=messages, header=st.sampled_from(["Authorization", "pRoXy-AuThOrIzAtIoN"]), value=messages, after=messages
)
def test_no_credential_survives_anywhere_in_a_message(before: str, header: str, value: str, after: str) -> None:
    line = value.replace("\n", "")

    assert "CANARY" not in masked(f"{before}\r\n{header}: {line}CANARY\r\nVia: x{after}")


def test_a_message_has_a_longest_size() -> None:
    whole = kept("SIP/2.0 200 OK\r\n\r\n" + "x" * 100_000)

    assert len(whole) == TEXT_MAX
    assert whole.endswith("…")
