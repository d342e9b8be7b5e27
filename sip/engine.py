"""PJSIP, in a line process's main thread: the only file that imports pjsua2.

Every rule here was paid for with a crash or a silent call. The short form: one thread; callbacks hand plain values to
the `Watcher` and return; a `pj.Call` leaves the registry inside its own DISCONNECTED callback; players die later than
their call; a `pj.Error` becomes words on the spot, because it holds the frames, and so the calls, it passed through.
What is to be done with a call is decided in sip/exchange.py; no object of the library gets there.
"""

import gc
import os
import sys
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import pjsua2 as pj

from sip import pjsettings, selfcheck
from sip.commands import Dial
from sip.events import Origin, Ready
from sip.legs import Close, Counters
from sip.messages import Answer, Seen, challenge_realm, read_answer, read_log
from sip.recording import RATE_HZ, parts
from sip.setup import LineSetup
from sip.streams import Streams
from sip.tls import TlsFilesError
from sip.trunk import DtmfWay, Transport

GRAVE_S = 1.0  # a player freed while the clock thread still holds it is a use after free
TOO_MANY_CALLS = 70010  # PJ_ETOOMANY; the module has no name for it
NO_RTP_PORT = 120098
NO_SOUND_CLOCK = 420006
_TAPE_MOST = 4096
FRAME_MS = 20
_TAP_MOST = 500  # frames, 10 s: a loop that is held up for longer has other troubles
_TRANSPORTS = {
    Transport.UDP: pj.PJSIP_TRANSPORT_UDP,
    Transport.TCP: pj.PJSIP_TRANSPORT_TCP,
    Transport.TLS: pj.PJSIP_TRANSPORT_TLS,
}


class EngineRefused(Exception):
    """PJSIP must not dial with what it was told; the message is for the operator."""


class Problem(Exception):
    """PJSIP could not do one thing; its status and its words."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(words)
        self.status = status


class Watcher(Protocol):
    """Who is told what happened to a call: on the loop's thread, inside `pump` or inside a call into the engine."""

    def trying(self, call_id: str) -> None: ...

    def ringing(self, call_id: str, code: int, early_media: bool) -> None: ...

    def answered(self, call_id: str, codec: str) -> None: ...

    def media(self, call_id: str) -> None: ...

    def pressed(self, call_id: str, digit: str, method: str) -> None: ...

    def stream_over(self, call_id: str, counters: Counters) -> None: ...

    def over(self, call_id: str, close: Close) -> None: ...

    def fault(self, call_id: str, words: str) -> None: ...

    def registration(self, code: int, reason: str, expires_s: int, retry_after_s: int | None) -> None:
        """Code 0: our own stack gave up, and why. `expires_s` 0: taken back."""
        ...


def compiled_capacity() -> int:
    """Calls per process that this build of the library allows: the default of a field nobody has changed yet."""
    return int(pj.EpConfig().uaConfig.maxCalls)


class _Tape(pj.LogWriter):  # type: ignore[misc]  # the module has no types
    """Collects the log entries that hold SIP messages; they are read later, outside the library."""

    def __init__(self) -> None:
        super().__init__()
        self.entries: deque[tuple[float, str]] = deque(maxlen=_TAPE_MOST)

    def write(self, entry: Any) -> None:
        message = entry.msg
        if "--end msg--" in message:
            self.entries.append((time.time(), message))


class _Endpoint(pj.Endpoint):  # type: ignore[misc]  # the module has no types
    """Hears what becomes of connections. An exception must not cross into the library here either."""

    def __init__(self, streams: Streams) -> None:
        super().__init__()
        self._streams = streams

    def onTransportState(self, prm: Any) -> None:  # the library's name
        try:
            if prm.type.upper().startswith(("TCP", "TLS")):
                self._note(prm)
        except Exception:  # noqa: BLE001  # outermost frame of a callback
            traceback.print_exc(file=sys.stderr)

    def _note(self, prm: Any) -> None:
        if prm.state == pj.PJSIP_TP_STATE_CONNECTED:
            self._streams.opened(int(prm.hnd))
        elif prm.state == pj.PJSIP_TP_STATE_DISCONNECTED:
            status = int(prm.tlsInfo.verifyStatus)  # 0 too when the handshake never came so far
            words = self.utilStrError(prm.lastError) if prm.lastError else ""
            self._streams.closed(int(prm.hnd), status, words)


