"""What a dialer says of itself to whoever asks who is there (presence.py): its trunks, its lines, its calls."""

import os
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from sip.lines import Lines
from voice.dialer import Dialer
from voice.simulating import said
from voice.trunk_lines import TrunkLines
from voice.trunk_status import said_of_registration, said_of_targets


def dialer_facts(dialer: Dialer, lines: TrunkLines) -> Callable[[], Mapping[str, Any]]:
    """Lines that drain count as busy with their calls, and as nothing else."""

    def facts() -> Mapping[str, Any]:
        opened = {trunk_id: line for trunk_id, (_, line) in lines.open().items()}
        every = [*opened.items(), *lines.draining()]
        busy: Counter[str] = Counter()
        for trunk_id, line in every:
            busy[trunk_id] += line.capacity().busy
        return {
            "pid": os.getpid(),
            "busy": dialer.busy,
            "problems": list(dialer.problems()),
            "targets": {trunk_id: said_of_targets(targets) for trunk_id, targets in dialer.targets().items()},
            "routes": {state.trunk.id: said(state) for state in dialer.states()},
            "trunks": {trunk_id: line.capacity().total for trunk_id, line in opened.items()},
            "busy_lines": dict(busy),
            "dialled_lately": dialer.dialled_lately(),
            "registrations": {
                trunk_id: said_of_registration(
                    line.registrar.state(), line.registrar.holder, is_here=line.registrar.is_here
                )
                for trunk_id, line in opened.items()
                if line.registrar is not None
            },
            "lines": [
                {
                    "trunk": trunk_id,
                    "pid": status.ready.pid,
                    "version": status.ready.version,
                    "calls": status.ready.capacity,
                    "busy": status.busy,
                }
                for trunk_id, line in every
                if isinstance(line, Lines)
                for status in line.status()
            ],
        }

    return facts
