"""Whose sound is let in. What the kernel makes of it: tests/sip/test_rtp_injection.py."""

from ipaddress import IPv4Network

from sip.mediadoor import admit, networks


def test_addresses_with_and_without_a_port_and_networks_are_known_and_names_are_not() -> None:
    known = networks(["192.0.2.7:4000", "192.0.2.7", "198.51.100.0/24", "sip.example.net:5060", "[2001:db8::1]:9", ""])

    assert known == (IPv4Network("192.0.2.7/32"), IPv4Network("198.51.100.0/24"))


def test_a_call_on_hold_names_no_address_that_could_be_known() -> None:
    assert networks(["0.0.0.0:9"]) == ()


def test_where_no_such_socket_is_it_says_so() -> None:
    assert admit(1, networks(["192.0.2.7"])) == "its sockets were not found"