class _Account(pj.Account):  # type: ignore[misc]  # the module has no types
    """Dials only. It has no onIncomingCall on purpose: rejecting a late offer inside it ends the process."""

    def onIncomingSubscribe(self, prm: Any) -> None:  # the library's name
        prm.code, prm.reason = 403, "Forbidden"


class _Registrant(_Account):
    """Registers. An account of its own, so that no dial touches the registration."""

    def __init__(self, watcher: "Watcher", realm: str) -> None:
        super().__init__()
        self._watcher, self._realm = watcher, realm

    def onRegState(self, prm: Any) -> None:  # the library's name
        try:
            self._tell(prm)
        except Exception:  # noqa: BLE001  # outermost frame of a callback
            traceback.print_exc(file=sys.stderr)

    def _tell(self, prm: Any) -> None:
        text = prm.rdata.wholeMsg
        answer = read_answer(text)
        if answer is None:  # our own stack gave up
            self._watcher.registration(int(prm.code) if prm.code == 408 else 0, prm.reason, 0, None)
            return
        reason, asked = answer.reason, challenge_realm(text)
        if asked and asked != self._realm:
            reason += f" (asks for the realm {asked}, the trunk's login is for {self._realm or 'none'})"
        self._watcher.registration(answer.code, reason, int(prm.expiration), answer.retry_after_s)


class _Player(pj.AudioMediaPlayer):  # type: ignore[misc]  # the module has no types
    """Plays one file once. Its end is told on the sound clock's own thread: append to a deque, touch nothing else."""

    def __init__(self, over: deque["_Player"]) -> None:
        super().__init__()
        self._over = over

    def onEof2(self) -> None:  # the library's name
        self._over.append(self)


class _Tap(pj.AudioMediaPort):  # type: ignore[misc]  # the module has no types
    """What is heard, 20 ms at a time. Called on the sound clock's own thread: copy, append, touch nothing else.

    Never freed before the process ends, but lent to the next call: up to 2.15.1 the bridge may still hold a port whose
    memory is gone, above all when the clock stops in between.
    """

    def __init__(self) -> None:
        super().__init__()
        self.frames: deque[bytes] = deque(maxlen=_TAP_MOST)
        sound = pj.MediaFormatAudio()
        sound.init(pj.PJMEDIA_FORMAT_PCM, RATE_HZ, 1, 1000 * FRAME_MS, 16)
        self.createPort("tap", sound)

    def onFrameReceived(self, frame: Any) -> None:  # the library's name
        if frame.type == pj.PJMEDIA_FRAME_TYPE_AUDIO:
            self.frames.append(bytes(frame.buf))

    def onFrameRequested(self, frame: Any) -> None:  # the library's name
        frame.type = pj.PJMEDIA_FRAME_TYPE_NONE


class _Recorder:
    """Both sides of a call, each into a file of its own.

    A source of silence is connected to both: a recorder that nobody feeds writes nothing, and the sides would drift.
    """

    def __init__(self, target: Path) -> None:
        self.target = target
        self.said, self.heard, self._silence = pj.AudioMediaRecorder(), pj.AudioMediaRecorder(), pj.ToneGenerator()
        self._silence.createToneGenerator(RATE_HZ, 1)
        for recorder, path in zip((self.said, self.heard), parts(target), strict=True):
            recorder.createRecorder(str(path))
            self._silence.startTransmit(recorder)

    def stop(self) -> None:
        """Nothing more is written; the files are closed when this object dies."""
        self._silence.stopTransmit(self.said)
        self._silence.stopTransmit(self.heard)


