"""The catch-all phone: one SIP port on loopback that answers every number as its script says (RFC 3261, UDP)."""

import asyncio
import logging
import re
import secrets
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path

from sip.sandbox import messages, sdp, tones
from sip.sandbox.call import ALLOW, METHODS, SUPPORTED, Call, Surroundings
from sip.sandbox.facts import EndedBy, Phase
from sip.sandbox.messages import Address, Malformed, Request
from sip.sandbox.scripts import OVERRIDE_HEADER, BadOverride, PhoneScript, script_for
from sip.sandbox.shelf import Shelf
from sip.sandbox.sound import Pacer
from sip.sandbox.transactions import RFC3261, ClientTransactions, ServerTransaction, ServerTransactions, Timers

log = logging.getLogger(__name__)

CALL_ID_HEADER = "X-Call-Id"
# Two sockets for each call: stays well below the usual limit of 1024 open files.
MOST_CALLS = 300
KEEP_RECORDINGS = 500
# How long `aclose` waits for the answers to its BYEs.
GOODBYE_S = 1.0
# Numbers whose tries are remembered (`answers_on_try`).
_MOST_TRIES = 1000
# Methods that exist but make no sense on this phone: 405. Any other word: 501.
_KNOWN = ("REGISTER", "SUBSCRIBE", "NOTIFY", "REFER", "MESSAGE", "PRACK", "PUBLISH")

Greeting = Path | Callable[[], Path]
Scripts = Callable[[str, str | None], PhoneScript]


@dataclass(frozen=True, slots=True)
class PhoneCall:
    """One call as the phone saw it, when it is over. Times are Unix seconds.

    `call_id`: the caller's `X-Call-Id`. `to`: the called number without "+". `digits_heard` includes keys by INFO.
    `recording`: mono PCM16 WAV at 8 kHz, None when nothing was heard. `ended_by`: a word of `EndedBy`. `invites`:
    INVITEs that asked for this call: repeated with a login they count, retransmitted or inside the call they do not.
    """

    call_id: str | None
    to: str
    started_at: float
    answered_at: float | None
    ended_at: float
    digits_sent: str
    digits_heard: str
    recording: Path | None
    heard_packets: int
    ended_by: str
    sip_call_id: str
    invites: int


OnEnd = Callable[[PhoneCall], Awaitable[None] | None]


