"""What PJSIP tells about no call: its log, its connections, the registration. And what accounts refuse."""

import sys
import time
import traceback
from collections import deque
from collections.abc import Callable
from typing import Any

import pjsua2 as pj

from sip.messages import challenge_realm, read_answer
from sip.streams import Streams
from sip.watcher import Watcher

_TAPE_MOST = 4096


class Tape(pj.LogWriter):  # type: ignore[misc]  # the module has no types
    """Collects the log entries that hold SIP messages; they are read later, outside the library."""

    def __init__(self, heard: Callable[[str], None]) -> None:
        super().__init__()
        self._heard = heard
        self.entries: deque[tuple[float, str]] = deque(maxlen=_TAPE_MOST)

    def write(self, entry: Any) -> None:
        message = entry.msg
        if "--end msg--" in message:
            self.entries.append((time.time(), message))
            try:
                self._heard(message)
            except Exception:  # noqa: BLE001  # outermost frame of a callback
                traceback.print_exc(file=sys.stderr)


class Endpoint(pj.Endpoint):  # type: ignore[misc]  # the module has no types
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


class Account(pj.Account):  # type: ignore[misc]  # the module has no types
    """Dials only. It has no onIncomingCall on purpose: rejecting a late offer inside it ends the process."""

    def onIncomingSubscribe(self, prm: Any) -> None:  # the library's name
        prm.code, prm.reason = 403, "Forbidden"


Admit = Callable[[pj.Account, int, str, str], None]


class Listener(Account):
    """Takes calls, and dials none. `admit` takes note of one: account, the library's number, source and message."""

    def __init__(self, admit: Admit) -> None:
        super().__init__()
        self._admit = admit

    def onIncomingCall(self, prm: Any) -> None:  # the library's name
        _note_call(self, self._admit, prm)


class Registrant(Account):
    """Registers. An account of its own, so that no dial touches the registration."""

    def __init__(self, watcher: Watcher, realm: str) -> None:
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


class ListeningRegistrant(Registrant):
    """Calls that come to where it registered are those of the account that registered."""

    def __init__(self, watcher: Watcher, realm: str, admit: Admit) -> None:
        super().__init__(watcher, realm)
        self._admit = admit

    def onIncomingCall(self, prm: Any) -> None:  # the library's name
        _note_call(self, self._admit, prm)


def _note_call(account: pj.Account, admit: Admit, prm: Any) -> None:
    """Neither answered nor refused here: refusing a late offer in this callback ends the process."""
    try:
        admit(account, int(prm.callId), prm.rdata.srcAddress, prm.rdata.wholeMsg)
    except Exception:  # noqa: BLE001  # outermost frame of a callback; the library then refuses the call itself
        traceback.print_exc(file=sys.stderr)
