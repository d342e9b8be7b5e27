"""Whether the end of a leg is another trunk's business, and the call that goes there. Pure.

A phone that may have rung is never rung again by another way: not after an 18x, not after an answer, and not after
silence, which proves nothing, unless the operator lists that very cause. What a person said (486, 600, 603, 607, 608)
is not another trunk's business, whatever anybody lists.
"""

from dataclasses import replace
from datetime import datetime, timedelta, tzinfo

from messaging import ids
from sip.causes import Again
from sip.events import Ended, Phase
from sip.outcomes import NEVER_NEXT_TRUNK
from sip.trunk import Failover
from voice.calls import Call, Ending, Refusal
from voice.messages import Message
from voice.store import Successor
from voice.telling import as_accepted, deliveries, queued_event

_OVER = frozenset({Again.OK.value, Again.OURS.value, Again.REFUSED.value, Again.NONE.value})


def may_go_on(call: Call, ended: Ended, ending: Ending, policy: Failover, now: datetime) -> bool:
    """May one over another trunk follow? `call`: before its end. `policy`: of the trunk it left by."""
    if call.ring_at or call.answer_at or ended.phase in (Phase.RINGING, Phase.ANSWERED):
        return False
    if ended.code in NEVER_NEXT_TRUNK or ending.again in _OVER:
        return False
    if call.hop >= policy.max_hops or now >= dial_by(call, policy):
        return False
    named = {ending.cause} if ending.again == Again.UNCERTAIN else {ending.cause, str(ended.code)}
    if named & set(policy.never_on) or str(ended.code) in policy.never_on:
        return False
    return ending.again == Again.NEXT_TRUNK or bool(named & set(policy.on))


def dial_by(call: Call, policy: Failover) -> datetime:
    """The last moment for the next hop: the first trunk's budget counts, from the first INVITE on."""
    return call.dial_by or (call.start_at or call.created_at) + timedelta(milliseconds=policy.total_budget_ms)


def next_hop(call: Call, ending: Ending, message: Message, policy: Failover, now: datetime, zone: tzinfo) -> Successor:
    """The call that follows `call`, which ends so: same recipient, same attempt, a new id."""
    call_id = ids.call_id()
    fresh = replace(
        as_accepted(call),
        call_id=call_id,
        created_at=now,
        sequence=1,
        hop=call.hop + 1,
        tried=(*call.tried, call.trunk_id or ""),
        dial_by=min(dial_by(call, policy), message.valid_until),
        refused=call.refused or Refusal(ending.cause, ending.again),
    )
    event = queued_event(fresh)
    return Successor(fresh, event, deliveries(fresh, message, event, zone))
