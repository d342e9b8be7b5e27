"""The words of `explain`, as data: for every cause, status and SIP answer a title, one sentence, the next step."""

from typing import NamedTuple

from sip.causes import Cause
from voice.calls import Status


class Text(NamedTuple):
    title: str
    sentence: str
    retryable: bool  # may another attempt end better
    next_step: str


CAUSES: dict[Cause, Text] = {
    Cause.CANCELED_BY_API: Text(
        "Canceled",
        "Somebody asked for the call to be canceled.",
        False,
        "Nothing to do; send a new request to call again.",
    ),
    Cause.VALIDITY_EXPIRED: Text(
        "Not called: window closed",
        "valid_until passed before the call could be dialled.",
        True,
        "Send it again with a later valid_until; if calls wait long, raise the trunk's channels or calls per second.",
    ),
    Cause.REMOTE_CANCEL: Text(
        "Ended by the trunk",
        "The trunk ended the call while it was being set up, and we had not asked for it.",
        True,
        "Try again later; if it happens often, show the SIP ladder to the carrier.",
    ),
    Cause.UNALLOCATED_NUMBER: Text(
        "Number not in service", "That number does not exist.", False, "Correct the number or remove it from your list."
    ),
    Cause.INTERCEPT: Text(
        "Number not in service",
        "An announcement says that the number was changed or disconnected.",
        False,
        "Ask the person for the new number, or remove this one.",
    ),
    Cause.INCOMPLETE_NUMBER: Text(
        "Number incomplete",
        "The network wants more digits.",
        False,
        "Check the number for lost digits, and number_format of the trunk: wire_to shows what was sent.",
    ),
    Cause.AMBIGUOUS_NUMBER: Text(
        "Number ambiguous",
        "The network cannot tell whom that number means.",
        False,
        "Send the full international number, and check number_format of the trunk.",
    ),
    Cause.NUMBER_CHANGED: Text(
        "Number changed",
        "That number is no longer used by anybody.",
        False,
        "Ask for the new number, or remove this one.",
    ),
    Cause.REDIRECTED: Text(
        "Redirected",
        "The trunk told us to call another address; redirections are not followed, because fraud lives on them.",
        False,
        "Call the new number yourself if you trust it; the SIP ladder shows it in Contact.",
    ),
    Cause.RING_TIMEOUT: Text(
        "No answer",
        "Nobody answered within ring_timeout.",
        True,
        "Try again at another time, or allow more ring_timeout.",
    ),
    Cause.USER_BUSY: Text("Busy", "The phone is busy.", True, "Try again in a few minutes."),
    Cause.CALL_DECLINED: Text(
        "Declined", "The person declined the call.", False, "Do not call again by itself; reach the person another way."
    ),
    Cause.NO_USER_RESPONDING: Text(
        "No answer", "The network rang the phone and nobody answered.", True, "Try again at another time."
    ),
    Cause.TEMPORARILY_UNAVAILABLE: Text(
        "Not reachable",
        "The phone is switched off, out of coverage, or does not take calls right now.",
        True,
        "Try again later.",
    ),
    Cause.UNWANTED: Text(
        "Declined as unwanted",
        "The person marked the call as unwanted (SIP 607).",
        False,
        "Put the number on your do-not-call list; marks like this spoil the caller id.",
    ),
    Cause.ANALYTICS_BLOCKED: Text(
        "Blocked as spam",
        "A spam filter on the way refused the call (SIP 608).",
        False,
        "Register the caller id with the filter's operator (Call-Info of the answer names it), or use another one.",
    ),
    Cause.NORMAL_CLEARING: Text("Completed", "The call was answered and ended normally.", False, "Nothing to do."),
    Cause.MAX_DURATION: Text(
        "Time limit",
        "The call was answered and ended by max_duration.",
        True,
        "Shorten the message or allow more max_duration; heard_pct says how much was heard.",
    ),
    Cause.TRUNK_FAILURE: Text(
        "Trunk failure",
        "The trunk could not place the call (an error of its own, or overload).",
        True,
        "Try again later; after several of these ask the carrier, with the SIP ladder.",
    ),
    Cause.TRUNK_UNREACHABLE: Text(
        "Trunk unreachable",
        "Our machine could not send to the trunk.",
        True,
        "Check network, firewall and the trunk's host and port; tocsin doctor loads the trunk file.",
    ),
    Cause.TRUNK_TIMEOUT: Text(
        "Line lost, may have rung",
        "The trunk said nothing at all to our call, so nobody can know whether the phone rang.",
        False,
        "Check that the trunk is up and knows our address. It is not repeated by itself: decide, then send it again.",
    ),
    Cause.GATEWAY_TIMEOUT: Text(
        "Trunk timeout",
        "The trunk got no answer from the network behind it.",
        True,
        "Try again later, or by another trunk.",
    ),
    Cause.NETWORK_OUT_OF_ORDER: Text(
        "Network out of order",
        "The network behind the trunk is out of order, or the trunk's name does not resolve.",
        True,
        "Check the trunk's host in DNS; otherwise try again later, or by another trunk.",
    ),
    Cause.CONGESTION: Text(
        "Congestion",
        "The trunk has no free channel to that network right now.",
        True,
        "Try again later; lower the trunk's channels to what the carrier allows, or ask for more.",
    ),
    Cause.SIGNALLING_LOST: Text(
        "Signalling lost",
        "The signalling of the call was lost: the other side no longer knows the call or stopped answering.",
        True,
        "Try again; if it happens often, look for NAT or a firewall that forgets UDP too early.",
    ),
    Cause.GLARE: Text(
        "Glare", "Both sides changed the call at the same moment, and the trunk insisted.", True, "Try again later."
    ),
    Cause.MEDIA_TIMEOUT: Text(
        "Silent call",
        "The call was answered, but no sound came from the other side.",
        True,
        "Look for one-way audio: public_address, NAT, and a firewall that blocks the RTP range.",
    ),
    Cause.NO_AUDIO: Text(
        "Silent call",
        "The call was answered, but our audio did not leave: nobody can have heard the message.",
        True,
        "Send us the call_id: this is a defect of ours. tocsin doctor checks voices and lines.",
    ),
    Cause.MEDIA_INCOMPATIBLE: Text(
        "No common codec",
        "The trunk accepts none of the codecs we offered.",
        False,
        "Set codecs of the trunk to what the carrier supports, usually PCMA and PCMU; the ladder shows the offer.",
    ),
    Cause.AUTH_FAILED: Text(
        "Trunk login refused",
        "The trunk asked for a login and refused ours.",
        False,
        "Check username, realm and password of the trunk; the challenge in the SIP ladder names the realm.",
    ),
    Cause.FORBIDDEN: Text(
        "Refused by the trunk",
        "The trunk refuses this call: usually the caller id or the destination is barred.",
        True,
        "Ask the carrier to allow the caller id and the country; try another caller id or trunk.",
    ),
    Cause.CARRIER_CREDIT: Text(
        "No credit at the carrier",
        "The carrier says that the account has no credit.",
        False,
        "Top up with the carrier.",
    ),
    Cause.PROTOCOL_ERROR: Text(
        "Not understood by the trunk",
        "The trunk did not understand our request.",
        False,
        "Send the SIP ladder to us and to the carrier; fewer codecs and headers make the INVITE smaller.",
    ),
    Cause.NOT_SUPPORTED: Text(
        "Not supported by the trunk",
        "The trunk does not support calls like this one at this address.",
        False,
        "Check host and port with the carrier: this may be the address of something else.",
    ),
    Cause.ROUTING_LOOP: Text(
        "Routing loop",
        "The call went round in circles behind the trunk.",
        False,
        "Ask the carrier; check that the trunk's host is not our own address.",
    ),
    Cause.IDENTITY_REJECTED: Text(
        "Identity refused",
        "The network wants a signed caller id (STIR/SHAKEN) and did not accept ours.",
        False,
        "Ask the carrier to sign your calls, and use a caller id that it gave you.",
    ),
    Cause.ANONYMITY_DISALLOWED: Text(
        "Anonymous call refused",
        "The other side takes no calls without a caller id.",
        False,
        "Show a caller id: set caller_ids of the trunk.",
    ),
    Cause.SECURITY_REQUIRED: Text(
        "Security required",
        "The trunk and we do not agree on encryption.",
        False,
        "Set the trunk's transport and srtp to what the carrier offers.",
    ),
    Cause.SUPPRESSED: Text(
        "Opted out",
        "This person does not want to be called.",
        False,
        "Nothing to do: the number is on the do-not-call list.",
    ),
    Cause.GEO_BLOCKED: Text(
        "Country not allowed",
        "Calls to that country are not allowed for this account.",
        False,
        "Ask the operator to allow the country.",
    ),
    Cause.SPEND_CAP: Text(
        "Spending limit", "The spending limit is reached.", False, "Raise the limit, or wait until it starts anew."
    ),
    Cause.INVALID_NUMBER: Text(
        "Number cannot be called",
        "That number cannot be called by this trunk.",
        False,
        "Correct the number; check number_format of the trunk.",
    ),
    Cause.CALLER_ID_UNVERIFIED: Text(
        "Caller id not yours",
        "The caller id is not one of this trunk's numbers.",
        False,
        "Add it to caller_ids of the trunk, if it is yours, or leave from out.",
    ),
    Cause.FREQUENCY_CAP: Text(
        "Called too often", "This person was called too often already.", False, "Wait, or raise the limit per person."
    ),
    Cause.WORKER_LOST: Text(
        "Line lost, may have rung",
        "Our process that held the call died, so nobody can know what the person heard.",
        False,
        "The call is not repeated by itself: decide, then send it again. If it happens again, send us the call_id.",
    ),
    Cause.DISPATCH_TIMEOUT: Text(
        "Not dialled in time",
        "Our dialer was too slow to place the call safely, so it did not place it.",
        True,
        "Try again; if it stays, the machine is overloaded: tocsin doctor.",
    ),
    Cause.PLATFORM_SHUTDOWN: Text(
        "Ended by a restart", "The service was shut down while the call was up.", True, "Try again."
    ),
    Cause.SPEECH: Text(
        "No audio could be made",
        "There was nothing to play, so nobody was called.",
        False,
        "Read detail; mend the text, language, voice or media_url. tocsin doctor shows which engines work.",
    ),
    Cause.POISON: Text(
        "Set aside",
        "Preparing this call failed again and again, so it was set aside; nobody was called.",
        False,
        "Send us the call_id; the log has the reason.",
    ),
    Cause.LINE_ERROR: Text(
        "Line problem",
        "Our own telephone line failed before the call was set up.",
        True,
        "Try again; if it stays: tocsin doctor, and the log of the line process.",
    ),
}

