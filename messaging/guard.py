"""Which addresses may be contacted: a policy (pure), a check for the API, and an httpx2 transport that obeys it.

A name is judged by what it resolves to at the moment of connecting, *every* address of it has to pass, and the
connection goes to the address that was judged: a name that resolves differently a moment later (DNS rebinding) gains
nothing. Host header and TLS name stay the name. Each request has a connection of its own, so each one is judged.
"""

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Self

import httpx2

from messaging.errors import Fault, FieldError, Invalid

URL_MAX = 2048  # characters
ADDRESSES_MOST = 4  # tried in turn when a host has several
PORTS = frozenset({80, 443, 8443})
DEFAULT_PORTS = {"http": 80, "https": 443}
LOOPBACK = ("127.0.0.0/8", "::1/128")
NAT64 = ip_network("64:ff9b::/96")  # RFC 6052: an IPv4 address stands in the last 32 bits
GLOBAL_UNICAST = ip_network("2000::/3")  # RFC 4291 §2.4: all that is handed out
OVERLOOKED = tuple(  # not anybody's, and called global by the ipaddress module of Python 3.11 or 3.12
    ip_network(block)
    for block in (
        "192.88.99.0/24",  # RFC 7526: relays of 6to4, given up
        "2002::/16",  # RFC 3056: 6to4, leads to any IPv4 address
        "3fff::/20",  # RFC 9637: documentation
    )
)

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]


class CallbackRefused(Invalid):
    """We do not post to that URL."""

    code, title, fault = "CALLBACK_REFUSED", "Callback URL refused", Fault.REQUEST
    hint = (
        "Give an https URL on a public address and port 443 or 8443, without user and password; in a closed network "
        "the operator lists its addresses in webhooks.allow."
    )


class AddressRefused(httpx2.TransportError):
    """The guard did not let a request out: nothing was connected."""


@dataclass(frozen=True, slots=True)
class AddressPolicy:
    """`allow` (CIDR blocks) lets through what is listed, on any port and by plain http; `guard=False` lets all through.

    `plain_http` and `ports` (None: any) are about everything else. Raises ValueError for a block that is none.
    """

    guard: bool = True
    allow: tuple[str, ...] = ()
    plain_http: bool = False
    ports: frozenset[int] | None = PORTS

    def __post_init__(self) -> None:
        _networks(self.allow)

    def with_loopback(self) -> Self:
        """For deliveries of test keys: a program on this machine may receive them."""
        return replace(self, allow=(*self.allow, *LOOPBACK))

    def refuses(self, address: str, scheme: str, port: int) -> str | None:
        """Why a connection to this IP address is not made, or None."""
        try:
            real = _unwrapped(ip_address(address))
        except ValueError:
            return f"{address} is no IP address"
        if any(real in block for block in _networks(self.allow)):
            return None
        if scheme == "http" and not self.plain_http:
            return "only https is allowed"
        if not self.guard:
            return None
        if self.ports is not None and port not in self.ports:
            return f"port {port} is not allowed"
        return None if is_public(real) else f"{address} is not a public address"


@cache
def _networks(blocks: tuple[str, ...]) -> tuple[IPv4Network | IPv6Network, ...]:
    return tuple(ip_network(block) for block in blocks)


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Whether this is an address of somebody on the internet: what ipaddress calls global, less what it overlooks."""
    if address.is_multicast or address.is_reserved or address.is_unspecified or not address.is_global:
        return False
    if any(address in block for block in OVERLOOKED):
        return False
    return address.version == 4 or address in GLOBAL_UNICAST


def _unwrapped(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in NAT64:
            return IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def judge_url(url: str, policy: AddressPolicy) -> str | None:
    """What is wrong with this URL as far as can be told without DNS, or None."""
    if len(url) > URL_MAX:
        return f"longer than {URL_MAX} characters"
    if any(character.isspace() or not character.isprintable() or character == "\\" for character in url):
        return "spaces, control characters and backslashes are not allowed"
    try:
        parsed = httpx2.URL(url)
    except httpx2.InvalidURL:
        return "this is not a URL"
    port = _port(parsed)
    if parsed.scheme not in DEFAULT_PORTS or not parsed.raw_host or not 0 < port < 65536:
        return "give a full URL: https://host/path"
    if "@" in url.split("://", 1)[-1].split("/", 1)[0].split("?", 1)[0].split("#", 1)[0]:
        return "user and password do not belong in a URL"
    host = _host(parsed).rstrip(".")
    try:
        ip_address(host)
    except ValueError:
        return _judge_name(host, parsed.scheme, port, policy)
    return policy.refuses(host, parsed.scheme, port)


def _judge_name(host: str, scheme: str, port: int, policy: AddressPolicy) -> str | None:
    """A name that DNS has yet to answer for; where the answer may matter, the transport judges again."""
    last = host.rpartition(".")[2]
    if last[:1].isdigit() or "%" in host or ":" in host:  # no top-level domain begins with a digit (RFC 3696 §2)
        return "write the IP address in its usual form"
    if last == "localhost":  # RFC 6761 §6.3: always the loopback
        return policy.refuses("127.0.0.1", scheme, port)
    if policy.allow:
        return None
    if scheme == "http" and not policy.plain_http:
        return "only https is allowed"
    if policy.guard and policy.ports is not None and port not in policy.ports:
        return f"port {port} is not allowed"
    return None


def check_url(url: str, policy: AddressPolicy, pointer: str = "#/callback_url") -> None:
    """The API's early answer, without DNS. Raises CallbackRefused (422), which names the field."""
    if reason := judge_url(url, policy):
        raise CallbackRefused(f"{pointer[2:]}: {reason}", errors=(FieldError(pointer, "refused", reason),))


