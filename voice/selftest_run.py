"""A trunk's self-test, step by step: DNS, connect, TLS, OPTIONS, REGISTER, INVITE, RTP both ways, DTMF, BYE.

On lines of its own, so that no live call is touched; hence also for a trunk that is disabled. The first step that fails
is the last one that is made. One exception: a trunk that says nothing to OPTIONS may only dislike OPTIONS. That step
fails when nothing comes back to the next request either.
"""

import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path

from sip import options, probing
from sip.events import Registered, RegistrationState
from sip.line import LineError, LinesDown, NoFreeLine
from sip.lines import Lines
from sip.options import Via
from sip.probing import WayError
from sip.trunk import Registration, Transport, Trunk, TrunkType, TrunkUri
from sip.uri import UriError, wire_number
from voice import selftest_words as words
from voice.selftest import Step, StepName, TrunkTest, Verdict
from voice.selftest_call import SETTLE_S, TONE_MS, CallFacts, dial_for, place, write_tone

REGISTER_S = 8.0  # two round trips and the answer to a lost packet; PJSIP itself would wait for 32 s
LINES_S = 10.0  # a line process starts within 0.3 s; a machine under load takes longer
PHONE_S = 3.0  # until the catch-all phone has told what it heard
ALL_S = 50.0  # the whole of it; closing the lines comes on top, 6 s at worst

OpenLines = Callable[[Trunk, Path], Lines]  # the trunk, a folder of its own


@dataclass(frozen=True, slots=True)
class Bench:
    """What a dialer lends to a test. `open_lines`: not started. `held`: the dialer's own registration, if it has one.
    `heard`: the keys that the catch-all phone heard in a call; None when it never says.
    """

    open_lines: OpenLines
    held: Callable[[str], RegistrationState | None]
    heard: Callable[[str], Awaitable[str | None]]
    all_s: float = ALL_S


class Stopped(Exception):
    """A step failed, and has been told."""


async def run(test: TrunkTest, trunk: Trunk, bench: Bench, tell: Callable[[Step], Awaitable[None]]) -> str:
    """Every step that was made is told in its order. Empty, or what kept the test from being made to its end."""
    going = _Test(test, trunk, bench, tell)
    try:
        async with asyncio.timeout(bench.all_s):
            await going.walk()
    except Stopped:
        pass
    except TimeoutError:
        return f"The test took longer than {bench.all_s:g} s and was ended in the step {going.at.value}."
    finally:
        await going.aclose()
    return ""