STATUSES: dict[Status, Text] = {
    Status.QUEUED: Text("Waiting", "The call waits for its time, a free line and the trunk's pace.", False, "Wait."),
    Status.DIALING: Text("In call", "The call was sent to the trunk.", False, "Wait."),
    Status.RINGING: Text("In call", "The phone rings.", False, "Wait."),
    Status.ANSWERED: Text("In call", "Somebody answered and the message is being played.", False, "Wait."),
    Status.COMPLETED: Text(
        "Completed",
        "The call was answered and is over; hangup_cause and heard_pct say how it went.",
        False,
        "Look at heard_pct and digits before you count it as delivered.",
    ),
    Status.BUSY: Text("Busy", "The phone is busy.", True, "Try again in a few minutes."),
    Status.NO_ANSWER: Text("No answer", "Nobody answered; hangup_cause says why.", True, "Try again at another time."),
    Status.REJECTED: Text("Declined", "The person refused the call.", False, "Do not call again by itself."),
    Status.FAILED: Text(
        "Line problem",
        "The call could not be made; hangup_cause says why and fault whose side it is on.",
        True,
        "Explain the hangup_cause of the call.",
    ),
    Status.CANCELED: Text(
        "Not called: stopped", "The call was stopped before it was answered.", False, "Nothing to do."
    ),
    Status.BLOCKED: Text(
        "Not called: blocked",
        "A rule kept the call from being dialled; hangup_cause names it.",
        False,
        "Explain the hangup_cause.",
    ),
    Status.EXPIRED: Text(
        "Not called: window closed",
        "valid_until passed before the call could be dialled.",
        True,
        "Send it again with a later valid_until.",
    ),
}

