"""The kernel itself says who may send what: real sockets, real packets."""

import os
import socket
from collections.abc import Iterator

import pytest

from sip.doorkeeper import LEARNT_MOST, OPEN_TO_ALL, Doorkeeper

WANTS_A_CALL = (b"INVITE", b"SUBSCRIBE", b"MESSAGE", b"NOTIFY", b"REFER", b"PUBLISH", b"REGISTER", b"GET", b"\r\n")
STRANGER, TRUNK, NETWORK = "127.0.0.66", "127.0.0.7", "127.9.0.0/16"


@pytest.fixture
def door() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.bind(("127.0.0.1", 0))
        one.setblocking(False)
        yield one


def gets_in(door: socket.socket, source: str, data: bytes) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.bind((source, 0))
        sender.sendto(data, door.getsockname())  # on loopback it is there, or dropped, when this returns
    try:
        return door.recv(2048) == data
    except BlockingIOError:
        return False


def keeper(door: socket.socket, *always: str) -> Doorkeeper:
    return Doorkeeper(door.getsockname()[1], always, datagrams=True)


def test_a_stranger_may_begin_nothing(door: socket.socket) -> None:
    assert gets_in(door, STRANGER, b"INVITE sip:x SIP/2.0")  # the sockets of this test do work
    assert keeper(door, TRUNK).stand() == ""

    for first in WANTS_A_CALL:
        assert not gets_in(door, STRANGER, first + b" sip:x SIP/2.0"), first
        assert gets_in(door, TRUNK, first + b" sip:x SIP/2.0"), first


def test_answers_and_what_belongs_to_a_call_come_in_from_everywhere(door: socket.socket) -> None:
    keeper(door, TRUNK).stand()

    for first in OPEN_TO_ALL:
        assert gets_in(door, STRANGER, first + b"/2.0 200 OK"), first


def test_a_network_is_known_as_a_whole_and_no_further(door: socket.socket) -> None:
    keeper(door, NETWORK, "carrier.example", "2001:db8::/32").stand()

    assert gets_in(door, "127.9.255.254", b"INVITE sip:x SIP/2.0")
    assert not gets_in(door, "127.10.0.1", b"INVITE sip:x SIP/2.0")


def test_whoever_was_sent_a_request_is_known_from_then_on(door: socket.socket) -> None:
    one = keeper(door)
    one.stand()

    one.learn(f"{STRANGER}:5060")
    one.learn("carrier.example:5060")

    assert gets_in(door, STRANGER, b"INVITE sip:x SIP/2.0")
    assert not gets_in(door, "127.0.0.67", b"INVITE sip:x SIP/2.0")


def test_the_oldest_is_forgotten_first(door: socket.socket) -> None:
    one = keeper(door)
    for n in range(LEARNT_MOST + 1):
        one.learn(f"127.1.0.{n}:5060")

    assert not gets_in(door, "127.1.0.0", b"INVITE sip:x SIP/2.0")
    assert gets_in(door, "127.1.0.1", b"INVITE sip:x SIP/2.0")


def test_a_stranger_cannot_even_connect() -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        port = listening.getsockname()[1]
        assert Doorkeeper(port, (TRUNK,), datagrams=False).stand() == ""

        for source, expected in ((TRUNK, True), (STRANGER, False)):
            with socket.socket() as caller:
                caller.bind((source, 0))
                caller.settimeout(1.0)
                try:
                    caller.connect(("127.0.0.1", port))
                    connected = True
                except TimeoutError:
                    connected = False
            assert connected is expected, source


def test_a_socket_that_is_not_there_is_told() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as gone:
        gone.bind(("127.0.0.1", 0))
        port = gone.getsockname()[1]

    assert Doorkeeper(port, (), datagrams=True).stand() != ""


def test_looking_for_the_door_leaves_nothing_open(door: socket.socket) -> None:
    one = keeper(door, TRUNK)
    before = sorted(os.listdir("/proc/self/fd"))

    assert [one.stand() for _ in range(5)] == [""] * 5

    assert sorted(os.listdir("/proc/self/fd")) == before
