"""Is a trunk there: N misses in a row take a target down, M answers bring it back. The rules are pure; Watch asks.

A trunk without a target that is up takes no calls: they wait until it is back, or until they expire.
"""

import asyncio
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import structlog

from sip.options import WITHIN_S, Answered, can_ping
from sip.pinging import Pings
from sip.probing import WayError, first_hop
from sip.trunk import OptionsPing, Trunk, TrunkUri
from voice.obstacles import seen_and_fix

log = structlog.get_logger(__name__)

JITTER = 0.1  # of the interval: dialers that started together do not ask together for ever
NOBODY_THERE = frozenset({408, 500, 502, 503, 504})  # said by a proxy for somebody who is not there, or cannot


@dataclass(frozen=True, slots=True)
class Target:
    """What is known of one address. `misses`, `answers`: the latest in a row, one of them is always 0. `why`: in words,
    why the latest ping was not answered.
    """

    up: bool = True  # until we know better: a trunk is not kept waiting for its first ping
    misses: int = 0
    answers: int = 0
    code: int | None = None
    rtt_ms: int | None = None
    why: str = ""


def heard(target: Target, answer: Answered | str, rules: OptionsPing) -> Target:
    """The target after one ping: what came back, or why nothing did."""
    code, rtt_ms, why = (None, None, answer) if isinstance(answer, str) else (answer.code, answer.rtt_ms, "")
    if code is None or not _counts(code, rules):
        misses = target.misses + 1
        return Target(target.up and misses < rules.fail_after, misses, 0, code, rtt_ms, why)
    answers = target.answers + 1
    return Target(target.up or answers >= rules.recover_after, 0, answers, code, rtt_ms)


def _counts(code: int, rules: OptionsPing) -> bool:
    return code in rules.ok_codes if rules.ok_codes else code not in NOBODY_THERE


def why_down(targets: Mapping[TrunkUri, Target], rules: OptionsPing | None) -> str:
    """Empty while one target is up, or none is pinged."""
    if rules is None or not targets or any(one.up for one in targets.values()):
        return ""
    codes = sorted({str(one.code) for one in targets.values() if one.code is not None})
    said = f"OPTIONS answered {', '.join(codes)}" if codes else "OPTIONS unanswered"
    first = next((one.why for one in targets.values() if one.why), "")
    return f"{said}, {max(one.misses for one in targets.values())} times in a row" + (f": {first}" if first else "")


def reachable(trunk: Trunk, targets: Mapping[TrunkUri, Target]) -> Trunk:
    """The trunk without the targets that are down, for the next INVITE; as it is when that would leave none."""
    uris = tuple(replace(uri, enabled=uri.enabled and targets.get(uri, Target()).up) for uri in trunk.uris)
    return replace(trunk, uris=uris) if any(uri.enabled for uri in uris) else trunk


async def watch(trunk: Trunk, rules: OptionsPing, told: Callable[[Mapping[TrunkUri, Target]], None]) -> None:
    """Until canceled: ping every target of the trunk at its interval, and tell what is known of them."""
    targets, pings = {uri: Target() for uri in trunk.uris if can_ping(uri)}, Pings(trunk)
    while targets:
        within_s = min(WITHIN_S, rules.interval_s)
        answers = await asyncio.gather(*(_ping(pings, trunk, uri, within_s) for uri in targets))
        for (uri, before), answer in zip(list(targets.items()), answers, strict=True):
            targets[uri] = after = heard(before, answer, rules)
            if after.up is not before.up:
                log.warning("target up" if after.up else "target down", trunk=trunk.id, misses=after.misses)
        told(dict(targets))
        await asyncio.sleep(rules.interval_s * random.uniform(1 - JITTER, 1 + JITTER))


async def _ping(pings: Pings, trunk: Trunk, target: TrunkUri, within_s: float) -> Answered | str:
    try:
        return await pings.ask(target, within_s)
    except WayError as error:
        return seen_and_fix(error, trunk, *first_hop(trunk, target))[0]
