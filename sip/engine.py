"""PJSIP, in a line process's main thread: the only file that imports pjsua2.

Every rule here was paid for with a crash or a silent call; docs/decisions/0002 and the comments say which. The short
form: one thread; callbacks note facts and return; a `pj.Call` leaves the registry inside its own DISCONNECTED callback;
players die later than their call; a `pj.Error` is turned into words on the spot, because it holds the frames, and so
the calls, it passed through.
"""

import gc
import os
import sys
import time
import traceback
import wave
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pjsua2 as pj

from sip import selfcheck
from sip.commands import Command, Dial, Drain, HangUp, Ping, Play, Stop, StopPlaying, Why
from sip.events import (
    Answered,
    Dialling,
    Ended,
    Event,
    NoFreeLine,
    Origin,
    Phase,
    Pong,
    Ready,
    Ringing,
    Trace,
)
from sip.legs import RINGS_MOST, SETTLE_S, SILENT_SLOT_S, TRACE_MOST, Close, Counters, Leg
from sip.messages import masked, read_answer, read_log
from sip.recording import RATE_HZ, discard, join, parts
from sip.setup import DIALS_PER_S_CEILING, LineSetup
from sip.trunk import Transport

PUMP_MS = 10  # while calls live: no timer of ours needs a finer grain
PATIENCE_S = 0.5  # asleep on the pipe; a stranger's OPTIONS waits no longer
SETTLING_S = 0.1  # no call, but retransmissions of an unanswered INVITE or BYE are due now and then
GRAVE_S = 1.0  # a player freed while the clock thread still holds it is a use after free
COUNT_S = 1.0  # how often streams are read
WAIT_FOR_SLOT_S = 1.0  # a dial is delayed so long by pace or by a line about to be free, then refused
BURST = 4  # dials that may follow each other at once
STOP_S = 2.0
TOO_MANY = 70010  # PJ_ETOOMANY; not exported by the module
PRIORITIES = (254, 253, 252)

Words = str  # an error of PJSIP, as text


class EngineRefused(Exception):
    """PJSIP must not dial with what it was told; the message is for the operator."""


def compiled_capacity() -> int:
    """Calls per process that this build of the library allows: the default of a field nobody has changed yet."""
    return int(pj.EpConfig().uaConfig.maxCalls)


def _words(error: Any) -> Words:
    return f"{error.reason} ({error.status}, {error.title})"


class _Tape(pj.LogWriter):  # type: ignore[misc]  # the module has no types
    """Collects the log; SIP messages are cut out of it later, outside the library."""

    def __init__(self) -> None:
        super().__init__()
        self.entries: deque[tuple[float, str]] = deque(maxlen=4096)

    def write(self, entry: Any) -> None:
        message = entry.msg
        if "--end msg--" in message:
            self.entries.append((time.time(), message))


class _Account(pj.Account):  # type: ignore[misc]  # the module has no types
    """Dials only. It has no onIncomingCall on purpose: rejecting a late offer inside it ends the process."""

    def onIncomingSubscribe(self, prm: Any) -> None:  # the library's name
        prm.code, prm.reason = 403, "Forbidden"


class _Player(pj.AudioMediaPlayer):  # type: ignore[misc]  # the module has no types
    """Plays one file once. Its end is told by the sound clock's own thread: append to a deque, touch nothing else."""

    def __init__(self, over: deque["_Player"]) -> None:
        super().__init__()
        self._over = over

    def onEof2(self) -> None:  # the library's name
        self._over.append(self)


class _Recorder:
    """Both sides of a call, each into a file of its own.

    A source of silence is connected to both: a recorder that nobody feeds writes nothing, and the sides would drift.
    """

    def __init__(self, target: Path) -> None:
        self.target = target
        said, heard = parts(target)
        self.said, self.heard, self._silence = pj.AudioMediaRecorder(), pj.AudioMediaRecorder(), pj.ToneGenerator()
        self._silence.createToneGenerator(RATE_HZ, 1)
        for recorder, path in ((self.said, said), (self.heard, heard)):
            recorder.createRecorder(str(path))
            self._silence.startTransmit(recorder)


