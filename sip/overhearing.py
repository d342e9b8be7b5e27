"""What the network says before the answer: a tap on early media for as long as nobody has answered.

A tap costs about one hundredth of a core, so a call without early media has none.
"""

from sip.engine import Engine
from sip.legs import Leg
from sip.sit import SitEar


def overhear(engine: Engine, leg: Leg) -> bool:
    """One turn. False: this call has no early media, or it was answered before this turn."""
    if not leg.rewire_early and leg.early_ear is None:
        return False
    call_id = leg.dial.call_id
    if leg.confirmed:
        engine.stop_overhearing(call_id)
        leg.early_ear, leg.rewire_early = None, False
        return True
    if leg.rewire_early:
        leg.rewire_early = False
        engine.shut_out(call_id, leg.peer)  # a stranger's tones would make a number look dead
        if engine.overhear(call_id) is None and leg.early_ear is None:
            leg.early_ear = SitEar()
    if leg.early_ear is not None:
        for pcm in engine.heard(call_id):
            for found in leg.early_ear.hear(pcm):
                leg.sits.append(found)
    return True