class CatchAllPhone:
    """A SIP callee for development and tests. Start and close it inside one running event loop.

    `directory` receives the recordings (at most `keep`, the oldest go first). `port` 0 takes a free one. `on_end` is
    called once for every call, also one that was refused. `greeting` is a mono PCM16 WAV at 8 kHz for the mailbox, or a
    function that gives its path; None: a synthetic one. `scripts` decides what happens for (number, override).
    Raises ValueError unless `host` is an IPv4 loopback address.
    """

    def __init__(
        self,
        directory: Path,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        on_end: OnEnd | None = None,
        greeting: Greeting | None = None,
        scripts: Scripts = script_for,
        keep: int = KEEP_RECORDINGS,
        timers: Timers = RFC3261,
    ) -> None:
        if not sdp.is_loopback(host):
            raise ValueError(f"the catch-all phone listens on loopback only, not on {host}")
        self._directory = directory
        self._here = (host, port)
        self._on_end = on_end
        self._greeting = greeting
        self._scripts = scripts
        self._keep = keep
        self._timers = timers
        self._wire: asyncio.DatagramTransport | None = None
        self._calls: dict[tuple[str, str], Call] = {}
        self._tries: OrderedDict[tuple[str, str], int] = OrderedDict()
        self._reports: set[asyncio.Task[None]] = set()
        self._closing = False

    async def start(self) -> int:
        """Listen; returns the SIP port. Raises OSError when the port is taken, BadGreeting for a wrong greeting."""
        shelf = Shelf(self._directory, self._keep)
        path = self._greeting() if callable(self._greeting) else self._greeting
        greeting = tones.greeting() if path is None else tones.from_wav(path)
        loop = asyncio.get_running_loop()
        self._wire, _ = await loop.create_datagram_endpoint(lambda: _Wire(self._receive), local_addr=self._here)
        self._here = (self._here[0], self._wire.get_extra_info("sockname")[1])
        self._server = ServerTransactions(self._send, self._timers)
        self._client = ClientTransactions(self._send, self._timers)
        self._around = Surroundings(
            here=self._here,
            contact=f"<sip:phone@{self._here[0]}:{self._here[1]}>",
            pacer=Pacer(),
            requests=self._client,
            timers=self._timers,
            greeting=greeting,
            recording_path=lambda call: shelf.path_for(_call_id(call) or call.request.call_id),
            ended=self._ended,
        )
        return self._here[1]

    def calls_up(self) -> int:
        """Calls that ring or talk now."""
        return sum(call.phase is not Phase.ENDED for call in self._calls.values())

    async def aclose(self) -> None:
        """Hang up every call, wait a moment for the answers, tell `on_end`, give the port back."""
        if self._wire is None or self._closing:
            return
        self._closing = True
        for call in list(self._calls.values()):
            call.hang_up(EndedBy.SHUTDOWN)
        try:
            async with asyncio.timeout(GOODBYE_S):
                await self._client.idle.wait()
        except TimeoutError:
            pass
        self._client.close()
        self._server.close()
        self._wire.close()
        await asyncio.gather(*self._reports)

    # --- messages

    def _send(self, datagram: bytes, target: Address) -> None:
        if self._wire is not None and not self._wire.is_closing():
            self._wire.sendto(datagram, target)

    def _receive(self, datagram: bytes, source: Address) -> None:
        try:
            message = messages.parse(datagram)
        except Malformed as error:
            log.debug("a datagram was no SIP message: %s", error)
            return
        if isinstance(message, messages.Response):
            self._client.receive(message)
        elif message.method == "ACK":
            self._acknowledge(message)
        else:
            self._request(message, source)

    def _acknowledge(self, ack: Request) -> None:
        transaction = self._server.find(ack, "INVITE")
        call = self._calls.get((ack.call_id, ack.from_tag))
        if transaction is not None and transaction.final is not None and transaction.final >= 300:
            transaction.acked()
        elif call is not None and ack.to_tag == call.tag and ack.cseq == call.invite.request.cseq:
            call.ack(ack)

    def _request(self, request: Request, source: Address) -> None:
        known = self._server.find(request)
        if known is not None:
            known.repeat()
            return
        transaction = self._server.open(request, source, secrets.token_hex(6))
        if transaction is None:
            return
        if request.problem is not None:
            transaction.respond(*request.problem)
        elif request.method == "CANCEL":
            self._cancel(transaction)
        elif request.to_tag:
            self._inside(transaction)
        else:
            self._outside(transaction)

    def _cancel(self, transaction: ServerTransaction) -> None:
        request = transaction.request
        invite = self._server.find(request, "INVITE")
        if invite is None:
            transaction.respond(481)
            return
        transaction.tag = invite.tag  # section 9.2: the same To tag in both
        transaction.respond(200)
        call = self._calls.get((request.call_id, request.from_tag))
        if call is not None and call.invite is invite:
            call.cancel()

    def _outside(self, transaction: ServerTransaction) -> None:
        """A request that belongs to no dialog."""
        method = transaction.request.method
        if method == "OPTIONS":
            transaction.respond(200, headers=[ALLOW, SUPPORTED, ("Accept", "application/sdp")])
        elif method == "INVITE":
            self._invite(transaction)
        elif method in ("BYE", "UPDATE", "INFO"):
            transaction.respond(481)
        else:
            transaction.respond(405 if method in _KNOWN else 501, headers=[ALLOW])

    def _inside(self, transaction: ServerTransaction) -> None:
        """A request with a To tag: it must belong to a call that is up (section 12.2.2)."""
        request = transaction.request
        call = self._calls.get((request.call_id, request.from_tag))
        if call is None or call.tag != request.to_tag:
            transaction.respond(481)
        elif request.method not in METHODS:
            transaction.respond(405 if request.method in _KNOWN else 501, headers=[ALLOW])
        elif call.phase is Phase.ENDED:  # our BYE is under way, unless it is lost: two BYEs may cross
            transaction.respond(200 if request.method == "BYE" and call.script.says_bye else 481)
        elif request.cseq <= call.last_cseq:
            transaction.respond(500, "CSeq Out Of Order")
        else:
            call.last_cseq = request.cseq
            self._follow(call, transaction)

    def _follow(self, call: Call, transaction: ServerTransaction) -> None:
        method = transaction.request.method
        if method in ("INVITE", "UPDATE"):
            call.refresh(transaction)
            return
        transaction.respond(200, headers=[ALLOW] if method == "OPTIONS" else [])
        if method == "BYE":
            call.bye()
        elif method == "INFO":
            call.info(transaction.request)

    # --- calls

    def _invite(self, transaction: ServerTransaction) -> None:
        request = transaction.request
        known = self._calls.get((request.call_id, request.from_tag))
        again = known is not None and request.cseq > known.last_cseq
        if known is not None and again and known.phase is Phase.CHALLENGED:
            known.start_again(transaction)
            return
        if known is not None and not (again and known.phase is Phase.ENDED):  # else: refused before, tries once more
            transaction.respond(482)  # section 8.2.2.2: the same call came by another way
            return
        refusal = self._unfit(request)
        if refusal is not None:
            code, headers = refusal
            transaction.respond(code, headers=headers)
            return
        try:
            script = self._script(request)
        except BadOverride as error:
            transaction.respond(400, f"Bad {OVERRIDE_HEADER}", [("Warning", f'399 phone "{_quotable(str(error))}"')])
            return
        call = Call(self._around, script, transaction)
        self._calls[request.call_id, request.from_tag] = call
        call.start()

    def _unfit(self, request: Request) -> tuple[int, list[tuple[str, str]]] | None:
        """Why no phone could ring for this INVITE, or None."""
        strange = [name for name in request.headers.all("require") if name.lower() != "timer"]
        if self._closing or self.calls_up() >= MOST_CALLS:
            return 503, [("Retry-After", "5")]
        if not re.match(r"(sips?|tel):", request.uri, re.I):
            return 416, []
        if strange:
            return 420, [("Unsupported", ", ".join(strange))]
        return None

    def _script(self, request: Request) -> PhoneScript:
        """Raises BadOverride."""
        number = messages.uri_user(request.uri).lstrip("+")
        script = self._scripts(number, request.headers.get(OVERRIDE_HEADER.lower()))
        if script.answers_on_try <= 1 or script.until_then is None:
            return script
        caller = messages.uri_user(messages.address_uri(request.headers.get("from") or ""))
        tried = self._tries.pop((number, caller), 0) + 1
        if tried >= script.answers_on_try:
            return script
        self._tries[number, caller] = tried
        if len(self._tries) > _MOST_TRIES:
            self._tries.popitem(last=False)
        return replace(script, ring_after_s=None, answer_after_s=None, final=script.until_then)

    def _ended(self, call: Call) -> None:
        # Kept while a BYE of ours is under way, so that the caller's own, crossing it, finds its call.
        asyncio.get_running_loop().call_later(self._timers.t4, self._forget, call)
        if self._on_end is not None:
            task = asyncio.create_task(_tell(self._on_end, _as_phone_call(call)), name=f"report of {call.to}")
            self._reports.add(task)
            task.add_done_callback(self._reports.discard)

    def _forget(self, call: Call) -> None:
        key = (call.request.call_id, call.request.from_tag)
        if self._calls.get(key) is call:
            del self._calls[key]