class _Call(pj.Call):  # type: ignore[misc]  # the module has no types
    """PJSIP's side of one leg: callbacks that note what happened."""

    def __init__(self, engine: "Engine", account: _Account, leg: Leg) -> None:
        super().__init__(account)
        self.engine = engine
        self.leg = leg
        self.player: _Player | None = None
        self.recorder: _Recorder | None = None
        self.rewire = False  # media became active (again): connect what is to be heard

    def onCallState(self, prm: Any) -> None:  # the library's name
        self._safely(self.engine.on_state, prm)

    def onCallTsxState(self, prm: Any) -> None:  # the library's name
        self._safely(self.engine.on_transaction, prm)

    def onCallMediaState(self, prm: Any) -> None:  # the library's name
        self._safely(self.engine.on_media, prm)

    def onDtmfDigit(self, prm: Any) -> None:  # the library's name
        self._safely(self.engine.on_digit, prm)

    def onCallTransferRequest(self, prm: Any) -> None:  # the library's name
        prm.statusCode = 603  # the callee could dial on our account otherwise

    def onCallReplaceRequest(self, prm: Any) -> None:  # the library's name
        prm.statusCode = 603  # a stranger could take the call otherwise

    def _safely(self, act: Callable[["_Call", Any], None], prm: Any) -> None:
        """An exception that crosses into the library aborts the process and takes the other calls with it."""
        try:
            act(self, prm)
        except Exception:  # noqa: BLE001  # outermost frame of a callback
            traceback.print_exc(file=sys.stderr)
            self.leg.error = self.leg.error or "a fault in the line process"


