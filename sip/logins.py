"""How often a peer asks for a login in one call: with a new nonce each time, it could ask for ever.

The library sends three logins to such a peer, and has no setting for it; the engine ends the call in time. Pure.
"""

import re
from collections import OrderedDict

LOGINS_MOST = 2  # one, and another for a newer nonce: the first may have been over by then (stale)
_KEPT = 64  # calls that are remembered; a process has fewer under way
_CHALLENGE = re.compile(r"RX \d+ bytes Response msg (?:401|407)/INVITE/")
_CALL_ID = re.compile(r"^(?:call-id|i)[ \t]*:[ \t]*([^\s]{1,255})", re.IGNORECASE | re.MULTILINE)
_CSEQ = re.compile(r"^cseq[ \t]*:[ \t]*(\d{1,10})", re.IGNORECASE | re.MULTILINE)


class Logins:
    """One line process's. Fed with the library's log entries, before the library acts on what they hold."""

    def __init__(self) -> None:
        self._asked: OrderedDict[str, set[str]] = OrderedDict()  # by SIP Call-ID: the challenged requests' CSeq

    def too_many(self, entry: str) -> str | None:
        """The SIP Call-ID of a call that must send no further login."""
        call_id = _CALL_ID.search(entry) if _CHALLENGE.match(entry) else None
        cseq = _CSEQ.search(entry)
        if call_id is None or cseq is None:
            return None
        asked = self._asked.setdefault(call_id[1], set())
        asked.add(cseq[1])  # the same challenge may come twice
        while len(self._asked) > _KEPT:
            self._asked.popitem(last=False)
        return call_id[1] if len(asked) > LOGINS_MOST else None
