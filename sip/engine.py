"""PJSIP, in a line process's main thread. Only this file and its parts, the files named pj…, import pjsua2.

Every rule here was paid for with a crash or a silent call. The short form: one thread; callbacks hand plain values to
the `Watcher` and return; a `pj.Call` leaves the registry inside its own DISCONNECTED callback; players die later than
their call; a `pj.Error` becomes words on the spot, because it holds the frames, and so the calls, it passed through.
What is to be done with a call is decided in sip/exchange.py; no object of the library gets there.
"""

import gc
import os
import sys
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pjsua2 as pj

from sip import mediadoor, pjsettings, selfcheck
from sip.commands import Dial
from sip.doorkeeper import Doorkeeper
from sip.events import Ready
from sip.legs import Counters
from sip.logins import Logins
from sip.messages import Seen, read_log
from sip.pjcall import Call
from sip.pjendpoint import Account, Endpoint, Listener, ListeningRegistrant, Registrant, Tape
from sip.pjproblem import Problem, attempt
from sip.pjsound import Sound
from sip.setup import LineSetup
from sip.streams import Streams
from sip.tls import TlsFilesError
from sip.trunk import DtmfWay, Transport
from sip.watcher import Watcher

_TRANSPORTS = {
    Transport.UDP: pj.PJSIP_TRANSPORT_UDP,
    Transport.TCP: pj.PJSIP_TRANSPORT_TCP,
    Transport.TLS: pj.PJSIP_TRANSPORT_TLS,
}


class EngineRefused(Exception):
    """PJSIP must not dial with what it was told; the message is for the operator."""


def compiled_capacity() -> int:
    """Calls per process that this build of the library allows: the default of a field nobody has changed yet."""
    return int(pj.EpConfig().uaConfig.maxCalls)