class Engine:
    """One endpoint, one account, at most `capacity` calls. Raises EngineRefused when it must not dial."""

    def __init__(self, setup: LineSetup) -> None:
        self._setup = setup
        self._capacity = min(compiled_capacity(), setup.capacity)
        self._events: list[Event] = []
        self._calls: dict[str, _Call] = {}  # the only reference to each
        self._closing: dict[str, Leg] = {}  # over for PJSIP, not yet told
        self._reserved: dict[str, tuple[float, Leg]] = {}  # by SIP Call-ID: told, but their line is still taken
        self._by_sip_id: dict[str, Leg] = {}
        self._recordings: dict[str, tuple[float, _Recorder]] = {}
        self._graves: deque[tuple[float, Any]] = deque()
        self._eofs: deque[_Player] = deque()
        self._waiting: deque[tuple[Dial, float]] = deque()
        self._tokens, self._refilled = float(BURST), time.monotonic()
        self._draining = self._stopping = False
        self._stop_by = 0.0
        self._awake = True
        self._count_at = 0.0
        self._route = ""
        self._tape = _Tape()
        try:
            self._start()
        except pj.Error as error:
            words = _words(error)
        else:
            return
        raise EngineRefused(words)

    # -- start

    def _start(self) -> None:
        self._ep = pj.Endpoint()
        self._ep.libCreate()
        self._ep_config = self._endpoint_config()
        self._ep.libInit(self._ep_config)
        self._transport = self._open_transport()
        self._ep.libStart()
        self._choose_codecs()
        self._account_config = self._make_account_config()
        self._account = _Account()
        self._account.create(self._account_config)
        self._sleep()
        self.ready = self._check()

    def _endpoint_config(self) -> Any:
        config = pj.EpConfig()
        ua, media, log = config.uaConfig, config.medConfig, config.logConfig
        ua.maxCalls, ua.threadCnt, ua.mainThreadOnly = self._capacity, 0, True
        ua.mwiUnsolicitedEnabled, ua.natTypeInSdp, ua.userAgent = False, 0, "Tocsin"
        media.hasIoqueue, media.threadCnt = False, 0
        media.clockRate, media.noVad, media.ecTailLen, media.sndAutoCloseTime = 8000, True, 0, -1
        # Level 4 is the level of whole SIP messages; the writer sees what passes consoleLevel.
        log.level = log.consoleLevel = 4
        log.msgLogging, log.decor = 1, 0
        log.writer = self._tape
        return config

    def _open_transport(self) -> int:
        trunk = self._setup.trunk
        kinds = {uri.transport for uri in trunk.uris if uri.enabled}
        if kinds - {Transport.UDP, Transport.TCP} or len(kinds) != 1:
            raise EngineRefused(f"a trunk is reached over udp or over tcp, not {', '.join(sorted(kinds)) or 'nothing'}")
        config = pj.TransportConfig()
        config.boundAddress, config.port = trunk.bind_address, self._setup.sip_port
        if trunk.public_address:
            config.publicAddress = trunk.public_address
        over_tcp = kinds == {Transport.TCP}
        kind = pj.PJSIP_TRANSPORT_TCP if over_tcp else pj.PJSIP_TRANSPORT_UDP
        return int(self._ep.transportCreate(kind, config))

    def _choose_codecs(self) -> None:
        wanted = [name.upper() for name in self._setup.trunk.codecs]
        known = self._ep.codecEnum2()
        for codec in known:
            name = codec.codecId.partition("/")[0]
            priority = PRIORITIES[wanted.index(name)] if name in wanted and name in selfcheck.KNOWN_CODECS else 0
            self._ep.codecSetPriority(codec.codecId, priority)

    def _make_account_config(self) -> Any:
        trunk, config = self._setup.trunk, pj.AccountConfig()
        host = trunk.public_address or trunk.bind_address
        config.idUri = f"<sip:tocsin@{host}>"
        config.sipConfig.transportId = self._transport
        if trunk.auth is not None:
            login = pj.AuthCredInfo("digest", trunk.auth.realm, trunk.auth.username, 0, trunk.auth.password)
            config.sipConfig.authCreds.append(login)
        call, nat, rtp = config.callConfig, config.natConfig, config.mediaConfig.transportConfig
        call.timerUse, call.timerSessExpiresSec, call.timerMinSESec = 3, trunk.session_expires_s, 90
        call.prackUse = 0
        nat.sipOutboundUse = nat.contactRewriteUse = nat.viaRewriteUse = nat.udpKaIntervalSec = 0
        rtp.boundAddress, rtp.port, rtp.portRange = trunk.bind_address, self._setup.rtp_base, self._setup.rtp_range
        if trunk.public_address:
            rtp.publicAddress = trunk.public_address
        config.regConfig.unregWaitMsec = 500
        return config

    def _check(self) -> Ready:
        effective = self._effective()
        wrong = selfcheck.faults(effective, self._setup)
        if wrong:
            raise EngineRefused("; ".join(wrong))
        bound = self._ep.transportGetInfo(self._transport)
        host, _, port = bound.localName.rpartition(":")
        return Ready(
            pid=os.getpid(),
            version=effective.version,
            capacity=self._capacity,
            sip_address=host,
            sip_port=int(port),
            rtp_base=self._setup.rtp_base,
            rtp_range=self._setup.rtp_range,
            checks=selfcheck.warnings(effective),
        )

    def _effective(self) -> selfcheck.Effective:
        ua, media = self._ep_config.uaConfig, self._ep_config.medConfig
        account = self._account_config
        creds = account.sipConfig.authCreds
        rtp = account.mediaConfig.transportConfig
        return selfcheck.Effective(
            version=self._ep.libVersion().full,
            capacity=int(ua.maxCalls),
            codecs=tuple(c.codecId.partition("/")[0] for c in self._ep.codecEnum2() if c.priority > 0),
            videos=len(self._ep.videoCodecEnum2()),
            ice=bool(account.natConfig.iceEnabled),
            turn=bool(account.natConfig.turnEnabled),
            upnp=bool(ua.enableUpnp),
            stun=len(ua.stunServer) > 0,
            nameserver=len(ua.nameserver) > 0,
            realms=tuple(cred.realm for cred in creds),
            schemes=tuple(cred.scheme for cred in creds),
            digest_types=tuple(int(cred.dataType) for cred in creds),
            credential_bytes=max((len(t.encode()) for c in creds for t in (c.realm, c.username, c.data)), default=0),
            srtp=int(account.mediaConfig.srtpUse),
            sip_bound=self._setup.trunk.bind_address,
            rtp_bound=rtp.boundAddress,
            rtp_base=int(rtp.port),
            rtp_range=int(rtp.portRange),
            sip_threads=int(ua.threadCnt),
            media_threads=int(media.threadCnt),
            media_ioqueue=bool(media.hasIoqueue),
            main_thread_only=bool(ua.mainThreadOnly),
            auto_close_s=int(media.sndAutoCloseTime),
            no_vad=bool(media.noVad),
            echo_tail_ms=int(media.ecTailLen),
            clock_hz=int(media.clockRate),
            timer_use=int(account.callConfig.timerUse),
            timer_expires_s=int(account.callConfig.timerSessExpiresSec),
            mwi=bool(ua.mwiUnsolicitedEnabled),
            publish=bool(account.presConfig.publishEnabled),
        )

    # -- the loop's side

    def patience_s(self) -> float:
        """How long the loop may sleep on its pipe before the next `pump`."""
        if self._calls or self._closing or self._waiting or self._graves or self._recordings or self._stopping:
            return 0.0
        return SETTLING_S if self._reserved else PATIENCE_S

    @property
    def stopped(self) -> bool:
        """A Stop was obeyed to the end: every BYE is answered, or two seconds have passed."""
        over = not (self._calls or self._closing or self._recordings or self._reserved)
        return self._stopping and (over or time.monotonic() >= self._stop_by)

    def obey(self, command: Command) -> None:
        """Answered by events; see `take`."""
        match command:
            case Dial():
                self._waiting.append((command, time.monotonic() + WAIT_FOR_SLOT_S))
            case Play():
                self._play(command)
            case StopPlaying():
                self._stop_playing(command.call_id)
            case HangUp():
                self._hang_up_by_id(command)
            case Ping():
                self._events.append(Pong(command.number))
            case Drain():
                self._draining = True
            case Stop():
                self._stop()

    def pump(self) -> None:
        """One turn: what is due goes out, what the network brought comes in."""
        self._place_waiting()
        busy = self._calls or self._closing
        self._ep.libHandleEvents(PUMP_MS if busy else 0)
        self._read_tape()
        self._end_players()
        now = time.monotonic()
        counting = now >= self._count_at
        if counting:
            self._count_at = now + COUNT_S
        for call in list(self._calls.values()):
            self._tend(call, now, counting)
        self._publish_recordings(now)
        self._read_tape()  # what we sent in this turn: an end is told after its BYE was answered
        self._tell_ends(now)
        while self._graves and self._graves[0][0] <= now:
            self._graves.popleft()
        if self._awake and not (self._calls or self._waiting or self._graves or self._recordings):
            self._sleep()

    def take(self) -> list[Event]:
        """Events since the last call."""
        events, self._events = self._events, []
        return events

    def give_up(self) -> list[Ended]:
        """The parent is gone: end every call, now; how each ended. Call `leave` afterwards."""
        never = [self._never_sent(dial, "the service stopped before it was dialled") for dial, _ in self._waiting]
        self._waiting.clear()
        for call in list(self._calls.values()):
            self._hang_up(call, Why.SHUTDOWN)
        self._read_tape()
        self._stopping, self._stop_by = True, time.monotonic() + STOP_S
        told = [event for event in self._events if isinstance(event, Ended)]
        return told + never + [self._facts(leg) for leg in self._closing.values()]

    def leave(self) -> None:
        """Let the last BYEs be answered, at most two seconds; then nothing of the library exists any more."""
        while not self.stopped:
            self.pump()
        self._calls.clear()
        self._eofs.clear()
        self._graves.clear()
        self._recordings.clear()
        gc.collect()
        try:
            self._account.shutdown()
            del self._account
            # Everything was sent and answered already; without the flag it sleeps for a second, in case.
            self._ep.libDestroy(pj.PJSUA_DESTROY_NO_RX_MSG)
        except pj.Error as error:
            print(_words(error), file=sys.stderr)  # noqa: T201  # the process ends here; nothing else can hear it

    def _wake(self) -> None:
        if not self._awake:
            self._ep.audDevManager().setNullDev()  # without a clock a call would be confirmed and silent
            self._awake = True

    def _sleep(self) -> None:
        self._ep.audDevManager().setNoDev()
        self._awake = False

    # -- dialling

    def _place_waiting(self) -> None:
        now = time.monotonic()
        rate = min(self._setup.dials_per_s, DIALS_PER_S_CEILING)
        self._tokens = min(float(BURST), self._tokens + (now - self._refilled) * rate)
        self._refilled = now
        while self._waiting:
            dial, give_up_at = self._waiting[0]
            refusal = self._no_room()
            if refusal is None and self._tokens >= 1:
                refusal = self._place(dial, now)
                if refusal is None:
                    self._tokens -= 1
                    self._waiting.popleft()
                    continue
            if not self._draining and now < give_up_at and (refusal is None or self._closing):
                return  # soon
            self._waiting.popleft()
            self._events.append(NoFreeLine(dial.call_id, refusal or "dialled too fast"))

    def _no_room(self) -> str | None:
        if self._draining or self._stopping:
            return "draining"
        if len(self._calls) + len(self._closing) + len(self._reserved) >= self._capacity:
            return "every line is busy"
        return None

    def _place(self, dial: Dial, now: float) -> str | None:
        """None when it was dialled, whatever came of it; else why nothing was sent."""
        if dial.call_id in self._calls or dial.call_id in self._closing:
            return "this call is being dialled already"
        try:
            leg = Leg(dial, _file_ms(dial.audio), self._setup.silent_s, now)
        except (OSError, EOFError, wave.Error) as error:
            self._events.append(Dialling(dial.call_id, time.time(), ""))
            self._events.append(self._never_sent(dial, f"cannot read the audio: {type(error).__name__}"))
            return None
        self._wake()
        call = self._calls[dial.call_id] = _Call(self, self._account, leg)
        problem, status = self._make(call, dial)
        if leg.close is None and problem is None:
            self._know(call)
        elif leg.close is None:
            del self._calls[dial.call_id]
            if status in _NOTHING_SENT:
                return _NOTHING_SENT[status]
            leg.error = problem
            leg.close = Close(time.time(), 0, "", Origin.LOCAL)
            self._closing[dial.call_id] = leg
        self._events.append(Dialling(dial.call_id, time.time(), leg.sip_call_id))
        return None

    def _make(self, call: _Call, dial: Dial) -> tuple[str | None, int]:
        try:
            self._send_through(dial.route or "")
            prm = pj.CallOpParam(True)
            prm.opt.videoCount = prm.opt.textCount = 0
            for name, value in dial.headers:
                header = pj.SipHeader()
                header.hName, header.hValue = name, value
                prm.txOption.headers.append(header)
            prm.txOption.localUri = _bracketed(dial.from_uri)
            call.makeCall(_bracketed(dial.uri), prm)
        except pj.Error as error:
            return _words(error), int(error.status)
        return None, 0

    def _send_through(self, route: str) -> None:
        """A host name in the URI stays there; the address that the parent found for it is where packets go."""
        if route == self._route:
            return
        proxies = self._account_config.sipConfig.proxies
        proxies.clear()
        if route:
            over = ";transport=tcp" if self._setup.trunk.uris[0].transport is Transport.TCP else ""
            proxies.append(f"<sip:{route}{over};lr;hide>")
        self._account.modify(self._account_config)
        self._route = route

    def _know(self, call: _Call) -> None:
        info = call.getInfo()
        call.leg.sip_call_id = info.callIdString
        self._by_sip_id[call.leg.sip_call_id] = call.leg

    def _never_sent(self, dial: Dial, error: str) -> Ended:
        return Ended(dial.call_id, time.time(), 0, "", Origin.LOCAL, Phase.SILENT, sent=False, error=error)

    # -- commands on a call

    def _play(self, command: Play) -> None:
        call = self._calls.get(command.call_id)
        if call is None or not call.leg.confirmed:
            return
        self._stop_playing(command.call_id)
        try:
            file_ms = _file_ms(command.audio)
        except (OSError, EOFError, wave.Error) as error:
            call.leg.error = f"cannot read the audio: {type(error).__name__}"
            return
        call.leg.replace_script(command, file_ms, time.monotonic())

    def _stop_playing(self, call_id: str) -> None:
        call = self._calls.get(call_id)
        if call is None:
            return
        self._silence(call)
        self._count(call, time.monotonic())
        self._say(call.leg.stopped(time.time()))

    def _hang_up_by_id(self, command: HangUp) -> None:
        call = self._calls.get(command.call_id)
        if call is not None:
            self._hang_up(call, command.why)
            return
        for waiting in list(self._waiting):
            if waiting[0].call_id == command.call_id:
                self._waiting.remove(waiting)
                self._events.append(NoFreeLine(command.call_id, "given up before it was dialled"))

    def _hang_up(self, call: _Call, why: Why) -> None:
        """DISCONNECTED comes back inside `hangup`; what PJSIP cannot end any more is ended here."""
        leg = call.leg
        if leg.why is not None or leg.close is not None:
            return
        leg.why = why
        self._count(call, time.monotonic())
        try:
            call.hangup(pj.CallOpParam())
        except pj.Error as error:
            leg.error = _words(error)
            if leg.close is None:
                self._close(call, Close(time.time(), 0, "", Origin.LOCAL))

    def _stop(self) -> None:
        self._stopping, self._stop_by = True, time.monotonic() + STOP_S
        for call in list(self._calls.values()):
            self._hang_up(call, Why.SHUTDOWN)

    # -- callbacks, on the loop's thread, inside libHandleEvents or inside our own calls into the library

    def on_state(self, call: _Call, prm: Any) -> None:
        info = call.getInfo()
        leg = call.leg
        if info.state == pj.PJSIP_INV_STATE_DISCONNECTED:
            self._disconnected(call, info, prm)
        elif info.state == pj.PJSIP_INV_STATE_EARLY:
            leg.reached(Phase.RINGING)
            leg.rings += 1
            if leg.rings <= RINGS_MOST:
                answer = _answer_in(prm)
                early = answer is not None and answer.has_sdp
                self._events.append(Ringing(leg.dial.call_id, time.time(), int(info.lastStatusCode), early))
        elif info.state == pj.PJSIP_INV_STATE_CONFIRMED:
            leg.codec = _codec_of(call)
            self._count(call, time.monotonic())
            leg.answer(time.monotonic())
            self._events.append(Answered(leg.dial.call_id, time.time(), leg.codec))

    def on_transaction(self, call: _Call, prm: Any) -> None:
        """A 100 changes no state of the call, yet it says that the trunk is there."""
        event = prm.e
        if event.type == pj.PJSIP_EVENT_TSX_STATE and event.body.tsxState.type == pj.PJSIP_EVENT_RX_MSG:
            call.leg.reached(Phase.TRYING)

    def on_media(self, call: _Call, prm: Any) -> None:
        info = call.getInfo()  # kept in a name: iterating over `getInfo().media` walks freed memory, in silence
        for media in info.media:
            if media.type == pj.PJMEDIA_TYPE_AUDIO and media.status == pj.PJSUA_CALL_MEDIA_ACTIVE:
                call.leg.media = call.rewire = True

    def on_digit(self, call: _Call, prm: Any) -> None:
        method = "info" if prm.method == pj.PJSUA_DTMF_METHOD_SIP_INFO else "rfc4733"
        self._say(call.leg.press(prm.digit, method, time.time()))

    def _disconnected(self, call: _Call, info: Any, prm: Any) -> None:
        event = prm.e
        remote = (
            call.leg.why is None
            and event.type == pj.PJSIP_EVENT_TSX_STATE
            and event.body.tsxState.type == pj.PJSIP_EVENT_RX_MSG
        )
        answer = _answer_in(prm) if remote else None
        if not call.leg.sip_call_id:
            self._know(call)
        self._count(call, time.monotonic())
        origin = Origin.REMOTE if remote else Origin.LOCAL
        self._close(call, Close(time.time(), int(info.lastStatusCode), info.lastReason, origin, answer))

    def _close(self, call: _Call, close: Close) -> None:
        """The wrapper leaves the registry here, inside its own callback: later it would cut a stranger's call."""
        leg = call.leg
        self._calls.pop(leg.dial.call_id, None)
        self._bury(call.player)
        call.player = None
        self._say(leg.stopped(close.at))
        leg.close = close
        now = time.monotonic()
        leg.settle_by = now if leg.phase is Phase.SILENT else now + SETTLE_S
        if call.recorder is not None:
            self._recordings[leg.dial.call_id] = (now + GRAVE_S, call.recorder)
            call.recorder = None
        self._closing[leg.dial.call_id] = leg

    # -- each turn

    def _tend(self, call: _Call, now: float, counting: bool) -> None:
        leg = call.leg
        if leg.confirmed and leg.media:
            self._connect(call)
            leg.prepare(now)
        if counting and leg.confirmed:
            self._count(call, now)
        if leg.may_speak(now):
            self._speak(call)
        why = leg.due_why(now)
        if why is not None:
            self._hang_up(call, why)

    def _connect(self, call: _Call) -> None:
        """After the answer, and again after each re-INVITE: it gives the call a new place on the bridge."""
        if not call.rewire:
            return
        call.rewire = False
        leg = call.leg
        try:
            if leg.dial.record and call.recorder is None:
                call.recorder = _Recorder(Path(leg.dial.record))
            audio = call.getAudioMedia(-1)
            if call.recorder is not None:
                audio.startTransmit(call.recorder.heard)
            if call.player is not None:
                call.player.startTransmit(audio)
        except pj.Error as error:
            leg.error = _words(error)

    def _speak(self, call: _Call) -> None:
        """A player that cannot be made ends this call and no other."""
        leg = call.leg
        script = leg.script
        self._silence(call)
        player = _Player(self._eofs)
        try:
            player.createPlayer(script.audio if script else "", pj.PJMEDIA_FILE_NO_LOOP)
            self._count(call, time.monotonic())
            player.startTransmit(call.getAudioMedia(-1))
            if call.recorder is not None:
                player.startTransmit(call.recorder.said)
        except pj.Error as error:
            leg.error = _words(error)
            self._bury(player)
            self._hang_up(call, Why.PLAYED_OUT)
            return
        call.player = player
        self._events.append(leg.began(time.time()))

    def _silence(self, call: _Call) -> None:
        player, call.player = call.player, None
        if player is None:
            return
        try:
            player.stopTransmit(call.getAudioMedia(-1))
            if call.recorder is not None:
                player.stopTransmit(call.recorder.said)
        except pj.Error as error:
            call.leg.error = _words(error)
        self._bury(player)

    def _end_players(self) -> None:
        while self._eofs:
            player = self._eofs.popleft()
            for call in list(self._calls.values()):
                if call.player is player:
                    now = time.monotonic()
                    self._silence(call)
                    self._count(call, now)
                    self._say(call.leg.finished(now, time.time()))

    def _count(self, call: _Call, now: float) -> None:
        counters = _counters(call)
        if counters is not None:
            call.leg.count(counters, now)

    def _read_tape(self) -> None:
        while self._tape.entries:
            at, entry = self._tape.entries.popleft()
            seen = read_log(entry)
            leg = self._by_sip_id.get(seen.sip_call_id) if seen else None
            if seen is None or leg is None:
                continue
            leg.watch(seen)
            if self._setup.ladder and leg.traced < TRACE_MOST and seen.sip_call_id not in self._reserved:
                leg.traced += 1
                self._events.append(Trace(leg.dial.call_id, at, seen.sent, seen.peer, masked(seen.text)))

    def _publish_recordings(self, now: float) -> None:
        for call_id, (due, recorder) in list(self._recordings.items()):
            if due > now:
                continue
            del self._recordings[call_id]
            target = recorder.target
            del recorder  # its header is written now
            try:
                join(target)
            except (OSError, EOFError, wave.Error) as error:
                discard(target)
                leg = self._closing.get(call_id)
                if leg is not None:
                    leg.error = f"no recording: {type(error).__name__}"

    def _tell_ends(self, now: float) -> None:
        for call_id, leg in list(self._closing.items()):
            if call_id in self._recordings or (now < leg.settle_by and not leg.settled):
                continue
            del self._closing[call_id]
            self._events.append(self._facts(leg))
            if leg.settled:
                self._by_sip_id.pop(leg.sip_call_id, None)
            else:
                self._reserved[leg.sip_call_id] = (now + SILENT_SLOT_S, leg)
        for sip_id, (until, leg) in list(self._reserved.items()):
            if leg.settled or now >= until:
                del self._reserved[sip_id]
                self._by_sip_id.pop(sip_id, None)

    def _facts(self, leg: Leg) -> Ended:
        target = leg.dial.record
        made = (
            target
            if target and leg.confirmed and (leg.dial.call_id in self._recordings or Path(target).exists())
            else None
        )
        return leg.ended(made)

    def _bury(self, player: _Player | None) -> None:
        if player is not None:
            self._graves.append((time.monotonic() + GRAVE_S, player))

    def _say(self, event: Event | None) -> None:
        if event is not None:
            self._events.append(event)


