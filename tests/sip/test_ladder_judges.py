"""Judged by tshark: the capture made of a ladder is one, and each message in it is the message that was seen."""

from pathlib import Path

from sip.events import Trace
from sip.ladder import ladder
from sip.ladder_pcap import ABOUT, as_pcap
from sip.messages import TEXT_MAX
from tests import tshark

pytestmark = tshark.needs_tshark

US, TRUNK = "10.0.0.5:40123", "41.2.3.4:5060"
SDP = "v=0\r\no=- 1 1 IN IP4 10.0.0.5\r\ns=-\r\nc=IN IP4 10.0.0.5\r\nt=0 0\r\nm=audio 30000 RTP/AVP 8\r\n"
REQUESTS = ("INVITE", "ACK", "BYE", "CANCEL", "OPTIONS", "REGISTER", "INFO", "UPDATE", "PRACK")
STATUSES = (100, 180, 181, 183, 200, 302, 401, 403, 404, 407, 480, 486, 487, 488, 500, 503, 600, 603, 608)


def message(first: str, method: str, *, via: str = f"UDP {US}", body: str = "", headers: str = "") -> str:
    mime = "sdp" if body.startswith("v=0") else "dtmf-relay"
    kind = f"Content-Type: application/{mime}\r\n" if body else ""
    return (
        f"{first}\r\nVia: SIP/2.0/{via};rport;branch=z9hG4bK776\r\nMax-Forwards: 70\r\nFrom: <sip:1@10.0.0.5>;tag=a\r\n"
        f"To: <sip:2@41.2.3.4>;tag=b\r\nCall-ID: judged@10.0.0.5\r\nCSeq: 7 {method}\r\n{headers}{kind}"
        f"Content-Length: {len(body)}\r\n\r\n{body}"
    )


def sent(at: float, method: str, peer: str = TRUNK, **more: str) -> Trace:
    return Trace("c", at, True, peer, message(f"{method} sip:2@41.2.3.4 SIP/2.0", method, **more))


def received(at: float, code: int, method: str = "INVITE", peer: str = TRUNK, **more: str) -> Trace:
    return Trace("c", at, False, peer, message(f"SIP/2.0 {code} Said", method, **more))


async def judged(tmp_path: Path, *traces: Trace) -> list[dict[str, str]]:
    capture = tmp_path / "ladder.pcapng"
    capture.write_bytes(as_pcap(ladder(traces)))
    return await tshark.dissected(capture)


async def test_every_request_and_every_answer_is_dissected_as_what_it_is(tmp_path: Path) -> None:
    began = 1_800_000_000.123
    requests = [sent(began + n, method, body=SDP if n == 0 else "") for n, method in enumerate(REQUESTS)]
    answers = [received(began + 100 + n, code) for n, code in enumerate(STATUSES)]

    frames = await judged(tmp_path, *requests, *answers)

    assert [frame["sip.Method"] for frame in frames[: len(REQUESTS)]] == list(REQUESTS)
    assert [frame["sip.Status-Code"] for frame in frames[len(REQUESTS) :]] == [str(code) for code in STATUSES]
    assert [float(frame["frame.time_epoch"]) for frame in frames] == [trace.at for trace in (*requests, *answers)]
    assert {frame["sip.Call-ID"] for frame in frames} == {"judged@10.0.0.5"}
    assert frames[0]["sdp.media.port"] == "30000"
    assert {frame["_ws.malformed"] for frame in frames} == {""}
    assert {(frame["ip.checksum.status"], frame["udp.checksum.status"]) for frame in frames} == {("1", "1")}
    out, back = frames[0], frames[-1]
    assert out["eth.src"] != back["eth.src"]
    assert (out["ip.src"], out["udp.srcport"], out["ip.dst"], out["udp.dstport"]) == (
        *("10.0.0.5", "40123"),
        *("41.2.3.4", "5060"),
    )
    assert (back["ip.src"], back["udp.srcport"], back["ip.dst"], back["udp.dstport"]) == (
        *("41.2.3.4", "5060"),
        *("10.0.0.5", "40123"),
    )


async def test_ipv6_is_ipv6(tmp_path: Path) -> None:
    via = {"via": "UDP [2001:db8::5]:40123", "peer": "[2001:db8::7]:5060"}

    out, back = await judged(tmp_path, sent(1.0, "INVITE", **via), received(2.0, 486, **via))

    assert (out["ipv6.src"], out["ipv6.dst"], out["sip.Method"]) == ("2001:db8::5", "2001:db8::7", "INVITE")
    assert (back["ipv6.src"], back["udp.checksum.status"], back["sip.Status-Code"]) == ("2001:db8::7", "1", "486")


async def test_what_nobody_told_is_an_address_of_nobody(tmp_path: Path) -> None:
    named = {"via": "TLS tocsin.example:5061", "peer": "sip.carrier.example:5061"}

    (frame,) = await judged(tmp_path, sent(1.0, "INVITE", **named))

    assert (frame["ip.src"], frame["ip.dst"], frame["sip.Method"]) == ("192.0.2.1", "192.0.2.2", "INVITE")


async def test_a_message_that_is_hidden_in_part_or_cut_is_still_whole_and_says_so(tmp_path: Path) -> None:
    login = 'Proxy-Authorization: Digest username="a", response="s3cret"\r\n'
    keyed = SDP + "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:s3cret\r\n"
    long = SDP + "".join(f"a=x:{'y' * 60}\r\n" for _ in range(TEXT_MAX // 60))

    frames = await judged(
        tmp_path,
        sent(1.0, "INVITE", headers=login, body=SDP),
        sent(2.0, "INVITE", body=keyed),
        sent(3.0, "INVITE", body=long),
        sent(4.0, "INFO", body="Signal=s3cret\r\nDuration=160\r\n"),
        sent(5.0, "BYE"),
    )

    assert [frame["sip.Method"] for frame in frames] == ["INVITE", "INVITE", "INVITE", "INFO", "BYE"]
    assert [frame["sdp.media.port"] for frame in frames] == ["30000", "30000", "30000", "", ""]
    assert [frame["frame.comment"].partition(";")[0] for frame in frames] == [
        "Secrets are hidden",
        "Secrets are hidden",
        "The end was not stored",
        "Secrets are hidden",
        "",
    ]
    assert [frame["_ws.malformed"] for frame in frames] == [""] * 5
    assert "s3cret" not in await tshark.words(tmp_path / "ladder.pcapng")


async def test_the_capture_says_that_it_is_none() -> None:
    assert ABOUT.encode() in as_pcap(())
    assert "Not a capture" in ABOUT
