"""RTP port blocks: even, disjoint, and really free."""

import socket

import pytest

from sip.ports import NoFreePorts, claim, free_sip_port

BASE = 14000  # below the ports that Linux gives to clients, and below those our own services choose
LOOPBACK = "127.0.0.1"


def test_blocks_are_even_and_disjoint() -> None:
    blocks = [claim(LOOPBACK, BASE, 4) for _ in range(5)]
    try:
        used = [set(range(block.base, block.base + block.range + 2)) for block in blocks]
        assert all(block.base % 2 == 0 and block.range == 16 for block in blocks)
        assert len(set.union(*used)) == sum(map(len, used))
    finally:
        for block in blocks:
            block.release()


def test_a_block_with_a_port_in_use_is_passed_over() -> None:
    first = claim(LOOPBACK, BASE + 1, 4)
    first.release()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.bind((LOOPBACK, first.base + 5))
        second = claim(LOOPBACK, BASE + 1, 4)
        second.release()

    assert second.base >= first.base + 18


def test_a_released_block_can_be_had_again() -> None:
    first = claim(LOOPBACK, BASE + 400, 4)
    first.release()
    first.release()
    second = claim(LOOPBACK, BASE + 400, 4)
    second.release()

    assert second.base == first.base


def test_anywhere_is_below_the_ports_of_clients() -> None:
    block = claim(LOOPBACK, 0, 4)
    block.release()

    assert block.base >= 20000
    assert block.base + block.range + 3 < 32768


def test_an_address_of_another_machine_has_no_ports() -> None:
    with pytest.raises(NoFreePorts):
        claim("192.0.2.1", BASE, 4)


def test_sip_ports_are_probed_from_the_first() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind((LOOPBACK, 0))
        port = taken.getsockname()[1]

        assert free_sip_port(LOOPBACK, port, 50) > port
    assert free_sip_port(LOOPBACK, 0, 50) == 0


def test_no_block_reaches_beyond_the_last_port() -> None:
    blocks = [claim(LOOPBACK, 15000, 4, 15059) for _ in range(2)]
    try:
        with pytest.raises(NoFreePorts, match="to 15059"):
            claim(LOOPBACK, 15000, 8, 15059)
        assert [block.base for block in blocks] == [15000, 15020]
    finally:
        for block in blocks:
            block.release()
