"""What a line process is told before it may dial: one frozen value, the first frame on its pipe."""

from dataclasses import dataclass

from sip.trunk import Transport, Trunk

SILENT_S = 4.0  # a trunk that is up answers an INVITE with 100 within milliseconds; 4 s is eight retransmission timers
SETTLE_S = 0.5  # how long an `Ended` waits for the answer to our BYE or CANCEL, so that the ladder is whole
DIALS_PER_S_CEILING = 20.0  # above about 60/s the library's socket table runs out and its assertion ends the process


@dataclass(frozen=True, slots=True)
class LineSetup:
    """The trunk, and this process's own share of ports and pace.

    `capacity`: concurrent calls, never more than the library was compiled for. `sip_port` 0: a free one, reported in
    `Ready`. RTP uses `rtp_base` .. `rtp_base + rtp_range + 1`, nobody else's. `journal_dir`: where the last words go
    when the parent is gone. `ladder`: send `Trace` rows.
    """

    trunk: Trunk
    capacity: int
    rtp_base: int
    rtp_range: int
    journal_dir: str
    sip_port: int = 0
    ladder: bool = True
    dials_per_s: float = 5.0
    silent_s: float = SILENT_S
    settle_s: float = SETTLE_S
    registers: bool = False  # holds the trunk's registration, once a `Register` says so
    listens: bool = False  # takes the calls that the trunk brings (`trunk.inbound`), and dials none
    any_interface: bool = False  # the operator's word that 0.0.0.0 is meant

    @property
    def transport(self) -> Transport | None:
        """The one way to the trunk; None when its URIs do not agree on one."""
        kinds = {uri.transport for uri in self.trunk.uris if uri.enabled}
        return kinds.pop() if len(kinds) == 1 else None
