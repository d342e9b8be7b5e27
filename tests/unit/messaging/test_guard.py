"""No request leaves for an address that the policy does not allow, however the URL is written or resolved."""

import asyncio
import shutil
import socket
import ssl
import subprocess

import httpx2
import pytest

from messaging.guard import (
    AddressPolicy,
    AddressRefused,
    CallbackRefused,
    GuardedTransport,
    check_url,
    guarded_client,
    judge_url,
)

PUBLIC = "93.184.216.34"
STRICT = AddressPolicy()
PLAIN = AddressPolicy(plain_http=True, ports=None)  # so that only the address can be the reason

LITERALS = [
    # this machine, in every dress
    "http://127.0.0.1/", "http://127.0.0.1:6379/", "http://127.1/", "http://127.0.1/", "http://127.255.255.254/",
    "http://127.0.0.1./", "http://0/", "http://0.0.0.0/", "http://0.0.0.1/", "http://[::]/", "http://[::1]/",
    "http://[0:0:0:0:0:0:0:1]/", "http://2130706433/", "http://0x7f000001/", "http://0x7f.0.0.1/", "http://0x7f.1/",
    "http://0177.0.0.1/", "http://017700000001/", "http://0177.1/", "http://00000177.0.0.1/", "http://127.0.0.0x1/",
    "http://localhost/", "http://LOCALHOST/", "http://localhost./", "http://a.localhost/", "http://127。0。0。1/",
    "http://１２７.0.0.1/", "http://①②⑦.0.0.1/", "http://%31%32%37.0.0.1/", "http://127%2e0.0.1/",
    # IPv4 inside IPv6
    "http://[::ffff:127.0.0.1]/", "http://[::ffff:7f00:1]/", "http://[::ffff:10.0.0.1]/", "http://[::127.0.0.1]/",
    "http://[64:ff9b::7f00:1]/", "http://[64:ff9b::10.0.0.1]/", "http://[64:ff9b:1::1]/", "http://[2002:7f00:1::]/",
    "http://[2002:c0a8:1::]/", "http://[2001:0:7f00:1::]/", "http://[::ffff:0:127.0.0.1]/",
    # private, shared, link-local, cloud metadata
    "http://10.0.0.1/", "http://10.255.255.255/", "http://172.16.0.1/", "http://172.31.255.255/",
    "http://192.168.0.1/", "http://192.168.255.255/", "http://169.254.169.254/latest/meta-data/", "http://169.254.0.1/",
    "http://2852039166/", "http://0xa9fea9fe/", "http://0251.0376.0251.0376/", "http://169.254.43518/",
    "http://100.64.0.1/", "http://100.127.255.255/", "http://[fe80::1]/", "http://[fe80::1%25eth0]/",
    "http://[fc00::1]/", "http://[fd00:ec2::254]/", "http://[fec0::1]/", "http://[100::1]/",
    # not for anybody
    "http://192.0.0.1/", "http://192.88.99.1/", "http://192.0.2.1/", "http://198.18.0.1/", "http://198.51.100.1/", "http://203.0.113.1/",
    "http://224.0.0.1/", "http://239.255.255.250/", "http://240.0.0.1/", "http://255.255.255.255/",
    "http://[ff02::1]/", "http://[ff0e::1]/", "http://[2001:db8::1]/", "http://[3fff::1]/", "http://[4000::1]/",
    # who is who
    "http://user@93.184.216.34/", "http://user:pass@93.184.216.34/", "http://93.184.216.34@127.0.0.1/",
    "http://93.184.216.34\\@127.0.0.1/", "http://93.184.216.34#@127.0.0.1\\/",
    "http://127.0.0.1#93.184.216.34", "http://127.0.0.1?93.184.216.34", "http://93.184.216.34:80@127.0.0.1:80/",
    # not http
    "file:///etc/passwd", "ftp://93.184.216.34/", "gopher://93.184.216.34:6379/_", "javascript:alert(1)",
    "unix:///run/valkey.sock", "//93.184.216.34/", "93.184.216.34", "http:///", "http://", "", "http://:80/",
    # broken on purpose
    "http://93.184.216.34:0/", "http://93.184.216.34:65536/", "http://93.184.216.34:-1/", "http://[::1", "http://[]/",
    "http://93.184.216.34 /", "http://93.184.216.34\t/", "http://93.184.216.34\r\nHost: x/", "http://9 3.184.216.34/",
    "http://a..b/" + "x" * 2050,
]  # fmt: skip

