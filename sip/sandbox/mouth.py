"""What the phone sends in one call: 20 ms RTP packets of comfort silence, a clip, or telephone keys (RFC 4733)."""

from collections import deque
from dataclasses import dataclass

from sip.sandbox import rtp, tones
from sip.sandbox.g711 import Law

KEY_TICKS = 8  # a key is held 160 ms, as a person holds it
KEY_GAP_TICKS = 5  # 100 ms between keys
# RFC 4733 section 2.5.1.4: the last packet of a key is sent three times.
END_PACKETS = 3


@dataclass(slots=True)
class _Key:
    code: int
    timestamp: int
    ticks: int = 0


class Mouth:
    """One outgoing RTP stream; `packet()` is asked every 20 ms and keeps the sampling clock going."""

    def __init__(
        self, law: Law, payload_type: int, event_type: int | None, *, ssrc: int, sequence: int, timestamp: int
    ) -> None:
        self.law = law
        self.ssrc = ssrc
        self.sent_packets = 0
        self.sent_octets = 0
        self.digits = ""
        self._payload_type = payload_type
        self._event_type = event_type
        self._sequence = sequence
        self._timestamp = timestamp
        self._silence = bytes([law.silence]) * rtp.SAMPLES
        self._clip = memoryview(b"")
        self._at = 0
        self._waiting: deque[str] = deque()
        self._key: _Key | None = None
        self._gap = 0

    @property
    def timestamp(self) -> int:
        """RTP time of the next packet."""
        return self._timestamp

    def change(self, law: Law, payload_type: int, event_type: int | None) -> None:
        """The peer agreed something new in a re-INVITE; the stream goes on."""
        self.law, self._payload_type, self._event_type = law, payload_type, event_type
        self._silence = bytes([law.silence]) * rtp.SAMPLES

    def say(self, pcm: bytes) -> None:
        """Send PCM16 at 8 kHz from the next packet on, instead of silence."""
        self._clip = memoryview(self.law.encode(pcm))
        self._at = 0

    def press(self, keys: str) -> None:
        """Press keys one after the other; as tones in the sound when the caller knows no RFC 4733."""
        if self._event_type is None:
            self.say(b"".join(tones.key(key) for key in keys))
            self.digits += keys
        else:
            self._waiting.extend(keys)

    @property
    def quiet(self) -> bool:
        """Nothing is being said or pressed."""
        return self._at >= len(self._clip) and not self._waiting and self._key is None

    def skip(self) -> None:
        """20 ms pass without a packet (the caller holds the line); what is said or pressed waits."""
        self._timestamp = (self._timestamp + rtp.SAMPLES) & 0xFFFFFFFF

    def packet(self) -> bytes:
        """The next 20 ms."""
        if self._key is None and self._waiting and self._gap == 0 and self._event_type is not None:
            self._begin_key(self._waiting.popleft())
        self._gap = max(0, self._gap - 1)
        if self._key is not None and self._event_type is not None:
            marker, payload, timestamp, kind = *self._key_payload(self._key), self._event_type
        else:
            marker, payload, timestamp, kind = (
                self.sent_packets == 0,
                self._sound(),
                self._timestamp,
                self._payload_type,
            )
        datagram = rtp.build(kind, marker, self._sequence, timestamp, self.ssrc, payload)
        self._sequence = (self._sequence + 1) & 0xFFFF
        self._timestamp = (self._timestamp + rtp.SAMPLES) & 0xFFFFFFFF
        self.sent_packets += 1
        self.sent_octets += len(payload)
        return datagram

    def _begin_key(self, digit: str) -> None:
        self._key = _Key(rtp.KEYS.index(digit), self._timestamp)
        self.digits += digit

    def _key_payload(self, key: _Key) -> tuple[bool, bytes, int]:
        key.ticks += 1
        end = key.ticks >= KEY_TICKS
        payload = rtp.key_event(key.code, min(key.ticks, KEY_TICKS) * rtp.SAMPLES, end)
        if key.ticks == KEY_TICKS + END_PACKETS - 1:
            self._key = None
            self._gap = KEY_GAP_TICKS
        return key.ticks == 1, payload, key.timestamp

    def _sound(self) -> bytes:
        if self._at >= len(self._clip):
            return self._silence
        chunk = bytes(self._clip[self._at : self._at + rtp.SAMPLES])
        self._at += rtp.SAMPLES
        return chunk + self._silence[len(chunk) :]
