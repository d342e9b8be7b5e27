"""The words for how a call ended: endings, causes with their numbers, retry classes, who did it, who can help."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class Ending(StrEnum):
    """The final state of a call; `blocked` and `expired` only without a leg."""

    COMPLETED = "completed"
    BUSY = "busy"
    NO_ANSWER = "no_answer"
    REJECTED = "rejected"
    FAILED = "failed"
    CANCELED = "canceled"
    BLOCKED = "blocked"
    EXPIRED = "expired"


class Again(StrEnum):
    """The retry class: what may be done about it."""

    OK = "ok"  # done
    LATER = "later"  # the same number again later, if the plan allows
    NEXT_TRUNK = "next_trunk"  # the next trunk now, then as `later`
    DEAD_NUMBER = "dead_number"  # permanent for this number
    REFUSED = "refused"  # the person refused: never another trunk
    CONFIG = "config"  # a configuration fault: stop this trunk, alarm
    OURS = "ours"  # ours or the API's doing: no retry
    UNCERTAIN = "uncertain"  # it may have rung and nobody can know: no further leg by itself
    NONE = "none"  # the question does not arise


class Source(StrEnum):
    """Who ended it."""

    CALLEE = "callee"
    CALLER = "caller"  # inbound calls only
    TRUNK = "trunk"
    PLATFORM = "platform"
    API = "api"


class Fault(StrEnum):
    """Who can do something about it. `account`: login, credit, permissions, caller ids; here or at the trunk."""

    PERSON = "person"
    REQUEST = "request"
    ACCOUNT = "account"
    TRUNK = "trunk"
    NETWORK = "network"
    US = "us"


class Sit(StrEnum):
    """Special information tones heard before the answer (ITU-T E.180, Telcordia GR-1162)."""

    VACANT = "VC"
    INTERCEPT = "IC"
    NO_CIRCUIT = "NC"
    REORDER = "RO"


class Cause(StrEnum):
    """Why. Words are stable; so are their numbers in `CAUSE_CODES`."""

    CANCELED_BY_API = "canceled_by_api"
    VALIDITY_EXPIRED = "validity_expired"
    REMOTE_CANCEL = "remote_cancel"
    UNALLOCATED_NUMBER = "unallocated_number"
    INTERCEPT = "intercept"
    INCOMPLETE_NUMBER = "incomplete_number"
    AMBIGUOUS_NUMBER = "ambiguous_number"
    NUMBER_CHANGED = "number_changed"
    REDIRECTED = "redirected"
    RING_TIMEOUT = "ring_timeout"
    USER_BUSY = "user_busy"
    CALL_DECLINED = "call_declined"
    NO_USER_RESPONDING = "no_user_responding"
    TEMPORARILY_UNAVAILABLE = "temporarily_unavailable"
    UNWANTED = "unwanted"
    ANALYTICS_BLOCKED = "analytics_blocked"
    NORMAL_CLEARING = "normal_clearing"
    MAX_DURATION = "max_duration"
    TRUNK_FAILURE = "trunk_failure"
    TRUNK_UNREACHABLE = "trunk_unreachable"
    TRUNK_TIMEOUT = "trunk_timeout"
    GATEWAY_TIMEOUT = "gateway_timeout"
    NETWORK_OUT_OF_ORDER = "network_out_of_order"
    CONGESTION = "congestion"
    SIGNALLING_LOST = "signalling_lost"
    GLARE = "glare"
    MEDIA_TIMEOUT = "media_timeout"
    NO_AUDIO = "no_audio"
    MEDIA_INCOMPATIBLE = "media_incompatible"
    AUTH_FAILED = "auth_failed"
    FORBIDDEN = "forbidden"
    CARRIER_CREDIT = "carrier_credit"
    PROTOCOL_ERROR = "protocol_error"
    NOT_SUPPORTED = "not_supported"
    ROUTING_LOOP = "routing_loop"
    IDENTITY_REJECTED = "identity_rejected"
    ANONYMITY_DISALLOWED = "anonymity_disallowed"
    SECURITY_REQUIRED = "security_required"
    SUPPRESSED = "suppressed"
    GEO_BLOCKED = "geo_blocked"
    SPEND_CAP = "spend_cap"
    INVALID_NUMBER = "invalid_number"
    CALLER_ID_UNVERIFIED = "caller_id_unverified"
    FREQUENCY_CAP = "frequency_cap"
    WORKER_LOST = "worker_lost"
    DISPATCH_TIMEOUT = "dispatch_timeout"
    PLATFORM_SHUTDOWN = "platform_shutdown"
    SPEECH = "speech"
    POISON = "poison"
    LINE_ERROR = "line_error"


_C, _S, _F = Cause, Source, Fault

# cause -> its number (one per cause, never reused; Plivo's blocks: 1 canceled, 2 destination, 3 busy, no answer or
# rejected, 4 normal; ours: 5 trunk and network, 6 media, 7 configuration and identity, 8 policy, 9 Tocsin), who ended
# it unless the leg says otherwise, and who can do something about it.
ABOUT: dict[Cause, tuple[int, Source, Fault | None]] = {
    _C.CANCELED_BY_API: (1000, _S.API, None),
    _C.VALIDITY_EXPIRED: (1100, _S.PLATFORM, None),
    _C.REMOTE_CANCEL: (1200, _S.TRUNK, _F.TRUNK),
    _C.UNALLOCATED_NUMBER: (2000, _S.TRUNK, _F.REQUEST),
    _C.INTERCEPT: (2010, _S.TRUNK, _F.REQUEST),
    _C.INCOMPLETE_NUMBER: (2100, _S.TRUNK, _F.REQUEST),
    _C.AMBIGUOUS_NUMBER: (2110, _S.TRUNK, _F.REQUEST),
    _C.NUMBER_CHANGED: (2120, _S.TRUNK, _F.REQUEST),
    _C.REDIRECTED: (2130, _S.TRUNK, _F.TRUNK),
    _C.RING_TIMEOUT: (3000, _S.PLATFORM, _F.PERSON),
    _C.USER_BUSY: (3010, _S.CALLEE, _F.PERSON),
    _C.CALL_DECLINED: (3020, _S.CALLEE, _F.PERSON),
    _C.NO_USER_RESPONDING: (3030, _S.CALLEE, _F.PERSON),
    _C.TEMPORARILY_UNAVAILABLE: (3040, _S.CALLEE, _F.PERSON),
    _C.UNWANTED: (3050, _S.CALLEE, _F.PERSON),
    _C.ANALYTICS_BLOCKED: (3060, _S.TRUNK, _F.NETWORK),
    _C.NORMAL_CLEARING: (4000, _S.CALLEE, None),
    _C.MAX_DURATION: (4100, _S.PLATFORM, None),
    _C.TRUNK_FAILURE: (5000, _S.TRUNK, _F.TRUNK),
    _C.TRUNK_UNREACHABLE: (5010, _S.PLATFORM, _F.NETWORK),
    _C.TRUNK_TIMEOUT: (5020, _S.PLATFORM, _F.TRUNK),
    _C.GATEWAY_TIMEOUT: (5030, _S.TRUNK, _F.TRUNK),
    _C.NETWORK_OUT_OF_ORDER: (5040, _S.TRUNK, _F.NETWORK),
    _C.CONGESTION: (5050, _S.TRUNK, _F.NETWORK),
    _C.SIGNALLING_LOST: (5060, _S.TRUNK, _F.NETWORK),
    _C.GLARE: (5070, _S.TRUNK, _F.TRUNK),
    _C.MEDIA_TIMEOUT: (6000, _S.PLATFORM, _F.NETWORK),
    _C.NO_AUDIO: (6010, _S.PLATFORM, _F.US),
    _C.MEDIA_INCOMPATIBLE: (6020, _S.TRUNK, _F.TRUNK),
    _C.AUTH_FAILED: (7000, _S.TRUNK, _F.ACCOUNT),
    _C.FORBIDDEN: (7010, _S.TRUNK, _F.ACCOUNT),
    _C.CARRIER_CREDIT: (7020, _S.TRUNK, _F.ACCOUNT),
    _C.PROTOCOL_ERROR: (7030, _S.TRUNK, _F.US),
    _C.NOT_SUPPORTED: (7040, _S.TRUNK, _F.TRUNK),
    _C.ROUTING_LOOP: (7050, _S.TRUNK, _F.TRUNK),
    _C.IDENTITY_REJECTED: (7060, _S.TRUNK, _F.ACCOUNT),
    _C.ANONYMITY_DISALLOWED: (7070, _S.TRUNK, _F.ACCOUNT),
    _C.SECURITY_REQUIRED: (7080, _S.TRUNK, _F.TRUNK),
    _C.SUPPRESSED: (8000, _S.PLATFORM, _F.PERSON),
    _C.GEO_BLOCKED: (8010, _S.PLATFORM, _F.ACCOUNT),
    _C.SPEND_CAP: (8020, _S.PLATFORM, _F.ACCOUNT),
    _C.INVALID_NUMBER: (8030, _S.PLATFORM, _F.REQUEST),
    _C.CALLER_ID_UNVERIFIED: (8040, _S.PLATFORM, _F.ACCOUNT),
    _C.FREQUENCY_CAP: (8050, _S.PLATFORM, _F.ACCOUNT),
    _C.WORKER_LOST: (9000, _S.PLATFORM, _F.US),
    _C.DISPATCH_TIMEOUT: (9010, _S.PLATFORM, _F.US),
    _C.PLATFORM_SHUTDOWN: (9020, _S.PLATFORM, _F.US),
    _C.SPEECH: (9030, _S.PLATFORM, _F.US),
    _C.POISON: (9040, _S.PLATFORM, _F.US),
    _C.LINE_ERROR: (9050, _S.PLATFORM, _F.US),
}

CAUSE_CODES: Mapping[Cause, int] = MappingProxyType({cause: about[0] for cause, about in ABOUT.items()})