PRIVATE_ANSWERS = [
    "127.0.0.1", "10.1.2.3", "172.20.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1",
    "240.0.0.1", "::1", "::", "fe80::1%eth0", "fd00::1", "::ffff:127.0.0.1", "::ffff:192.168.0.1", "2002:7f00:1::",
    "64:ff9b::7f00:1", "ff02::1", "2001:db8::1", "not an address",
]  # fmt: skip


class Counting(httpx2.AsyncBaseTransport):
    """Stands where connections are made."""

    def __init__(self) -> None:
        self.requests: list[httpx2.Request] = []
        self.fail_on: set[str] = set()

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        if request.url.host in self.fail_on:
            raise httpx2.ConnectError("refused")
        return httpx2.Response(204)


def resolver(*answers: list[str]):
    """Answers in turn, the last one for ever; `asked` holds the names."""
    left = list(answers)
    asked: list[str] = []

    async def resolve(host: str, port: int) -> list[str]:
        asked.append(host)
        return left.pop(0) if len(left) > 1 else left[0]

    return resolve, asked


async def post(url: str, policy: AddressPolicy, answers: list[list[str]], inner: Counting) -> httpx2.Response:
    resolve, _ = resolver(*answers)
    async with httpx2.AsyncClient(transport=GuardedTransport(policy, resolve=resolve, inner=inner)) as client:
        return await client.post(url, content=b"{}")


@pytest.mark.parametrize("url", LITERALS)
async def test_no_connection_is_made_for_a_forbidden_url(url):
    inner = Counting()

    with pytest.raises((AddressRefused, httpx2.InvalidURL, httpx2.UnsupportedProtocol, httpx2.LocalProtocolError)):
        await post(url, PLAIN, [["127.0.0.1"]], inner)

    assert inner.requests == []


def test_there_are_at_least_eighty_such_urls():
    assert len(set(LITERALS)) + len(PRIVATE_ANSWERS) >= 80 + len(PRIVATE_ANSWERS)


@pytest.mark.parametrize("url", [*(url for url in LITERALS if url), "http://@93.184.216.34/"])
def test_the_api_says_no_to_a_forbidden_url_before_any_dns(url):
    with pytest.raises(CallbackRefused) as refused:
        check_url(url, PLAIN)

    assert refused.value.status == 422
    assert refused.value.code == "CALLBACK_REFUSED"
    assert refused.value.errors[0].pointer == "#/callback_url"


@pytest.mark.parametrize("answer", PRIVATE_ANSWERS)
async def test_no_connection_is_made_when_a_name_leads_inside(answer):
    inner = Counting()

    with pytest.raises(AddressRefused):
        await post("http://hook.example/", PLAIN, [[answer]], inner)
    with pytest.raises(AddressRefused):  # one bad address among good ones is enough
        await post("http://hook.example/", PLAIN, [[PUBLIC, answer]], inner)

    assert inner.requests == []


async def test_a_name_that_changes_its_address_is_contacted_only_where_it_was_judged():
    inner = Counting()
    resolve, asked = resolver([PUBLIC], ["127.0.0.1"])
    async with httpx2.AsyncClient(transport=GuardedTransport(PLAIN, resolve=resolve, inner=inner)) as client:
        await client.post("http://hook.example/path", content=b"{}")
        with pytest.raises(AddressRefused):
            await client.post("http://hook.example/path", content=b"{}")

    [request] = inner.requests
    assert request.url.host == PUBLIC
    assert request.headers["Host"] == "hook.example"
    assert request.extensions["sni_hostname"] == "hook.example"
    assert asked == ["hook.example", "hook.example"]  # judged anew each time


