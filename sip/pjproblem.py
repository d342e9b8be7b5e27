"""The library's error becomes words on the spot: it holds the frames, and so the calls, that it passed through."""

from collections.abc import Callable

import pjsua2 as pj

TOO_MANY_CALLS = 70010  # PJ_ETOOMANY; the module has no name for it
NO_RTP_PORT = 120098
NO_SOUND_CLOCK = 420006


class Problem(Exception):
    """PJSIP could not do one thing; its status and its words."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(words)
        self.status = status


def attempt(act: Callable[[], None]) -> Problem | None:
    """The library's error is let go of here, with every frame it holds."""
    try:
        act()
    except pj.Error as error:
        return Problem(int(error.status), f"{error.reason} ({error.status}, {error.title})")
    return None
