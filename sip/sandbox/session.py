"""Session timers (RFC 4028) as the callee: who refreshes a call, how often, and when to give it up; pure."""

import re
from dataclasses import dataclass

from sip.sandbox import messages
from sip.sandbox.messages import Request

_LONGEST_S = 86_400


class TooShort(ValueError):
    """The interval is below what we accept (section 6: answered 422 with Min-SE)."""


@dataclass(frozen=True, slots=True)
class Session:
    """The call must be refreshed within `interval_s`: by the caller, unless `by_us`."""

    interval_s: int
    by_us: bool

    @property
    def next_step_s(self) -> float:
        """Until our own refresh (section 7.4), or until we give up waiting for the caller's (section 10)."""
        if self.by_us:
            return self.interval_s / 2
        return self.interval_s - min(32.0, self.interval_s / 3)

    def headers(self, request: Request) -> list[tuple[str, str]]:
        """For the 200 to `request` (section 9)."""
        row = ("Session-Expires", f"{self.interval_s};refresher={'uas' if self.by_us else 'uac'}")
        return [row, ("Require", "timer")] if "timer" in request.headers.all("supported") else [row]


def asked(request: Request, least_s: int) -> Session | None:
    """What the caller asks for; None when it does not speak of sessions. Raises TooShort."""
    value = request.headers.get("session-expires")
    seconds = (value or "").partition(";")[0].strip()
    if not value or not re.fullmatch("[0-9]{1,9}", seconds):
        return None
    if int(seconds) < least_s:
        raise TooShort(f"less than {least_s} s")
    by_us = (messages.parameter(value, "refresher") or "").lower() == "uas"
    return Session(min(int(seconds), _LONGEST_S), by_us)