class _Call(pj.Call):  # type: ignore[misc]  # the module has no types
    """PJSIP's side of one call: callbacks that read what happened into plain values."""

    def __init__(self, engine: "Engine", account: _Account, call_id: str) -> None:
        super().__init__(account)
        self.engine = engine
        self.call_id = call_id
        self.player: _Player | None = None
        self.recorder: _Recorder | None = None
        self.tap: _Tap | None = None

    def onCallState(self, prm: Any) -> None:  # the library's name
        self._safely(self._state, prm)

    def onCallTsxState(self, prm: Any) -> None:  # the library's name
        self._safely(self._transaction, prm)

    def onCallMediaState(self, prm: Any) -> None:  # the library's name
        self._safely(self._media, prm)

    def onStreamDestroyed(self, prm: Any) -> None:  # the library's name
        self._safely(self._stream_over, prm)

    def onDtmfDigit(self, prm: Any) -> None:  # the library's name
        self._safely(self._digit, prm)

    def onCallTransferRequest(self, prm: Any) -> None:  # the library's name
        prm.statusCode = 603  # the callee could dial on our account otherwise

    def onCallReplaceRequest(self, prm: Any) -> None:  # the library's name
        prm.statusCode = 603  # a stranger could take the call otherwise

    def _safely(self, act: Callable[[Any], None], prm: Any) -> None:
        """An exception that crosses into the library aborts the process and takes the other calls with it."""
        try:
            act(prm)
        except Exception:  # noqa: BLE001  # outermost frame of a callback
            traceback.print_exc(file=sys.stderr)
            self.engine.watcher.fault(self.call_id, "a fault in the line process")

    def _state(self, prm: Any) -> None:
        info = self.getInfo()
        watcher = self.engine.watcher
        if info.state == pj.PJSIP_INV_STATE_DISCONNECTED:
            self.engine.forget(self)
            watcher.over(self.call_id, _close(info, prm))
        elif info.state == pj.PJSIP_INV_STATE_EARLY:
            answer = _answer_in(prm)
            watcher.ringing(self.call_id, int(info.lastStatusCode), answer is not None and answer.has_sdp)
        elif info.state == pj.PJSIP_INV_STATE_CONFIRMED:
            watcher.answered(self.call_id, _codec_of(self))

    def _transaction(self, prm: Any) -> None:
        """A 100 changes no state of the call, yet it says that the trunk is there."""
        if _from_peer(prm):
            self.engine.watcher.trying(self.call_id)

    def _media(self, prm: Any) -> None:
        info = self.getInfo()  # kept in a name: iterating over `getInfo().media` walks freed memory, in silence
        for media in info.media:
            if media.type == pj.PJMEDIA_TYPE_AUDIO and media.status == pj.PJSUA_CALL_MEDIA_ACTIVE:
                self.engine.watcher.media(self.call_id)

    def _stream_over(self, prm: Any) -> None:
        """The last moment at which this stream can be read: at a BYE of the peer it is gone before the call ends."""
        counters = _counters(self)
        if counters is not None:
            self.engine.watcher.stream_over(self.call_id, counters)

    def _digit(self, prm: Any) -> None:
        method = "info" if prm.method == pj.PJSUA_DTMF_METHOD_SIP_INFO else "rfc4733"
        self.engine.watcher.pressed(self.call_id, prm.digit, method)


