"""SIP transactions over UDP (RFC 3261 section 17, RFC 6026): repeated requests absorbed, answers repeated until ACK."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from sip.sandbox.messages import Address, Request, Response, respond, response_address

Send = Callable[[bytes, Address], None]


@dataclass(frozen=True, slots=True)
class Timers:
    """Seconds. T1, T2, T4: RFC 3261 table 4. `least_session_s`: RFC 4028 section 5, shorter ones are refused."""

    t1: float = 0.5
    t2: float = 4.0
    t4: float = 5.0
    least_session_s: int = 90

    @property
    def patience(self) -> float:
        """64*T1: after this an unanswered message is given up (timers B, F, H, J, L)."""
        return 64 * self.t1


RFC3261 = Timers()

# A flood of new requests must not become a flood of memory; each entry lives at most 32 s.
MOST_TRANSACTIONS = 20_000


class _Repeater:
    """Sends one datagram again and again: after T1, doubling up to T2, until stopped or 64*T1 have passed."""

    def __init__(self, timers: Timers, again: Callable[[], None], given_up: Callable[[], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._timers = timers
        self._again = again
        self._given_up = given_up
        self._interval = timers.t1
        self._deadline = self._loop.time() + timers.patience
        self._handle = self._loop.call_later(self._interval, self._fire)

    def _fire(self) -> None:
        now = self._loop.time()
        if now >= self._deadline - 1e-6:
            self._given_up()
            return
        self._again()
        self._interval = min(2 * self._interval, self._timers.t2)
        self._handle = self._loop.call_at(min(now + self._interval, self._deadline), self._fire)

    def stop(self) -> None:
        self._handle.cancel()


class ServerTransaction:
    """One request of the caller and what we answered to it."""

    def __init__(self, table: "ServerTransactions", request: Request, source: Address, tag: str) -> None:
        self._table = table
        self.request = request
        self.source = source
        self.tag = request.to_tag or tag
        self.final: int | None = None
        self.on_no_ack: Callable[[], None] = lambda: None
        self._last: bytes | None = None
        self._repeater: _Repeater | None = None

    def respond(
        self, code: int, reason: str | None = None, headers: Iterable[tuple[str, str]] = (), body: bytes = b""
    ) -> None:
        """Send a response. After a final one nothing more is sent but its repetitions."""
        if self.final is not None:
            return
        self._last = respond(
            self.request, code, reason, source=self.source, to_tag=self.tag, headers=headers, body=body
        )
        self.repeat()
        if code >= 200:
            self.final = code
            self._finish()

    def repeat(self) -> None:
        """The request came once more, or the ACK did not come: send the last response again."""
        if self._last is not None:
            self._table.send(self._last, response_address(self.request, self.source))

    def _finish(self) -> None:
        if self.request.method == "INVITE":
            # A 2xx is repeated by the phone itself (section 13.3.1.4), other finals by the transaction: same times.
            self._repeater = _Repeater(self._table.timers, self.repeat, self._no_ack)
        else:
            self._table.forget_after(self, self._table.timers.patience)

    def _no_ack(self) -> None:
        self._table.forget(self)
        self.on_no_ack()

    def acked(self) -> bool:
        """The ACK for the final response came. True the first time."""
        if self._repeater is None:
            return False
        self._repeater.stop()
        self._repeater = None
        linger = self._table.timers.patience if self.final and self.final < 300 else self._table.timers.t4
        self._table.forget_after(self, linger)
        return True

    def abandon(self) -> None:
        if self._repeater is not None:
            self._repeater.stop()
            self._repeater = None


_Key = tuple[str, str, int, str, str, int, str]


class ServerTransactions:
    """Finds the transaction of a request: by branch and sent-by; Call-ID, CSeq and From tag serve RFC 2543 peers."""

    def __init__(self, send: Send, timers: Timers) -> None:
        self.send = send
        self.timers = timers
        self._open: dict[_Key, ServerTransaction] = {}
        self._lingering: dict[_Key, asyncio.TimerHandle] = {}

    def find(self, request: Request, method: str | None = None) -> ServerTransaction | None:
        """The transaction that `request` repeats or, with `method`, the one it acknowledges or cancels."""
        return self._open.get(_key(request, method or request.method))

    def open(self, request: Request, source: Address, tag: str) -> ServerTransaction | None:
        """A new transaction; None when there are too many, in which case the request is left unanswered."""
        if len(self._open) >= MOST_TRANSACTIONS:
            return None
        transaction = ServerTransaction(self, request, source, tag)
        self._open[_key(request, request.method)] = transaction
        return transaction

    def forget(self, transaction: ServerTransaction) -> None:
        key = _key(transaction.request, transaction.request.method)
        self._open.pop(key, None)
        handle = self._lingering.pop(key, None)
        if handle:
            handle.cancel()

    def forget_after(self, transaction: ServerTransaction, seconds: float) -> None:
        key = _key(transaction.request, transaction.request.method)
        loop = asyncio.get_running_loop()
        self._lingering[key] = loop.call_later(seconds, self.forget, transaction)

    def close(self) -> None:
        for handle in self._lingering.values():
            handle.cancel()
        for transaction in self._open.values():
            transaction.abandon()
        self._lingering.clear()
        self._open.clear()


def _key(request: Request, method: str) -> _Key:
    via = request.via
    return (via.branch, via.host, via.port, request.call_id, request.from_tag, request.cseq, method)


class ClientTransactions:
    """Requests of our own inside a call (BYE, UPDATE): repeated until a final answer or 64*T1."""

    def __init__(self, send: Send, timers: Timers) -> None:
        self._send = send
        self._timers = timers
        self._open: dict[tuple[str, str], tuple[_Repeater, Callable[[int | None], None]]] = {}
        self.idle = asyncio.Event()
        self.idle.set()

    def start(
        self, branch: str, method: str, datagram: bytes, target: Address, done: Callable[[int | None], None]
    ) -> None:
        """`done` is called once with the final code, or None when nobody answered."""
        self._send(datagram, target)
        repeater = _Repeater(
            self._timers,
            again=lambda: self._send(datagram, target),
            given_up=lambda: self._settle((branch, method), None),
        )
        self._open[branch, method] = (repeater, done)
        self.idle.clear()

    def receive(self, response: Response) -> None:
        if response.code >= 200:
            self._settle((response.branch, response.method), response.code)

    def _settle(self, key: tuple[str, str], code: int | None) -> None:
        repeater, done = self._open.pop(key, (None, None))
        if repeater is None or done is None:
            return
        repeater.stop()
        if not self._open:
            self.idle.set()
        done(code)

    def close(self) -> None:
        for repeater, _ in self._open.values():
            repeater.stop()
        self._open.clear()
        self.idle.set()