class Engine:
    """One endpoint, one account, at most `ready.capacity` calls. Raises EngineRefused when it must not dial."""

    def __init__(self, setup: LineSetup, watcher: Watcher) -> None:
        self.watcher = watcher
        self._setup = setup
        self._calls: dict[str, Call] = {}  # the only reference to each
        self._sound = Sound(taps=setup.trunk.dtmf is DtmfWay.INBAND)
        self._registrant: Registrant | None = None
        self._registrant_route: str | None = None
        self._awake = True
        self._route = ""
        self._logins = Logins()
        self._tape = Tape(self._stop_login)  # lives as long as the process
        self.streams = Streams(setup.trunk.outbound_proxy or setup.trunk.uris[0].host)
        problem = attempt(self._start)
        if problem is not None:
            raise EngineRefused(str(problem))

    # -- start

    def _start(self) -> None:
        self._endpoint = Endpoint(self.streams)
        self._endpoint.libCreate()
        capacity = min(compiled_capacity(), self._setup.capacity)
        self._config = pj.EpConfig()
        pjsettings.fill_endpoint(self._config, capacity, self._tape)
        self._endpoint.libInit(self._config)
        self._transport = self._open_transport()
        self._endpoint.libStart()
        pjsettings.choose_codecs(self._endpoint, self._setup.trunk.codecs)
        self._account_config = self._make_account_config()
        self._account = Listener(self._admit) if self._setup.listens else Account()
        self._account.create(self._account_config)
        self.sleep()
        self.ready = self._guarded(self._check())

    def _open_transport(self) -> int:
        kind = _TRANSPORTS.get(self._setup.transport) if self._setup.transport else None
        if kind is None:
            raise EngineRefused("a trunk is reached over udp, over tcp or over tls, and by all its uris the same way")
        self._transport_config = pj.TransportConfig()
        try:
            pjsettings.fill_transport(self._transport_config, self._setup)
        except TlsFilesError as error:
            raise EngineRefused(str(error)) from None
        return int(self._endpoint.transportCreate(kind, self._transport_config))

    def _make_account_config(self) -> Any:
        config = pj.AccountConfig()
        pjsettings.fill_account(config, self._setup, self._transport)
        return self._with_login(config)

    def _with_login(self, config: Any) -> Any:
        auth = self._setup.trunk.auth
        if auth is not None:
            config.sipConfig.authCreds.append(pj.AuthCredInfo("digest", auth.realm, auth.username, 0, auth.password))
        return config

    def _check(self) -> Ready:
        effective = pjsettings.effective(self._endpoint, self._config, self._account_config, self._transport_config)
        wrong = selfcheck.faults(effective, self._setup)
        if wrong:
            raise EngineRefused("; ".join(wrong))
        bound = self._endpoint.transportGetInfo(self._transport)
        host, _, port = bound.localName.rpartition(":")
        return Ready(
            pid=os.getpid(),
            version=effective.version,
            capacity=effective.capacity,
            sip_address=host,
            sip_port=int(port),
            rtp_base=effective.rtp_base,
            rtp_range=effective.rtp_range,
            checks=selfcheck.warnings(effective, self._setup),
        )

    def _stop_login(self, entry: str) -> None:
        """Inside the library, between the receipt of a challenge and its answer to it: the one moment to prevent it."""
        endless = self._logins.too_many(entry)
        for call in list(self._calls.values()) if endless else ():
            if call.getInfo().callIdString == endless:
                self.hang_up(call.call_id)

    def _guarded(self, ready: Ready) -> Ready:
        """Strangers are kept out by the kernel from here on, where it can."""
        trunk = self._setup.trunk
        hosts = [uri.host for uri in trunk.uris if uri.enabled]
        hosts += [place.rpartition(":")[0] or place for place in (trunk.outbound_proxy, trunk.register.registrar)]
        datagrams = self._setup.transport is Transport.UDP
        self._doorkeeper = Doorkeeper(ready.sip_port, (*trunk.inbound.acl, *hosts), datagrams=datagrams)
        why_not = self._doorkeeper.stand()
        if not why_not:
            return ready
        warning = f"strangers' requests reach PJSIP, for want of a packet filter ({why_not}): use a firewall"
        return replace(ready, checks=(*ready.checks, warning))

    # -- the loop's side

    def pump(self, wait_ms: int) -> None:
        """Let the library work: what is due goes out, what came in is told to the watcher."""
        self._endpoint.libHandleEvents(wait_ms)

    def wake(self) -> None:
        """Start the sound clock; a call placed without it would be confirmed, and silent."""
        if not self._awake:
            self._endpoint.audDevManager().setNullDev()
            self._awake = True

    def sleep(self) -> None:
        """Stop the sound clock: it wakes the processor fifty times a second."""
        if self._awake:
            self._endpoint.audDevManager().setNoDev()
            self._awake = False

    def messages(self) -> Iterator[tuple[float, Seen]]:
        """SIP messages that crossed the wire since the last time, with their moment (Unix seconds)."""
        while self._tape.entries:
            at, entry = self._tape.entries.popleft()
            seen = read_log(entry)
            if seen is not None:
                if seen.sent and not seen.code:
                    self._doorkeeper.learn(seen.peer)
                yield at, seen

    def played_out(self) -> list[str]:
        """Calls whose file came to its end since the last time. The player is put away."""
        over: list[str] = []
        for player in self._sound.ended():
            for call in list(self._calls.values()):
                if call.player is player:
                    over.append(call.call_id)
                    self._sound.silence(call)
        return over

    def tidy(self, now: float) -> list[tuple[str, Path]]:
        """Free what has been dead for long enough; recordings that are closed by that, ready to be published."""
        return self._sound.tidy(now)

    @property
    def is_tidy(self) -> bool:
        return self._sound.is_tidy

    def destroy(self) -> None:
        """Nothing of the library may be touched afterwards."""
        self._calls.clear()
        self._sound.clear()
        gc.collect()
        attempt(self._shut_down)

    def _shut_down(self) -> None:
        self._account.shutdown()
        del self._account
        if self._registrant is not None:
            self._registrant.shutdown()
            self._registrant = None
        # Everything was sent and answered already; without the flag it sleeps for a second, in case.
        self._endpoint.libDestroy(pj.PJSUA_DESTROY_NO_RX_MSG)

    # -- the registration

    def register(self, route: str | None) -> Problem | None:
        """REGISTER now; the watcher hears the answer. `route`: the address found for a name."""
        return attempt(lambda: self._register(route))

    def unregister(self) -> Problem | None:
        """REGISTER with a life of 0."""
        one = self._registrant
        return None if one is None else attempt(lambda: one.setRegistration(False))

    def _register(self, route: str | None) -> None:
        trunk = self._setup.trunk
        if self._registrant is None or route != self._registrant_route:
            if self._registrant is not None:
                self._registrant.shutdown()
            config = pj.AccountConfig()
            pjsettings.fill_registration(config, self._setup, self._transport, self.ready.sip_port, route)
            realm = trunk.auth.realm if trunk.auth else ""
            one = Registrant(self.watcher, realm)
            if self._setup.listens:
                one = ListeningRegistrant(self.watcher, realm, self._admit)
            one.create(self._with_login(config))
            self._registrant, self._registrant_route = one, route
        self._registrant.setRegistration(True)

    # -- a call that came in

    def _admit(self, account: pj.Account, slot: int, source: str, text: str) -> None:
        """Inside the library's callback. The wrapper has to exist when it returns, or the library refuses the call."""
        call_id = f"in-{uuid.uuid4().hex}"
        self._calls[call_id] = Call(self, account, call_id, slot)
        self.watcher.rung(call_id, source, text)

    def ring(self, call_id: str) -> Problem | None:
        """180."""
        return self._reply(call_id, 180)

    def pick_up(self, call_id: str) -> Problem | None:
        """200."""
        self.wake()
        return self._reply(call_id, 200)

    def turn_away(self, call_id: str, code: int) -> Problem | None:
        """A final refusal. The watcher hears the end of the call before this returns."""
        call = self._calls.get(call_id)
        if call is None:
            return None
        prm = pj.CallOpParam()
        prm.statusCode = code
        return attempt(lambda: call.hangup(prm))

    def _reply(self, call_id: str, code: int) -> Problem | None:
        call = self._calls.get(call_id)
        if call is None:
            return None
        prm = pj.CallOpParam(True)
        prm.opt.videoCount = prm.opt.textCount = 0
        prm.statusCode = code
        return attempt(lambda: call.answer(prm))

    # -- one call

    def place(self, dial: Dial) -> Problem | None:
        """Send the INVITE. The watcher may hear the end of the call before this returns."""
        self.wake()
        call = self._calls[dial.call_id] = Call(self, self._account, dial.call_id)
        problem = attempt(lambda: self._make(call, dial))
        if problem is not None:
            self._calls.pop(dial.call_id, None)
        return problem

    def mark(self) -> int | None:
        """Before a dial, for `never_left` after it; None: there is no telling."""
        return None if self._setup.transport is Transport.UDP else self.streams.mark()

    def never_left(self, mark: int | None) -> bool:
        """What PJSIP reported as sent since then never had a connection to leave by."""
        return self.streams.none_since(mark)

    def sip_call_id(self, call_id: str) -> str:
        call = self._calls.get(call_id)
        return str(call.getInfo().callIdString) if call is not None else ""

    def hang_up(self, call_id: str) -> Problem | None:
        """CANCEL or BYE. The watcher hears the end before this returns, unless there is a problem."""
        call = self._calls.get(call_id)
        return None if call is None else attempt(lambda: call.hangup(pj.CallOpParam()))

    def connect(self, call_id: str, record: str | None) -> Problem | None:
        """Wire what is said and heard, after the answer and after each re-INVITE: a call has a new port then."""
        call = self._calls.get(call_id)
        return None if call is None else attempt(lambda: self._sound.connect(call, record))

    def shut_out(self, call_id: str, peer: str) -> None:
        """Sound of the call from its own peer only; `peer`: "address:port" that answered."""
        call = self._calls.get(call_id)
        if call is not None:
            attempt(lambda: self._shut_out(call, peer))

    def _shut_out(self, call: Call, peer: str) -> None:
        ours, theirs = call.getMedTransportInfo(0).localRtpName, call.getStreamInfo(0).remoteRtpAddress
        known = mediadoor.networks([theirs, peer, *self._setup.trunk.rtp.sources])
        why_not = mediadoor.admit(int(ours.rpartition(":")[2]), known) if known else "nobody is known"
        if why_not:
            sys.stderr.write(f"media of strangers is not shut out: {why_not}\n")

    def speak(self, call_id: str, audio: str) -> Problem | None:
        """Play a file from its beginning; what plays now stops."""
        self.silence(call_id)
        call = self._calls.get(call_id)
        return None if call is None else attempt(lambda: self._sound.play(call, audio))

    def silence(self, call_id: str) -> None:
        call = self._calls.get(call_id)
        if call is not None:
            self._sound.silence(call)

    def press(self, call_id: str, digits: str) -> Problem | None:
        """Keys, the way that the trunk takes them."""
        call = self._calls.get(call_id)
        if call is None:
            return None
        match self._setup.trunk.dtmf:
            case DtmfWay.RFC4733:
                return attempt(lambda: call.dialDtmf(digits))
            case DtmfWay.INFO:
                prm = pj.CallSendDtmfParam()
                prm.method, prm.digits = pj.PJSUA_DTMF_METHOD_SIP_INFO, digits
                return attempt(lambda: call.sendDtmf(prm))
            case DtmfWay.INBAND:
                return attempt(lambda: self._sound.press(call, digits))

    def overhear(self, call_id: str) -> Problem | None:
        """Have what the network says before the answer in `heard`; again whenever the media is new."""
        call = self._calls.get(call_id)
        return None if call is None else attempt(lambda: self._sound.tap(call))

    def stop_overhearing(self, call_id: str) -> None:
        """It was answered."""
        call = self._calls.get(call_id)
        if call is not None:
            self._sound.untap(call)

    def heard(self, call_id: str) -> Iterator[bytes]:
        """What was heard since the last time, PCM16 at 8 kHz; early media, and keys in the sound."""
        call = self._calls.get(call_id)
        while call is not None and call.tap is not None and call.tap.frames:
            yield call.tap.frames.popleft()

    def counters(self, call_id: str) -> Counters | None:
        """None when the call has no stream."""
        call = self._calls.get(call_id)
        return None if call is None else call.counters()

    def forget(self, call: Call) -> None:
        """Only from the call's own end: a wrapper that outlives it hangs up the stranger who gets its place."""
        self._calls.pop(call.call_id, None)
        self._sound.forget(call)

    def _make(self, call: Call, dial: Dial) -> None:
        self._send_through(dial.route or "")
        prm = pj.CallOpParam(True)
        prm.opt.videoCount = prm.opt.textCount = 0
        prm.txOption.localUri = _bracketed(dial.from_uri)
        for name, value in dial.headers:
            header = pj.SipHeader()
            header.hName, header.hValue = name, value
            prm.txOption.headers.append(header)
        call.makeCall(_bracketed(dial.uri), prm)

    def _send_through(self, route: str) -> None:
        """A host name in the URI stays there; packets go to the address that the parent found for it."""
        if route == self._route or self._setup.transport is Transport.TLS:
            return
        proxies = self._account_config.sipConfig.proxies
        proxies.clear()
        if route:
            proxies.append(pjsettings.proxy(self._setup, route))
        self._account.modify(self._account_config)
        self._route = route


def _bracketed(uri: str) -> str:
    """RFC 3261 section 20: without brackets, parameters of the URI would be read as those of the header."""
    return uri if "<" in uri else f"<{uri}>"