@pytest.mark.parametrize(
    ("url", "host", "name"),
    [
        ("https://hook.example:8443/a", "hook.example:8443", "hook.example"),
        ("https://hook.example./a", "hook.example.", "hook.example"),
        ("https://münchen.example/a", "xn--mnchen-3ya.example", "xn--mnchen-3ya.example"),
        ("https://HOOK.example/a", "hook.example", "hook.example"),
    ],
)
async def test_the_name_stays_on_the_wire(url, host, name):
    inner = Counting()

    await post(url, STRICT, [[PUBLIC]], inner)

    [request] = inner.requests
    assert (request.url.host, request.headers["Host"], request.extensions["sni_hostname"]) == (PUBLIC, host, name)


async def test_the_next_address_is_tried_when_one_does_not_answer():
    inner = Counting()
    inner.fail_on = {"2606:2800:220:1::1"}

    answer = await post("https://hook.example/", STRICT, [["2606:2800:220:1::1", PUBLIC]], inner)

    assert answer.status_code == 204
    assert [request.url.host for request in inner.requests] == ["2606:2800:220:1::1", PUBLIC]


async def test_a_name_without_an_address_is_an_ordinary_failure():
    with pytest.raises(httpx2.ConnectError):
        await post("https://hook.example/", STRICT, [[]], Counting())


async def test_a_resolver_that_hangs_is_given_up_with_the_connect_timeout():
    async def never(host: str, port: int) -> list[str]:
        await asyncio.Event().wait()
        return []

    transport = GuardedTransport(STRICT, resolve=never, inner=Counting())
    async with httpx2.AsyncClient(transport=transport, timeout=httpx2.Timeout(5, connect=0.05)) as client:
        with pytest.raises(httpx2.ConnectTimeout):
            await client.post("https://hook.example/")


@pytest.mark.parametrize(
    ("policy", "url", "allowed"),
    [
        (STRICT, f"https://{PUBLIC}/", True),
        (STRICT, f"https://{PUBLIC}:8443/", True),
        (STRICT, "https://[2606:2800:220:1::1]/", True),
        (STRICT, "https://[64:ff9b::5db8:d822]/", True),  # a public IPv4 address behind NAT64
        (STRICT, f"http://{PUBLIC}/", False),
        (STRICT, f"https://{PUBLIC}:22/", False),
        (STRICT, "https://hook.example:22/", False),
        (STRICT, "http://hook.example/", False),
        (STRICT, "https://hook.example/", True),
        (AddressPolicy(plain_http=True), f"http://{PUBLIC}/", True),
        (AddressPolicy(plain_http=True), f"http://{PUBLIC}:9000/", False),
        (AddressPolicy(allow=("10.1.0.0/16",)), "http://10.1.2.3:9000/", True),
        (AddressPolicy(allow=("10.1.0.0/16",)), "http://[::ffff:10.1.2.3]:9000/", True),
        (AddressPolicy(allow=("10.1.0.0/16",)), "http://10.2.0.1:9000/", False),
        (AddressPolicy(allow=("10.1.0.0/16",)), f"http://{PUBLIC}/", False),
        (AddressPolicy(allow=("10.1.0.0/16",)), "http://pager.plant.example:9000/", True),  # DNS will tell
        (AddressPolicy(guard=False), "https://10.2.0.1:9000/", True),
        (AddressPolicy(guard=False), "http://10.2.0.1:9000/", False),
        (AddressPolicy(guard=False, plain_http=True), "http://127.0.0.1:9000/", True),
        (AddressPolicy(guard=False), "https://user@10.2.0.1/", False),
        (STRICT.with_loopback(), "http://127.0.0.1:9000/", True),
        (STRICT.with_loopback(), "http://localhost:9000/", True),
        (STRICT.with_loopback(), "http://[::1]:9000/", True),
        (STRICT.with_loopback(), "http://10.0.0.1/", False),
        (STRICT.with_loopback(), "http://169.254.169.254/", False),
        (STRICT.with_loopback(), f"http://{PUBLIC}:25/", False),
    ],
)
def test_the_policy_says_what_may_be_contacted(policy, url, allowed):
    assert (judge_url(url, policy) is None) is allowed, judge_url(url, policy)


