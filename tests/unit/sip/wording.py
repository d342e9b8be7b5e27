"""SIP messages for tests: right ones, and any heap of their pieces."""

from hypothesis import strategies as st

OFFER = (
    "v=0\r\no=- 1 1 IN IP4 10.0.0.5\r\ns=-\r\nc=IN IP4 10.0.0.5\r\nt=0 0\r\n"
    "m=audio 30000 RTP/AVP 8 0 101\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\n"
)


def request(method: str, body: str = "", extra: str = "") -> str:
    return (
        f"{method} sip:2348020000000@41.2.3.4 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.5\r\n"
        f"CSeq: 1 {method}\r\n{extra}\r\n{body}"
    )


def answer(line: str, body: str = "", method: str = "INVITE") -> str:
    return f"SIP/2.0 {line}\r\nVia: SIP/2.0/UDP 10.0.0.5\r\nCSeq: 1 {method}\r\n\r\n{body}"


pieces = st.one_of(
    st.text(max_size=8),
    st.sampled_from(
        ["INVITE ", "INFO ", "SIP/2.0 ", "200", "\r\n", "\n", "\r", " ", "m=audio 1 RTP/AVP 8", "a=rtpmap:8 X/8000",
         "CSeq: 1 INFO", "Authorization:", "a=crypto:", "\x00", "\u2028", "9" * 30]
    ),
)  # fmt: skip
messages = st.lists(pieces, max_size=12).map("".join)
