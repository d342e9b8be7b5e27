"""The benchmark's own arithmetic: a figure that is wrong is worse than none."""

import asyncio
import os
import socket
import struct
from pathlib import Path

import pytest

from benchmarks.carrier import Carrier, Seen, most_at_once
from benchmarks.figures import spread, table
from benchmarks.meter import Meter, Packet
from benchmarks.processes import cpu_s, pss_mib, tree
from tests.until import until

LOG = """2026-11-20\t15:00:00.1\t1000.1\tR\tone\tCSeq:1 INVITE\tINVITE sip:234@127.0.0.1:5070 SIP/2.0
2026-11-20\t15:00:00.1\t1000.2\tS\tone\tCSeq:1 INVITE\tSIP/2.0 200 OK
2026-11-20\t15:00:00.3\t1000.3\tR\tone\tCSeq:1 ACK\tACK sip:127.0.0.1 SIP/2.0
2026-11-20\t15:00:00.4\t1000.4\tR\ttwo\tCSeq:1 INVITE\tINVITE sip:235@127.0.0.1:5070 SIP/2.0
2026-11-20\t15:00:00.6\t1000.6\tR\tone\tCSeq:1 INVITE\tINVITE sip:234@127.0.0.1:5070 SIP/2.0
2026-11-20\t15:00:02.0\t1002.0\tR\tone\tCSeq:2 BYE\tBYE sip:127.0.0.1 SIP/2.0
half a li"""


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], (0, None, None, None)),
        ([7.0], (1, 7.0, 7.0, 7.0)),
        ([float(n) for n in range(100, 0, -1)], (100, 50.0, 99.0, 100.0)),
        ([float(n) for n in range(1, 201)], (200, 100.0, 198.0, 200.0)),
    ],
)
def test_a_percentile_is_a_value_that_was_measured(values: list[float], expected: tuple[object, ...]) -> None:
    assert tuple(spread(values).values()) == expected


def test_the_carriers_log_tells_each_call_once(tmp_path: Path) -> None:
    log = tmp_path / "carrier.log"
    log.write_text(LOG)

    assert Carrier(5070, log).calls() == [Seen("234", 1000.1, 1000.3, 1002.0), Seen("235", 1000.4)]


def test_calls_that_touch_are_not_up_together() -> None:
    calls = [Seen("1", 0, 1, 3), Seen("2", 0, 2, 4), Seen("3", 0, 4, 5), Seen("4", 0), Seen("5", 0, 2.5, 2.6)]

    assert most_at_once(calls) == 3


async def test_the_meter_echoes_and_finds_the_packet_that_is_late_and_the_one_that_is_lost() -> None:
    with Meter() as meter, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as phone:
        phone.setblocking(False)
        packet = struct.pack("!BBHII", 0x80, 8, 1, 0, 77)
        phone.sendto(packet, ("127.0.0.1", meter.port))
        async with asyncio.timeout(5):
            assert await asyncio.get_running_loop().sock_recv(phone, 100) == packet
        await until(lambda: meter.heard_since(0.0) == 1)
        ((stream, _),) = meter._streams.items()
        meter._streams[stream] = [
            Packet(at, number & 0xFFFF)
            for number, at in (
                (65534, 9.0),
                (65535, 10.0),
                (65536, 10.02),
                (65537, 10.05),
                (65539, 10.08),
                (65540, 11.0),
            )
        ]
        meter._streams[1, 1] = [Packet(10.04, 5), Packet(10.06, 6)]  # not there all the time

        found = meter.pace(9.99, 10.1)

    assert found.deviations_ms == pytest.approx([0.0, 10.0], abs=1e-6)
    assert (found.lost, found.streams) == (1, 1)


def test_a_process_tree_counts_itself_and_what_it_used() -> None:
    def used() -> float:
        return cpu_s(os.getpid())["tocsin serve"]

    before = used()
    while used() < before + 0.05:
        pass

    assert os.getpid() in {process.pid for process in tree(os.getpid())}
    assert pss_mib(os.getpid()) > 5
    assert pss_mib(2**22 + 1) == 0.0


def test_the_table_has_a_row_for_each_figure() -> None:
    shown = table({"late": {"unit": "ms", **spread([1.0, 2.0])}, "lost": {"unit": "packets", "n": 3, "value": 0}})

    assert [line.replace(" ", "") for line in shown.splitlines()[2:]] == [
        "|late|ms|2|1.0|2.0|2.0|",
        "|lost|packets|3|0|||",
    ]
