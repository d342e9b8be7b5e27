"""What calls say and hear: players, recorders and taps, which all die later than their call.

Their callbacks come on the sound clock's own thread: append to a deque, touch nothing else.
"""

import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import pjsua2 as pj

from sip.pjproblem import Problem, attempt
from sip.recording import RATE_HZ, parts

GRAVE_S = 1.0  # a player freed while the clock thread still holds it is a use after free
FRAME_MS = 20
KEY_MS = 100  # tone and gap: twice what ITU-T Q.24 asks of a receiver, and some receivers are slow
_TAP_MOST = 500  # frames, 10 s: a loop that is held up for longer has other troubles


class Sounding(Protocol):
    """A call, as far as it is said and heard."""

    call_id: str
    player: "Player | None"
    recorder: "Recorder | None"
    tap: "Tap | None"

    def getAudioMedia(self, index: int) -> Any: ...  # the library's name


class Player(pj.AudioMediaPlayer):  # type: ignore[misc]  # the module has no types
    """Plays one file once. Its end is told on the sound clock's own thread."""

    def __init__(self, over: deque["Player"]) -> None:
        super().__init__()
        self._over = over

    def onEof2(self) -> None:  # the library's name
        self._over.append(self)


class Tap(pj.AudioMediaPort):  # type: ignore[misc]  # the module has no types
    """What is heard, 20 ms at a time. Called on the sound clock's own thread.

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


class Recorder:
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


class Sound:
    """All of it, for the calls of one engine. `taps`: keys are to be found in what is heard after the answer."""

    def __init__(self, *, taps: bool) -> None:
        self._taps_wanted = taps
        self._graves: deque[tuple[float, Any]] = deque()
        self._recorders: deque[tuple[float, str, Recorder]] = deque()
        self._eofs: deque[Player] = deque()
        self._taps: list[Tap] = []  # that no call uses now

    def ended(self) -> Iterator[Player]:
        """Players whose file came to its end since the last time."""
        while self._eofs:
            yield self._eofs.popleft()

    def connect(self, call: Sounding, record: str | None) -> None:
        """What is said and heard of a call whose media is new. Raises the library's error."""
        if record and call.recorder is None:
            call.recorder = Recorder(Path(record))
        audio = call.getAudioMedia(-1)
        if self._taps_wanted:
            self.tap(call)
        if call.recorder is not None:
            audio.startTransmit(call.recorder.heard)
        if call.player is not None:
            call.player.startTransmit(audio)

    def tap(self, call: Sounding) -> None:
        """Overhear what is said to us. Raises the library's error."""
        if call.tap is None:
            call.tap = self._taps.pop() if self._taps else Tap()
            call.tap.frames.clear()
        call.getAudioMedia(-1).startTransmit(call.tap)

    def untap(self, call: Sounding) -> None:
        """Nobody listens before the next `tap`; where the keys are in the sound, somebody always does."""
        tap = call.tap
        if tap is None:
            return
        if self._taps_wanted:
            tap.frames.clear()  # what came before the answer holds no key
            return
        # Lent only when it is certainly unplugged: what this call hears must never be another's.
        if attempt(lambda: call.getAudioMedia(-1).stopTransmit(tap)) is None:
            self._taps.append(tap)
            call.tap = None

    def play(self, call: Sounding, audio: str) -> None:
        """Raises the library's error."""
        player = Player(self._eofs)
        player.createPlayer(audio, pj.PJMEDIA_FILE_NO_LOOP)
        call.player = player
        player.startTransmit(call.getAudioMedia(-1))
        if call.recorder is not None:
            player.startTransmit(call.recorder.said)

    def press(self, call: Sounding, digits: str) -> None:
        """Keys as tones (ITU-T Q.23). Raises the library's error."""
        tones = pj.ToneGenerator()
        tones.createToneGenerator(RATE_HZ, 1)
        keys = pj.ToneDigitVector()
        for digit in digits:
            key = pj.ToneDigit()
            key.digit, key.on_msec, key.off_msec = digit, KEY_MS, KEY_MS
            keys.append(key)
        tones.playDigits(keys)
        tones.startTransmit(call.getAudioMedia(-1))
        if call.recorder is not None:
            tones.startTransmit(call.recorder.said)
        self._graves.append((time.monotonic() + 2 * KEY_MS / 1000 * len(digits) + GRAVE_S, tones))

    def silence(self, call: Sounding) -> Problem | None:
        """Nothing is said any more; harmless when nothing is."""
        if call.player is None:
            return None
        problem = attempt(lambda: self._unplug(call))
        self._bury(call)
        return problem

    def forget(self, call: Sounding) -> None:
        """The call is over."""
        self._bury(call)
        if call.tap is not None:
            self._taps.append(call.tap)
            call.tap = None
        if call.recorder is not None:
            attempt(call.recorder.stop)
            self._recorders.append((time.monotonic() + GRAVE_S, call.call_id, call.recorder))
            call.recorder = None

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

    def clear(self) -> None:
        """Before the library ends."""
        for pile in (self._eofs, self._graves, self._recorders):
            pile.clear()

    def _unplug(self, call: Sounding) -> None:
        player = call.player
        if player is not None:
            player.stopTransmit(call.getAudioMedia(-1))
            if call.recorder is not None:
                player.stopTransmit(call.recorder.said)

    def _bury(self, call: Sounding) -> None:
        if call.player is not None:
            self._graves.append((time.monotonic() + GRAVE_S, call.player))
            call.player = None
