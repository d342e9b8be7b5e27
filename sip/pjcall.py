"""PJSIP's side of one call: callbacks that read what happened into plain values, tell the `Watcher`, and return."""

import sys
import time
import traceback
from collections.abc import Callable
from typing import Any, Protocol

import pjsua2 as pj

from sip.events import Origin
from sip.legs import Close, Counters
from sip.messages import Answer, read_answer
from sip.pjsound import Player, Recorder, Tap
from sip.watcher import Watcher


class Owner(Protocol):
    """Who keeps the one reference to a call."""

    watcher: Watcher

    def forget(self, call: "Call") -> None:
        """Let go of it, inside its DISCONNECTED callback."""
        ...


class Call(pj.Call):  # type: ignore[misc]  # the module has no types
    """One call. It lives no longer than its DISCONNECTED callback."""

    def __init__(self, owner: Owner, account: pj.Account, call_id: str, *slot: int) -> None:
        """`slot`: the library's number of a call that came in."""
        super().__init__(account, *slot)
        self.owner = owner
        self.call_id = call_id
        self.player: Player | None = None
        self.recorder: Recorder | None = None
        self.tap: Tap | None = None

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

    def counters(self) -> Counters | None:
        """None when it has no stream yet, or no more."""
        try:
            stat = self.getStreamStat(0)
        except pj.Error:
            return None
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

    def _safely(self, act: Callable[[Any], None], prm: Any) -> None:
        """An exception that crosses into the library aborts the process and takes the other calls with it."""
        try:
            act(prm)
        except Exception:  # noqa: BLE001  # outermost frame of a callback
            traceback.print_exc(file=sys.stderr)
            self.owner.watcher.fault(self.call_id, "a fault in the line process")

    def _state(self, prm: Any) -> None:
        info = self.getInfo()
        watcher = self.owner.watcher
        if info.state == pj.PJSIP_INV_STATE_DISCONNECTED:
            self.owner.forget(self)
            watcher.over(self.call_id, _close(info, prm))
        elif info.state == pj.PJSIP_INV_STATE_EARLY:
            answer = _answer_in(prm)
            watcher.ringing(self.call_id, int(info.lastStatusCode), answer is not None and answer.has_sdp)
        elif info.state == pj.PJSIP_INV_STATE_CONFIRMED:
            watcher.answered(self.call_id, self._codec())

    def _transaction(self, prm: Any) -> None:
        """A 100 changes no state of the call, yet it says that the trunk is there."""
        if _from_peer(prm):
            self.owner.watcher.trying(self.call_id)

    def _media(self, prm: Any) -> None:
        info = self.getInfo()  # kept in a name: iterating over `getInfo().media` walks freed memory, in silence
        for media in info.media:
            if media.type == pj.PJMEDIA_TYPE_AUDIO and media.status == pj.PJSUA_CALL_MEDIA_ACTIVE:
                self.owner.watcher.media(self.call_id)

    def _stream_over(self, prm: Any) -> None:
        """The last moment at which this stream can be read: at a BYE of the peer it is gone before the call ends."""
        counters = self.counters()
        if counters is not None:
            self.owner.watcher.stream_over(self.call_id, counters)

    def _digit(self, prm: Any) -> None:
        method = "info" if prm.method == pj.PJSUA_DTMF_METHOD_SIP_INFO else "rfc4733"
        self.owner.watcher.pressed(self.call_id, prm.digit, method)

    def _codec(self) -> str:
        try:
            info = self.getStreamInfo(0)
        except pj.Error:
            return ""
        return str(info.codecName).upper()


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
