"""What the phone hears in one call: sound on a timeline, keys, whether somebody speaks, and true loss and jitter."""

import os
import wave
from pathlib import Path

from sip.sandbox import rtp
from sip.sandbox.g711 import LAWS, RATE_HZ, Law, transcoder

LONGEST_RECORDING_S = 600.0
# A new place on the timeline is taken from the clock when the sender's timestamps jump further than this.
JUMP_S = 2.0
# 10 % of a packet's samples above -38 dBFS: speech. Idle noise, dither and comfort noise stay below.
SPEECH_SHARE = 0.1
# Shorter sounds (a click, the last 40 ms of a word) do not make a prompt.
PROMPT_S = 0.2
# A pause inside a prompt is shorter than this; engines pause 0.3 to 0.5 s between sentences.
PROMPT_OVER_S = 0.7


def info_key(content_type: str, body: bytes) -> str:
    """The key in an INFO request (application/dtmf-relay, application/dtmf), "" if there is none."""
    text = body.decode("ascii", "ignore").strip().upper()
    if content_type.lower().startswith("application/dtmf-relay"):
        text = text.partition("SIGNAL=")[2].strip()
    elif not content_type.lower().startswith("application/dtmf"):
        return ""
    return text[:1] if text[:1] and text[:1] in rtp.KEYS else ""


class Recording:
    """Sound placed by RTP timestamp, so that what was lost is silence; position 0 is the moment of `begin`."""

    def __init__(self, law: Law, begin: float) -> None:
        self._law = law
        self._begin = begin
        self._codes = bytearray()
        self._anchor: tuple[int, int, int] | None = None  # ssrc, timestamp, position

    def place(self, packet: rtp.Packet, codes: bytes, arrival: float) -> None:
        at = self._position(packet, arrival)
        if at < 0:
            codes, at = codes[-at:], 0
        codes = codes[: max(0, round(LONGEST_RECORDING_S * RATE_HZ) - at)]
        if not codes:
            return
        if at > len(self._codes):
            self._codes += bytes([self._law.silence]) * (at - len(self._codes))
        self._codes[at : at + len(codes)] = codes

    def _position(self, packet: rtp.Packet, arrival: float) -> int:
        by_clock = round((arrival - self._begin) * RATE_HZ)
        if self._anchor is not None and self._anchor[0] == packet.ssrc:
            _, timestamp, position = self._anchor
            moved = ((packet.timestamp - timestamp + 2**31) & 0xFFFFFFFF) - 2**31
            if abs(position + moved - by_clock) <= JUMP_S * RATE_HZ:
                return position + moved
        self._anchor = (packet.ssrc, packet.timestamp, by_clock)
        return by_clock

    @property
    def seconds(self) -> float:
        return len(self._codes) / RATE_HZ

    def publish(self, path: Path) -> bool:
        """Write a mono PCM16 WAV under a name nobody reads, then rename it. False when there is no sound at all.

        A minute of sound takes about a millisecond, so this is done where it is called. Raises OSError.
        """
        if not self._codes:
            return False
        part = path.with_name(f".{path.name}.part")
        with wave.open(str(part), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(RATE_HZ)
            file.writeframes(self._law.decode(self._codes))
        os.replace(part, path)
        return True


class Ear:
    """One incoming RTP stream. Times are seconds of the event loop's clock."""

    def __init__(self, law: Law, payload_type: int, event_type: int | None, answered: float) -> None:
        self.heard_packets = 0
        self.digits = ""
        self.receiver = rtp.Receiver()
        self.last_packet = answered
        self.recording: Recording | None = Recording(law, answered)
        self._law = law
        self._answered = answered
        self._last_key: tuple[int, int] | None = None
        self._speech_s = 0.0
        self._last_speech = answered
        self.change(law, payload_type, event_type)

    def change(self, law: Law, payload_type: int, event_type: int | None) -> None:
        """What is agreed now. Sound in the other law is understood too: some senders change without asking."""
        self._laws = {known.payload_type: known for known in LAWS} | {payload_type: law}
        self._event_type = event_type

    def record_from(self, begin: float) -> None:
        """Forget what was heard so far: the recording begins (again) at `begin`, in the future or now."""
        self.recording = Recording(self._law, begin)

    def hear(self, datagram: bytes, arrival: float) -> None:
        """One datagram of the RTP port; anything that is not RTP is ignored."""
        try:
            packet = rtp.parse(datagram)
        except rtp.NotRtp:
            return
        self.receiver.count(packet, arrival)
        self.heard_packets += 1
        self.last_packet = arrival
        if packet.payload_type == self._event_type:
            self._hear_key(packet)
        elif packet.payload_type in self._laws:
            self._hear_sound(packet, self._laws[packet.payload_type], arrival)

    def _hear_key(self, packet: rtp.Packet) -> None:
        """A key is known by the timestamp that all its packets share; the first packet to arrive counts."""
        if len(packet.payload) < 4 or packet.payload[0] >= len(rtp.KEYS):
            return
        ssrc, timestamp = self._last_key or (None, 0)
        # Not merely "another": a late packet of the key before must not count as a third key.
        newer = 0 < (packet.timestamp - timestamp) & 0xFFFFFFFF < 2**31
        if packet.ssrc != ssrc or newer:
            self._last_key = (packet.ssrc, packet.timestamp)
            self.digits += rtp.KEYS[packet.payload[0]]

    def _hear_sound(self, packet: rtp.Packet, law: Law, arrival: float) -> None:
        codes = packet.payload
        if law.loud_share(codes) >= SPEECH_SHARE:
            self._speech_s += len(codes) / RATE_HZ
            self._last_speech = arrival
        if self.recording is not None:
            self.recording.place(
                packet, codes if law is self._law else codes.translate(transcoder(law, self._law)), arrival
            )

    def prompt_over(self, now: float) -> bool:
        """Speech was heard, and then silence for `PROMPT_OVER_S`."""
        return self._speech_s >= PROMPT_S and now - self._last_speech >= PROMPT_OVER_S

    def await_prompt(self) -> None:
        """Forget the prompt that was heard: `prompt_over` is about the next one."""
        self._speech_s = 0.0
