"""The connections of a line process to its trunk over TCP or TLS: did an INVITE ever have one to leave by? Pure."""

from sip.tls import why_refused


class Streams:
    """Told by the engine of each connection that came up or went down."""

    def __init__(self, host: str) -> None:
        self._host = host
        self._up: set[int] = set()
        self._opened = 0
        self.cuts = 0  # connections that were up and are no more
        self.why = ""  # the last one failed, in words

    def opened(self, handle: int) -> None:
        self._up.add(handle)
        self._opened += 1

    def closed(self, handle: int, verify_status: int, words: str) -> None:
        self.cuts += handle in self._up
        self._up.discard(handle)
        self.why = why_refused(verify_status, self._host) or words

    def mark(self) -> int | None:
        """To be asked about later; None when there is a connection now, so what follows may leave at once."""
        return None if self._up else self._opened

    def none_since(self, mark: int | None) -> bool:
        """No connection came up since then: what was written then never left this machine."""
        return mark is not None and self._opened == mark
