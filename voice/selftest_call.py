"""The call of a trunk's self-test: a tone, one key, and a count of what came back. Over any Line."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from media.audio import write_wav
from media.tones import tone
from sip import uri
from sip.commands import AfterScript, Dial, Why
from sip.events import Answered, Ended, Played, Ringing, Speaking, Trace
from sip.line import Leg, Line
from sip.trunk import DtmfWay, Trunk, TrunkUri
from voice.selftest import TALK_MOST_S
from voice.selftest_words import info_answered

TONE_HZ, TONE_MS = 440.0, 2000
PAUSE_MS = 200
KEY = "5"
KEY_S = 1.0  # an RFC 4733 key takes 160 ms; its last packet is sent three times
INFO_S = 4.0  # as long as a call waits for the first sign of life
RING_S = 15.0
RTP_S = 30.0  # never reached: the silence of the far end is judged at the end
SETTLE_S = 4.0  # for the answer to our BYE: eight retransmission timers


@dataclass(slots=True)
class CallFacts:
    """What happened. Times are milliseconds since the dial."""

    answered_ms: int | None = None
    codec: str = ""
    rang: bool = False
    spoke: bool = False
    pressed: str = ""
    traces: list[Trace] = field(default_factory=list)
    ended: Ended | None = None
    ended_ms: int = 0


def dial_for(call_id: str, to: str, from_number: str, trunk: Trunk, target: TrunkUri, audio: Path) -> Dial:
    """Raises UriError: the number or the caller id does not fit the trunk."""
    return Dial(
        call_id=call_id,
        uri=uri.request_uri(to, trunk, target),
        from_uri=uri.from_uri(from_number, trunk),
        audio=str(audio),
        headers=uri.headers(call_id, trunk, caller=from_number),
        pause_ms=PAUSE_MS,
        then=AfterScript.WAIT,
        ring_timeout_s=RING_S,
        max_duration_s=TALK_MOST_S,
        rtp_timeout_s=RTP_S,
    )


def write_tone(path: Path) -> Path:
    write_wav(path, tone((TONE_HZ,), TONE_MS))
    return path


async def place(line: Line, dial: Dial, trunk: Trunk, answered: Callable[[CallFacts], Awaitable[None]]) -> CallFacts:
    """From INVITE to the answered BYE. Raises LineError: nothing was sent. Canceled, it hangs up."""
    loop = asyncio.get_running_loop()
    began, facts = loop.time(), CallFacts()
    leg = await line.dial(dial)
    call = _Call(leg, trunk, facts)
    try:
        async for event in leg.events():
            match event:
                case Ringing():
                    facts.rang = True
                case Answered():
                    facts.answered_ms, facts.codec = round((loop.time() - began) * 1000), event.codec
                    await answered(facts)
                case Speaking():
                    facts.spoke = True
                case Played():
                    call.go_on()
                case Trace():
                    facts.traces.append(event)
                    call.info_answered |= info_answered(event)
                    call.news.set()
                case Ended():
                    facts.ended, facts.ended_ms = event, round((loop.time() - began) * 1000)
    finally:
        await call.leave()
    return facts


class _Call:
    """What is done once the tone has left: a key, then the end."""

    def __init__(self, leg: Leg, trunk: Trunk, facts: CallFacts) -> None:
        self._leg, self._trunk, self._facts = leg, trunk, facts
        self._closing: asyncio.Task[None] | None = None
        self.info_answered = False
        self.news = asyncio.Event()

    def go_on(self) -> None:
        if self._closing is None:
            self._closing = asyncio.create_task(self._press_and_leave(), name="self-test: key and end")

    async def _press_and_leave(self) -> None:
        self._facts.pressed = KEY
        await self._leg.send_digits(KEY)
        if self._trunk.dtmf is DtmfWay.INFO:
            await self._info()
        else:
            await asyncio.sleep(KEY_S)
        await self._leg.hang_up(Why.PLAYED_OUT)

    async def _info(self) -> None:
        try:
            async with asyncio.timeout(INFO_S):
                while not self.info_answered:
                    self.news.clear()
                    await self.news.wait()
        except TimeoutError:
            pass

    async def leave(self) -> None:
        if self._facts.ended is None:
            await self._leg.hang_up(Why.API)
        if self._closing is not None:
            self._closing.cancel()
            await asyncio.gather(self._closing, return_exceptions=True)