class Engine:
    """One endpoint, one account, at most `ready.capacity` calls. Raises EngineRefused when it must not dial."""

    def __init__(self, setup: LineSetup, watcher: Watcher) -> None:
        self.watcher = watcher
        self._setup = setup
        self._calls: dict[str, _Call] = {}  # the only reference to each
        self._graves: deque[tuple[float, Any]] = deque()
        self._recorders: deque[tuple[float, str, _Recorder]] = deque()
        self._eofs: deque[_Player] = deque()
        self._taps: list[_Tap] = []  # that no call uses now
        self._registrant: _Registrant | None = None
        self._registrant_route: str | None = None
        self._awake = True
        self._route = ""
        self._tape = _Tape()  # lives as long as the process
        self.streams = Streams(setup.trunk.outbound_proxy or setup.trunk.uris[0].host)
        problem = self._attempt(self._start)
        if problem is not None:
            raise EngineRefused(str(problem))

    # -- start

    def _start(self) -> None:
        self._endpoint = _Endpoint(self.streams)
        self._endpoint.libCreate()
        capacity = min(compiled_capacity(), self._setup.capacity)
        self._config = pj.EpConfig()
        pjsettings.fill_endpoint(self._config, capacity, self._tape)
        self._endpoint.libInit(self._config)
        self._transport = self._open_transport()
        self._endpoint.libStart()
        pjsettings.choose_codecs(self._endpoint, self._setup.trunk.codecs)
        self._account_config = self._make_account_config()
        self._account = _Account()
        self._account.create(self._account_config)
        self.sleep()
        self.ready = self._check()

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
                yield at, seen

    def played_out(self) -> list[str]:
        """Calls whose file came to its end since the last time. The player is put away."""
        over: list[str] = []
        while self._eofs:
            player = self._eofs.popleft()
            for call in list(self._calls.values()):
                if call.player is player:
                    over.append(call.call_id)
                    self.silence(call.call_id)
        return over

    def tidy(self, now: float) -> list[tuple[str, Path]]:
        """Free what has been dead for long enough; recordings that are closed by that, ready to be published."""
        while self._graves and self._graves[0][0] <= now:
            self._graves.popleft()
        closed: list[tuple[str, Path]] = []
        while self._recorders and self._recorders[0][0] <= now:
            _, call_id, recorder = self._recorders.popleft()
            closed.append((call_id, recorder.target))
        return closed

    @property
    def is_tidy(self) -> bool:
        return not (self._graves or self._recorders)

    def destroy(self) -> None:
        """Nothing of the library may be touched afterwards."""
        for pile in (self._calls, self._eofs, self._graves, self._recorders):
            pile.clear()
        gc.collect()
        self._attempt(self._shut_down)

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
        return self._attempt(lambda: self._register(route))

    def unregister(self) -> Problem | None:
        """REGISTER with a life of 0."""
        one = self._registrant
        return None if one is None else self._attempt(lambda: one.setRegistration(False))

    def _register(self, route: str | None) -> None:
        trunk = self._setup.trunk
        if self._registrant is None or route != self._registrant_route:
            if self._registrant is not None:
                self._registrant.shutdown()
            config = pj.AccountConfig()
            pjsettings.fill_registration(config, self._setup, self._transport, self.ready.sip_port, route)
            one = _Registrant(self.watcher, trunk.auth.realm if trunk.auth else "")
            one.create(self._with_login(config))
            self._registrant, self._registrant_route = one, route
        self._registrant.setRegistration(True)

    # -- one call

    def place(self, dial: Dial) -> Problem | None:
        """Send the INVITE. The watcher may hear the end of the call before this returns."""
        self.wake()
        call = self._calls[dial.call_id] = _Call(self, self._account, dial.call_id)
        problem = self._attempt(lambda: self._make(call, dial))
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
        return None if call is None else self._attempt(lambda: call.hangup(pj.CallOpParam()))

    def connect(self, call_id: str, record: str | None) -> Problem | None:
        """Wire what is said and heard, after the answer and after each re-INVITE: a call has a new port then."""
        call = self._calls.get(call_id)
        return None if call is None else self._attempt(lambda: self._connect(call, record))

    def speak(self, call_id: str, audio: str) -> Problem | None:
        """Play a file from its beginning; what plays now stops."""
        self.silence(call_id)
        call = self._calls.get(call_id)
        return None if call is None else self._attempt(lambda: self._play(call, audio))

    def silence(self, call_id: str) -> None:
        call = self._calls.get(call_id)
        if call is not None and call.player is not None:
            self._attempt(lambda: self._unplug(call))
            self._bury(call)

    def heard(self, call_id: str) -> Iterator[bytes]:
        """What was heard since the last time, PCM16 at 8 kHz; only where the trunk's keys are in the sound."""
        call = self._calls.get(call_id)
        while call is not None and call.tap is not None and call.tap.frames:
            yield call.tap.frames.popleft()

    def counters(self, call_id: str) -> Counters | None:
        """None when the call has no stream."""
        call = self._calls.get(call_id)
        return None if call is None else _counters(call)

    def forget(self, call: _Call) -> None:
        """Only from the call's own end: a wrapper that outlives it hangs up the stranger who gets its place."""
        self._calls.pop(call.call_id, None)
        self._bury(call)
        if call.tap is not None:
            self._taps.append(call.tap)
            call.tap = None
        if call.recorder is not None:
            self._attempt(call.recorder.stop)
            self._recorders.append((time.monotonic() + GRAVE_S, call.call_id, call.recorder))
            call.recorder = None

    def _make(self, call: _Call, dial: Dial) -> None:
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

    def _connect(self, call: _Call, record: str | None) -> None:
        if record and call.recorder is None:
            call.recorder = _Recorder(Path(record))
        audio = call.getAudioMedia(-1)
        if self._setup.trunk.dtmf is DtmfWay.INBAND:
            if call.tap is None:
                call.tap = self._taps.pop() if self._taps else _Tap()
                call.tap.frames.clear()
            audio.startTransmit(call.tap)
        if call.recorder is not None:
            audio.startTransmit(call.recorder.heard)
        if call.player is not None:
            call.player.startTransmit(audio)

    def _play(self, call: _Call, audio: str) -> None:
        player = _Player(self._eofs)
        player.createPlayer(audio, pj.PJMEDIA_FILE_NO_LOOP)
        call.player = player
        player.startTransmit(call.getAudioMedia(-1))
        if call.recorder is not None:
            player.startTransmit(call.recorder.said)

    def _unplug(self, call: _Call) -> None:
        player = call.player
        if player is not None:
            player.stopTransmit(call.getAudioMedia(-1))
            if call.recorder is not None:
                player.stopTransmit(call.recorder.said)

    def _bury(self, call: _Call) -> None:
        if call.player is not None:
            self._graves.append((time.monotonic() + GRAVE_S, call.player))
            call.player = None

    def _attempt(self, act: Callable[[], None]) -> Problem | None:
        """The library's error is let go of here, with every frame it holds."""
        try:
            act()
        except pj.Error as error:
            return Problem(int(error.status), f"{error.reason} ({error.status}, {error.title})")
        return None


def _bracketed(uri: str) -> str:
    """RFC 3261 section 20: without brackets, parameters of the URI would be read as those of the header."""
    return uri if "<" in uri else f"<{uri}>"


def _from_peer(prm: Any) -> bool:
    event = prm.e
    return bool(
        event.type == pj.PJSIP_EVENT_TSX_STATE and event.body.tsxState.type == pj.PJSIP_EVENT_RX_MSG  # else a timer
    )


def _answer_in(prm: Any) -> Answer | None:
    """The response that caused a state, read from its bytes: PJSIP reports a 302 that it did not follow as 487."""
    return read_answer(prm.e.body.tsxState.src.rdata.wholeMsg) if _from_peer(prm) else None


def _close(info: Any, prm: Any) -> Close:
    remote = _from_peer(prm)
    origin = Origin.REMOTE if remote else Origin.LOCAL
    return Close(time.time(), int(info.lastStatusCode), info.lastReason, origin, info.callIdString, _answer_in(prm))


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