class _Wire(asyncio.DatagramProtocol):
    """The SIP socket. A message that we fail to handle is our defect: logged, and the phone goes on."""

    def __init__(self, receive: Callable[[bytes, Address], None]) -> None:
        self._receive = receive

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        try:
            self._receive(data, addr)
        except Exception:
            log.exception("a SIP message was not handled")


def _call_id(call: Call) -> str | None:
    return call.request.headers.get(CALL_ID_HEADER.lower())


def _as_phone_call(call: Call) -> PhoneCall:
    facts, sound = call.facts, call.sound
    mouth, ear = (sound.mouth, sound.ear) if sound else (None, None)
    return PhoneCall(
        call_id=_call_id(call),
        to=call.to,
        started_at=facts.started_at,
        answered_at=facts.answered_at,
        ended_at=facts.ended_at or time.time(),
        digits_sent=mouth.digits if mouth else "",
        digits_heard=(ear.digits if ear else "") + facts.info_digits,
        recording=facts.recording,
        heard_packets=ear.heard_packets if ear else 0,
        ended_by=facts.ended_by,
        sip_call_id=call.request.call_id,
        invites=facts.invites,
    )


async def _tell(on_end: OnEnd, call: PhoneCall) -> None:
    try:
        result = on_end(call)
        if result is not None:
            await result
    except Exception:
        log.exception("the report of a call was not taken")


def _quotable(text: str) -> str:
    return re.sub(r'[^\x20-\x7e]|["\\]', "?", text)
