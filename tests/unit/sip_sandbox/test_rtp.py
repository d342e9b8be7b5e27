"""RTP headers, receiver statistics and RTCP (RFC 3550)."""

import struct

import pytest

from sip.sandbox import rtp
from sip.sandbox.rtp import NotRtp, Receiver


def _packet(sequence: int, timestamp: int = 0, ssrc: int = 9) -> rtp.Packet:
    return rtp.Packet(8, False, sequence & 0xFFFF, timestamp & 0xFFFFFFFF, ssrc, b"x")


def test_what_is_built_is_read_again() -> None:
    packet = rtp.parse(rtp.build(101, True, 65536 + 3, 2**32 + 5, 7, b"abcd"))

    assert packet == rtp.Packet(101, True, 3, 5, 7, b"abcd")


def test_contributors_extension_and_padding_are_not_payload() -> None:
    datagram = struct.pack("!BBHII", 0x80 | 0x20 | 0x10 | 2, 8, 1, 2, 3) + bytes(8)
    datagram += struct.pack("!HH", 0xBEDE, 1) + bytes(4) + b"sound" + b"\x00\x00\x03"

    assert rtp.parse(datagram).payload == b"sound"


@pytest.mark.parametrize(
    "datagram",
    [b"", b"\x80" * 11, b"\x40" + bytes(11), b"\x8f" + bytes(20), b"\x90" + bytes(13), b"\xa0" + bytes(11) + b"\xff"],
)
def test_what_is_no_rtp_is_refused(datagram: bytes) -> None:
    with pytest.raises(NotRtp):
        rtp.parse(datagram)


def test_loss_is_counted_across_the_wrap_of_the_sequence_and_late_packets_are_not_lost() -> None:
    receiver = Receiver()
    for sequence in (65533, 65534, 1, 0, 4):  # 65535, 2 and 3 are missing
        receiver.count(_packet(sequence), 0.0)

    assert (receiver.received, receiver.expected, receiver.lost) == (5, 8, 3)


def test_packets_overtaken_at_the_very_start_hide_no_loss() -> None:
    receiver = Receiver()
    for sequence in (3, 0, 1, 5):  # 2 and 4 are missing
        receiver.count(_packet(sequence), 0.0)

    assert (receiver.expected, receiver.lost) == (6, 2)


def test_a_report_tells_the_loss_since_the_last_one_and_in_all() -> None:
    receiver = Receiver()
    for sequence in range(0, 20, 2):
        receiver.count(_packet(sequence), 0.0)
    first = receiver.report(1.0)
    for sequence in (19, 20, *range(22, 39)):
        receiver.count(_packet(sequence), 0.0)
    second = receiver.report(2.0)

    assert first is not None
    assert second is not None
    assert (first.lost, first.fraction) == (9, 9 * 256 // 19)
    assert (second.lost, second.fraction, second.highest) == (10, 256 // 20, 38)


def test_nothing_is_reported_before_the_first_packet() -> None:
    assert Receiver().report(1.0) is None


def test_another_sender_starts_a_new_count() -> None:
    receiver = Receiver()
    receiver.count(_packet(1), 0.0)
    receiver.count(_packet(9), 0.0)
    receiver.count(_packet(500, ssrc=10), 0.0)

    assert (receiver.ssrc, receiver.lost, receiver.received) == (10, 0, 1)


def test_even_arrival_has_no_jitter_and_uneven_arrival_the_jitter_of_the_rfc() -> None:
    even, uneven = Receiver(), Receiver()
    for n in range(200):
        even.count(_packet(n, 2**32 - 8000 + 160 * n), n * 0.02)
        uneven.count(_packet(n, 160 * n), n * 0.02 + (0.010 if n % 2 else 0.0))

    assert even.jitter == pytest.approx(0.0, abs=0.01)
    assert uneven.jitter / 8 == pytest.approx(10.0, rel=0.01)  # every difference is 10 ms


def test_a_sender_report_comes_back_with_the_time_since_it() -> None:
    receiver = Receiver()
    receiver.count(_packet(1), 0.0)
    receiver.heard_sender_report(0xCAFE, 10.0)

    report = receiver.report(10.5)
    assert report is not None
    assert (report.lsr, report.dlsr) == (0xCAFE, 32768)


def test_a_compound_packet_has_report_name_and_bye_and_whole_words() -> None:
    receiver = Receiver()
    for sequence in (1, 2, 5):
        receiver.count(_packet(sequence), 0.0)
    datagram = rtp.control(0xABCD, "abc", receiver.report(0.0), (rtp.ntp(0.0), 160, 2, 320), bye=True)

    kinds, at = [], 0
    while at < len(datagram):
        assert datagram[at] >> 6 == 2
        kinds.append(datagram[at + 1])
        at += 4 + 4 * int.from_bytes(datagram[at + 2 : at + 4], "big")
    assert kinds == [200, 202, 203]
    assert at == len(datagram)
    assert struct.unpack_from("!IQIII", datagram, 4) == (0xABCD, 2_208_988_800 << 32, 160, 2, 320)
    assert int.from_bytes(datagram[33:36], "big") == 2  # lost
    assert rtp.sender_report_times(datagram) == [(2_208_988_800 & 0xFFFF) << 16]


def test_who_has_sent_nothing_sends_a_receiver_report() -> None:
    datagram = rtp.control(1, "abc", None, None)

    assert (datagram[0] & 0x1F, datagram[1]) == (0, 201)


def test_rtcp_on_the_rtp_port_is_recognised() -> None:
    assert rtp.is_control(rtp.control(1, "abc", None, None))
    assert not rtp.is_control(rtp.build(8, True, 1, 1, 1, b"x"))


@pytest.mark.parametrize(
    "datagram", [b"", b"\x80", b"\x80\xc8\xff\xff" + bytes(30), b"\x80\xc8\x00\x00" * 3, b"\x00" * 40]
)
def test_cut_rtcp_is_harmless(datagram: bytes) -> None:
    assert len(rtp.sender_report_times(datagram)) <= 1