_NOTHING_SENT = {
    TOO_MANY: "every line is busy",
    120098: "no free RTP port",
    420006: "no sound clock",
}


def _bracketed(uri: str) -> str:
    """RFC 3261 section 20: without brackets, parameters of the URI would be read as those of the header."""
    return uri if "<" in uri else f"<{uri}>"


def _file_ms(path: str) -> int:
    """Length of a WAV by its header. Raises OSError, EOFError or wave.Error."""
    with wave.open(path, "rb") as file:
        return round(1000 * file.getnframes() / file.getframerate())


def _answer_in(prm: Any) -> Any:
    """The response that caused a state, read from its bytes: PJSIP reports a 302 that it did not follow as 487."""
    event = prm.e
    if event.type != pj.PJSIP_EVENT_TSX_STATE or event.body.tsxState.type != pj.PJSIP_EVENT_RX_MSG:
        return None
    return read_answer(event.body.tsxState.src.rdata.wholeMsg)


def _codec_of(call: _Call) -> str:
    try:
        info = call.getStreamInfo(0)
    except pj.Error:
        return ""
    return str(info.codecName).upper()


def _counters(call: _Call) -> Counters | None:
    try:
        stat = call.getStreamStat(0)
    except pj.Error:
        return None  # no stream yet, or no more
    rtcp = stat.rtcp
    sent, heard = rtcp.txStat, rtcp.rxStat
    return Counters(
        sent=int(sent.pkt),
        received=int(heard.pkt),
        sent_lost=int(sent.loss),
        received_lost=int(heard.loss),
        jitter_us=float(sent.jitterUsec.mean if sent.updateCount else heard.jitterUsec.mean),
        rtt_us=float(rtcp.rttUsec.mean),
        reports=int(sent.updateCount),
    )