class _Test:
    def __init__(self, test: TrunkTest, trunk: Trunk, bench: Bench, tell: Callable[[Step], Awaitable[None]]) -> None:
        self._test, self._bench, self._tell = test, bench, tell
        self._target = _first(trunk)
        # What this test uses of it, whatever the operator wants of the trunk just now.
        self._trunk = replace(trunk, enabled=True, uris=(self._target,), channels=1, cps=max(1.0, trunk.cps))
        self._host, self._port = probing.first_hop(trunk, self._target)
        self._via = Via(self._host, self._port)
        self._doubt: Step | None = None  # OPTIONS was met with silence
        self._lines: Lines | None = None
        self._folder = tempfile.TemporaryDirectory(prefix="tocsin-selftest-")
        self.at = StepName.DNS

    async def walk(self) -> None:
        await self._dns()
        await self._connect()
        await self._tls()
        await self._options()
        await self._register()
        await self._call()

    async def aclose(self) -> None:
        if self._lines is not None:
            await self._lines.aclose()
        await asyncio.to_thread(self._folder.cleanup)

    async def _say(self, step: Step) -> None:
        await self._tell(step)
        if step.verdict is Verdict.FAILED:
            raise Stopped

    # -- the way there

    async def _dns(self) -> None:
        host, began = self._host, time.monotonic()
        try:
            found = await probing.resolve(host, self._port, self._target.transport, self._trunk.bind_address)
        except WayError as error:
            await self._say(self._way(StepName.DNS, error, began))
            return
        self._via = replace(self._via, host=found[0])
        what = f"{host} is {', '.join(found[:3])}" + (f" and {len(found) - 3} more." if len(found) > 3 else ".")
        if found == (host,):
            what = f"{host} is an address; there is nothing to look up."
        await self._say(Step(StepName.DNS, Verdict.OK, what, ms=_ms(began)))

    async def _connect(self) -> None:
        self.at, began = StepName.CONNECT, time.monotonic()
        if self._target.transport is Transport.UDP:
            await self._say(words.skipped(StepName.CONNECT, words.NO_CONNECTION))
            return
        try:
            await probing.connect(self._via.host, self._port, self._trunk.bind_address)
        except WayError as error:
            await self._say(self._way(StepName.CONNECT, error, began))
            return
        what = f"{self._via.host} port {self._port} takes connections."
        await self._say(Step(StepName.CONNECT, Verdict.OK, what, ms=_ms(began)))

    async def _tls(self) -> None:
        self.at, began = StepName.TLS, time.monotonic()
        if self._target.transport is not Transport.TLS:
            await self._say(words.skipped(StepName.TLS, words.no_tls(self._target.transport)))
            return
        rules = self._trunk.tls
        try:
            self._via = replace(self._via, tls=probing.trust(rules), name=self._host)
            version = await probing.handshake(self._via, self._trunk.bind_address)
        except WayError as error:
            await self._say(self._way(StepName.TLS, error, began))
            return
        if not rules.verify:
            fix = "Set tls.verify = true: without it anybody on the way can play the trunk."
            await self._say(Step(StepName.TLS, Verdict.WARNING, f"{version}, whoever it is.", fix, _ms(began)))
            return
        what = f"{version}; the certificate is for {self._host}, by an issuer that we trust."
        await self._say(Step(StepName.TLS, Verdict.OK, what, ms=_ms(began)))

    def _way(self, name: StepName, error: WayError, began: float) -> Step:
        return words.of_way(name, error, self._trunk, self._host, self._port, _ms(began))

    # -- SIP without a call

    async def _options(self) -> None:
        self.at, began = StepName.OPTIONS, time.monotonic()
        via = replace(self._via, proxy=self._trunk.outbound_proxy)
        try:
            answered = await options.ask(self._target, self._trunk.bind_address, via=via)
        except (TimeoutError, OSError, EOFError, ValueError) as error:
            step = words.of_no_options(error, self._trunk, self._host, self._port, _ms(began))
            if isinstance(error, TimeoutError) and (self._registers or self._test.to):
                self._doubt = step
                return
            await self._say(step)
            return
        await self._say(words.of_options(answered.code, self._trunk, answered.rtt_ms))

    async def _settle_doubt(self, *, heard: bool) -> None:
        """The next request was answered, or was met with the same silence."""
        doubt, self._doubt = self._doubt, None
        if doubt is not None:
            await self._say(words.options_doubted(doubt) if heard else doubt)

    @property
    def _registers(self) -> bool:
        return self._trunk.type is TrunkType.REGISTER

    async def _register(self) -> None:
        self.at, began = StepName.REGISTER, time.monotonic()
        if not self._registers:
            if not self._doubt:
                await self._say(words.skipped(StepName.REGISTER, "The trunk does not register."))
            return
        held = self._bench.held(self._trunk.id) if self._trunk.registration is Registration.ONE else None
        if held is not None and held.state is Registered.YES:
            await self._settle_doubt(heard=True)
            await self._say(words.of_held(held))
            return
        if self._trunk.auth is None or not self._trunk.auth.password:
            await self._settle_doubt(heard=False)
            await self._say(Step(StepName.REGISTER, Verdict.FAILED, words.NO_LOGIN, "Enable the trunk, then test it."))
            return
        kind = self._trunk.registration if self._trunk.registration is not Registration.NONE else Registration.ONE
        lines = await self._open(replace(self._trunk, registration=kind), StepName.REGISTER)
        state = await _registered(lines)
        step = words.of_registration(state, self._trunk, _ms(began))
        silent = step.verdict is Verdict.FAILED and state.last_code in (0, 408)
        await self._settle_doubt(heard=not silent)
        await self._say(step)

    async def _open(self, trunk: Trunk, name: StepName) -> Lines:
        """The lines of this test, with one line process that is up."""
        if self._lines is not None:
            return self._lines
        lines = self._lines = self._bench.open_lines(trunk, Path(self._folder.name))
        try:
            async with asyncio.timeout(LINES_S):
                await lines.start()
        except (LinesDown, TimeoutError) as error:
            step = words.of_no_line(str(error) or f"no line process within {LINES_S:g} s")
            await self._say(replace(step, name=name))
        return lines

    # -- the call

    async def _call(self) -> None:
        self.at = StepName.INVITE
        if not self._test.to:
            return await self._without_a_call()
        lines = await self._open(replace(self._trunk, registration=Registration.NONE), StepName.INVITE)
        audio = await asyncio.to_thread(write_tone, Path(self._folder.name) / "tone.wav")
        try:
            dial = dial_for(self._test.test_id, self._test.to, self._test.from_number, self._trunk, self._target, audio)
            facts = await place(lines, dial, self._trunk, self._answered)
        except UriError as error:
            fix = "Correct number_format or caller_ids of the trunk, or ask for another number."
            await self._say(Step(StepName.INVITE, Verdict.FAILED, f"The INVITE cannot be written: {error}.", fix))
            return None
        except (NoFreeLine, LineError) as error:
            await self._say(words.of_no_line(str(error)))
            return None
        await self._judge(facts)
        return None

    async def _without_a_call(self) -> None:
        await self._settle_doubt(heard=False)
        what = 'No number to ring was given: say "to", and a phone is rung.'
        for name in (StepName.INVITE, StepName.RTP, StepName.DTMF, StepName.BYE):
            await self._say(words.skipped(name, what))

    async def _answered(self, facts: CallFacts) -> None:
        await self._after_doubt(heard=True)
        wire_to = wire_number(self._test.to, self._trunk.number_format)
        await self._say(words.of_answer(facts.answered_ms or 0, facts.codec, wire_to))
        self.at = StepName.RTP

    async def _after_doubt(self, *, heard: bool) -> None:
        """The INVITE settles what OPTIONS left open."""
        if self._doubt is not None:
            await self._settle_doubt(heard=heard)
            await self._say(words.skipped(StepName.REGISTER, "The trunk does not register."))

    async def _judge(self, facts: CallFacts) -> None:
        ended = facts.ended
        if ended is None:
            raise LineError("a call without an end")  # the port promises one
        if facts.answered_ms is None:
            await self._after_doubt(heard=words.was_heard_of(facts.traces, ended))
            await self._say(words.of_refusal(ended, rang=facts.rang, ms=facts.ended_ms))
            return
        up_ms = max(0, facts.ended_ms - facts.answered_ms)
        await self._say(replace(words.of_rtp(ended, TONE_MS, spoke=facts.spoke), ms=up_ms))
        heard = await self._bench.heard(self._test.test_id) if facts.pressed and self._test.sandbox else None
        step = words.of_dtmf(self._trunk, facts.traces, ended, pressed=facts.pressed, heard=heard)
        await self._say(step)
        await self._say(words.of_bye(facts.traces, ended, SETTLE_S))


async def _registered(lines: Lines) -> RegistrationState:
    """How the first REGISTER went; as it stands when nothing has come back by then."""
    if lines.registrar is None:
        raise LineError("these lines do not register")
    try:
        async with asyncio.timeout(REGISTER_S):
            async for state in lines.registrar.watch():
                if state.state in (Registered.YES, Registered.AUTH_REJECTED, Registered.UNREACHABLE):
                    return state
    except TimeoutError:
        pass
    return lines.registrar.state()


def _first(trunk: Trunk) -> TrunkUri:
    """The target that calls use; of a trunk whose targets are all off, the best of them."""
    able = [one for one in trunk.uris if one.enabled] or list(trunk.uris)
    return replace(min(able, key=lambda one: (one.priority, -one.weight)), enabled=True)


def _ms(began: float) -> int:
    return round((time.monotonic() - began) * 1000)