# RFC 3261 section 21 and the IANA registry of SIP response codes.
# fmt: off
PHRASES: dict[int, str] = {
    300: "Multiple Choices", 301: "Moved Permanently", 302: "Moved Temporarily", 305: "Use Proxy",
    380: "Alternative Service", 400: "Bad Request", 401: "Unauthorized", 402: "Payment Required", 403: "Forbidden",
    404: "Not Found", 405: "Method Not Allowed", 406: "Not Acceptable", 407: "Proxy Authentication Required",
    408: "Request Timeout", 410: "Gone", 413: "Request Entity Too Large", 414: "Request-URI Too Long",
    415: "Unsupported Media Type", 416: "Unsupported URI Scheme", 420: "Bad Extension", 421: "Extension Required",
    423: "Interval Too Brief", 428: "Use Identity Header", 433: "Anonymity Disallowed", 436: "Bad Identity Info",
    437: "Unsupported Credential", 438: "Invalid Identity Header", 480: "Temporarily Unavailable",
    481: "Call/Transaction Does Not Exist", 482: "Loop Detected", 483: "Too Many Hops", 484: "Address Incomplete",
    485: "Ambiguous", 486: "Busy Here", 487: "Request Terminated", 488: "Not Acceptable Here",
    491: "Request Pending", 493: "Undecipherable", 494: "Security Agreement Required", 500: "Server Internal Error",
    501: "Not Implemented", 502: "Bad Gateway", 503: "Service Unavailable", 504: "Server Time-out",
    505: "Version Not Supported", 513: "Message Too Large", 580: "Precondition Failure", 600: "Busy Everywhere",
    603: "Decline", 604: "Does Not Exist Anywhere", 606: "Not Acceptable", 607: "Unwanted", 608: "Rejected",
}
# fmt: on

# What a code means beyond its cause.
NOTES: dict[int, str] = {
    401: "After our login, so the login is wrong; before it, it is only a question.",
    407: "After our login, so the login is wrong; before it, it is only a question.",
    408: "From our own side (origin local) it means that the trunk said nothing, and then nobody can know if it rang.",
    480: "Within a second and without ringing, or with Q.850 34, 42, 44 or 47, it means that the trunk has no channel.",
    487: "After our own cancel it is only the receipt.",
    500: "It often passes by itself.",
    502: "From our own side (origin local) it means that the trunk's name does not resolve.",
    503: "From our own side (origin local) it means that we could not send. Retry-After is obeyed.",
    513: "The INVITE is too big: fewer codecs and headers.",
}

PROGRESS: dict[int, tuple[str, str]] = {
    100: ("Trying", "The trunk has our call and works on it."),
    180: ("Ringing", "The phone rings."),
    181: ("Call Is Being Forwarded", "The call is being forwarded."),
    182: ("Queued", "The call waits in a queue of the other side."),
    183: (
        "Session Progress",
        "The network plays something before the answer: a tone or an announcement. Not an answer.",
    ),
    200: ("OK", "The call was answered."),
}