async def test_what_dns_decides_is_decided_when_connecting():
    inner = Counting()
    policy = AddressPolicy(allow=("10.1.0.0/16",))

    await post("http://pager.plant.example:9000/", policy, [["10.1.2.3"]], inner)
    with pytest.raises(AddressRefused):
        await post("http://pager.plant.example:9000/", policy, [["10.2.0.1"]], inner)
    with pytest.raises(AddressRefused, match="https"):
        await post("http://pager.plant.example:9000/", policy, [[PUBLIC]], inner)

    assert len(inner.requests) == 1


def test_a_block_that_is_none_is_refused_at_the_start():
    with pytest.raises(ValueError, match="banana"):
        AddressPolicy(allow=("banana",))


async def test_real_sockets_see_no_connection_either():
    """Through the system's resolver, which knows all the odd ways to write 127.0.0.1."""
    connections = 0

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        writer.close()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    hosts = [
        "127.0.0.1",
        "127.1",
        "localhost",
        "0",
        "0.0.0.0",
        "2130706433",
        "0x7f000001",
        "[::ffff:127.0.0.1]",
        "0177.1",
    ]
    async with guarded_client(PLAIN, connect_s=2, total_s=2) as client:
        for host in hosts:
            with pytest.raises(AddressRefused):
                await client.post(f"http://{host}:{port}/")
    async with guarded_client(PLAIN.with_loopback(), connect_s=2, total_s=2) as client:
        with pytest.raises(httpx2.HTTPError):  # it hangs up at once, but it was reached: the test can fail
            await client.post(f"http://localhost:{port}/")
    server.close()

    assert connections == 1


async def test_a_proxy_of_the_environment_is_not_asked(monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    inner = Counting()
    resolve, _ = resolver([PUBLIC])
    async with guarded_client(PLAIN, connect_s=1, total_s=1, resolve=resolve) as client:
        client._transport._inner = inner  # type: ignore[attr-defined]  # so that nothing leaves this machine
        assert client._mounts == {}
        await client.post("http://hook.example/")

    assert inner.requests[0].url.host == PUBLIC


async def test_redirects_are_not_followed():
    async with guarded_client(PLAIN, connect_s=1, total_s=1) as client:
        assert client.follow_redirects is False


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A self-signed one for hook.example: (certificate, key)."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    folder = tmp_path_factory.mktemp("tls")
    cert, key = folder / "cert.pem", folder / "key.pem"
    subject = ["-subj", "/CN=hook.example", "-addext", "subjectAltName=DNS:hook.example"]
    files = ["-keyout", str(key), "-out", str(cert)]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *files, *subject]
    subprocess.run(command, check=True, capture_output=True)
    return cert, key


async def test_tls_is_verified_for_the_name_and_not_for_the_address(certificate):
    cert, key = certificate
    server_side = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server_side.load_cert_chain(cert, key)
    names: list[str | None] = []
    server_side.sni_callback = lambda _socket, name, _context: names.append(name)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=server_side, family=socket.AF_INET)
    port = server.sockets[0].getsockname()[1]
    trusting = ssl.create_default_context(cafile=str(cert))
    resolve, _ = resolver(["127.0.0.1"])
    policy = STRICT.with_loopback()
    async with guarded_client(policy, connect_s=5, total_s=5, resolve=resolve, verify=trusting) as client:
        good = await client.get(f"https://hook.example:{port}/")
        with pytest.raises(httpx2.ConnectError, match=r"CERTIFICATE|certificate"):
            await client.get(f"https://other.example:{port}/")
    async with guarded_client(policy, connect_s=5, total_s=5, resolve=resolve) as client:
        with pytest.raises(httpx2.ConnectError, match=r"CERTIFICATE|certificate"):
            await client.get(f"https://hook.example:{port}/")
    server.close()

    assert good.status_code == 204
    assert names[:2] == ["hook.example", "other.example"]
