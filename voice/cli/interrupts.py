"""Whoever ends the demo wants everything gone: Ctrl-C, Ctrl-\\, a closed terminal and `kill` all clean up."""

import signal
from collections.abc import Callable
from types import FrameType

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


class Interrupted(KeyboardInterrupt):
    """A signal that ends us. Not the very KeyboardInterrupt: when that one passes through an `exec` (each dataclass of
    an import is made by one), `python -m` ends itself by SIGINT at its end, whoever caught it and whatever we return.
    """


class Interrupts:
    """Until somebody says what `then` happens, a signal is an `Interrupted`, which unwinds whatever is under way.

    asyncio's own handlers are not used: it puts the system's back when the loop closes, and the folder is removed
    after that.
    """

    def __init__(self) -> None:
        self._then: Callable[[], None] | None = None
        for number in ENDING:
            # nohup and shell scripts ignore some of them for us, and mean it.
            if number in (signal.SIGINT, signal.SIGTERM) or signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._on_signal)

    def then(self, action: Callable[[], None]) -> None:
        """What a signal does from now on. It comes in the midst of anything: an action only leaves word."""
        self._then = action

    def ignore(self) -> None:
        """We are leaving already."""
        self.then(lambda: None)

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        if self._then is None:
            raise Interrupted
        self._then()