class SystemResolver:
    """The system's resolver, one question per name at a time: a name server that hangs costs one thread, not all."""

    def __init__(self) -> None:
        self._asking: dict[tuple[str, int], asyncio.Task[list[str]]] = {}

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        question = (host, port)
        task = self._asking.get(question)
        if task is None:
            task = asyncio.create_task(self._ask(host, port), name=f"resolve {host}")
            self._asking[question] = task
            task.add_done_callback(lambda done: self._answered(question, done))
        return await asyncio.shield(task)  # whoever gives up leaves the question to the others

    def _answered(self, question: tuple[str, int], task: asyncio.Task[list[str]]) -> None:
        self._asking.pop(question, None)
        if not task.cancelled():
            task.exception()  # seen, also when nobody waited for it any more

    async def _ask(self, host: str, port: int) -> list[str]:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=1)  # SOCK_STREAM
        return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class GuardedTransport(httpx2.AsyncBaseTransport):
    """Raises AddressRefused, and what httpx2 raises. Give the client `follow_redirects=False` (its default)."""

    def __init__(
        self,
        policy: AddressPolicy,
        *,
        resolve: Resolve | None = None,
        verify: ssl.SSLContext | bool = True,
        inner: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        self._policy = policy
        self._resolve = resolve or SystemResolver()
        # No kept connections: the pool knows them by address, and two names may share one.
        limits = httpx2.Limits(max_connections=None, max_keepalive_connections=0)
        self._inner = inner or httpx2.AsyncHTTPTransport(verify=verify, limits=limits, retries=0)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        if reason := judge_url(str(request.url), self._policy):
            raise AddressRefused(reason, request=request)
        addresses = await self._judged(request)
        for address in addresses[:-1]:
            try:
                return await self._inner.handle_async_request(_aimed(request, address))
            except (httpx2.ConnectError, httpx2.ConnectTimeout):
                continue  # nothing was sent
        return await self._inner.handle_async_request(_aimed(request, addresses[-1]))

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def _judged(self, request: httpx2.Request) -> Sequence[str]:
        url = request.url
        port = _port(url)
        addresses = await self._addresses(request, port)
        for address in addresses:
            if reason := self._policy.refuses(address, url.scheme, port):
                raise AddressRefused(reason, request=request)
        return addresses[:ADDRESSES_MOST]

    async def _addresses(self, request: httpx2.Request, port: int) -> Sequence[str]:
        host = _host(request.url)
        try:
            return [str(ip_address(host.rstrip(".")))]
        except ValueError:
            pass
        try:
            async with asyncio.timeout(request.extensions.get("timeout", {}).get("connect")):
                addresses = await self._resolve(host, port)
        except TimeoutError as error:
            raise httpx2.ConnectTimeout(f"no address of {host} in time", request=request) from error
        except (OSError, UnicodeError) as error:
            raise httpx2.ConnectError(f"no address of {host}: {error}", request=request) from error
        if not addresses:
            raise httpx2.ConnectError(f"{host} has no address", request=request)
        return addresses


def guarded_client(
    policy: AddressPolicy,
    *,
    connect_s: float,
    total_s: float,
    resolve: Resolve | None = None,
    verify: ssl.SSLContext | bool = True,
) -> httpx2.AsyncClient:
    """A client that goes nowhere but where the policy lets it: no redirects, no proxies, no cookies kept."""
    return httpx2.AsyncClient(
        transport=GuardedTransport(policy, resolve=resolve, verify=verify),
        timeout=httpx2.Timeout(total_s, connect=connect_s),
        follow_redirects=False,
        trust_env=False,
    )


def _aimed(request: httpx2.Request, address: str) -> httpx2.Request:
    """The same request to this address, under the same name."""
    headers = request.headers.copy()
    headers["Host"] = request.url.netloc.decode("ascii")
    return httpx2.Request(
        request.method,
        request.url.copy_with(host=address),
        headers=headers,
        stream=request.stream,
        extensions={**request.extensions, "sni_hostname": _host(request.url).rstrip(".")},
    )


def _host(url: httpx2.URL) -> str:
    return url.raw_host.decode("ascii")


def _port(url: httpx2.URL) -> int:
    return DEFAULT_PORTS.get(url.scheme, 0) if url.port is None else url.port
