"""A send request is judged: numbers read, limits held, times settled. Out comes an Order, or Invalid."""

import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from config.settings import Settings
from media.prompt import Prompt
from media.reading import clean
from media.speech import SpeechError
from media.ssml import parse
from messaging.errors import FieldError, Invalid, NoTrunk
from messaging.numbers import NumberError, normalise, require_real
from messaging.strict_json import shown
from voice.caps import Caps, DurationCap, UnpricedNumber
from voice.destinations import Destinations
from voice.messages import Callback, Script
from voice.tariffs import Rates

RECIPIENTS_MAX = 1000  # unique numbers, as 9bits says
ALERT_MOST = 20  # recipients: a longer message is a campaign, unless it says what it is
AHEAD_MAX = timedelta(days=366)  # a year, also a leap year: what waits is stored so long, and a later date is a slip

TRUNKS_NAMED = 20  # in one answer: enough to see a slip of the pen

_THE_NUMBER = "The number "  # how messaging.numbers begins when it speaks of the one it was given

# member -> pointer, lowest, highest; units as in the member's name
_LIMITS: tuple[tuple[str, str, float, float], ...] = (
    ("pause_ms", "#/pause_ms", 0, 10_000),
    ("repeat", "#/repeat", 1, 10),
    ("ring_timeout_s", "#/ring_timeout", 1, 300),
    ("max_duration_s", "#/max_duration", 1, 7200),
)


@dataclass(frozen=True, slots=True)
class LiveTrunk:
    """What a request has to know of a trunk. `caller_ids`: those it may show; empty: it does not restrict them."""

    enabled: bool = True
    caller_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Sender:
    """Who asks, as far as sending needs to know: made from the API key."""

    owner: str  # account and mode, e.g. "main.test"
    sandbox: bool
    caller_ids: tuple[str, ...]
    region: str | None  # for bare national numbers; None: international only
    callback: Callback | None = None  # the account's own (9bits: Settings -> Webhook)
    live_trunks: Mapping[str, LiveTrunk] = field(default_factory=dict)  # where live calls may leave, by id
    destinations: Destinations = Destinations()  # where live calls may go
    key_id: str = ""  # "": nobody counts what is taken
    caps: Caps = Caps()
    rates: Rates = Rates()
    is_suspended: bool = False


@dataclass(frozen=True, slots=True)
class Request:
    """A send request, read and typed but not yet judged. Exactly one of text and media_url."""

    to: tuple[str, ...]
    text: str | None = None
    media_url: str | None = None
    language: str = "en-gb"
    voice: str | None = None
    speed: float = 1.0
    ssml: bool = False
    from_number: str | None = None
    script: Script = Script()
    send_at: datetime | None = None
    valid_until: datetime | None = None
    client_reference: str | None = None
    callback: Callback | None = None
    callback_data: str | None = None
    trunk_id: str | None = None
    source: str = "sendvoice"
    warnings: tuple[str, ...] = ()
    dry_run: bool = False  # render and predict; store and dial nothing
    campaign: bool | None = None  # lets every alert go first; None: by the number of recipients


@dataclass(frozen=True, slots=True)
class Refusal:
    """A number we will not call, and why: the code is of the class of number. `to` is shortened for showing."""

    to: str
    index: int
    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class Order:
    """A request that may be accepted. Numbers are unique international digits in the order they were asked."""

    numbers: tuple[str, ...]
    refused: tuple[Refusal, ...]
    from_number: str
    prompt: Prompt
    due_at: datetime
    valid_until: datetime
    trunk_id: str | None
    callbacks: tuple[Callback, ...]
    warnings: tuple[str, ...]
    campaign: bool = False


def judge(sender: Sender, request: Request, settings: Settings, now: datetime, rng: random.Random) -> Order:
    """Raises NoTrunk when no call of this sender could ever leave, else Invalid with every wrong field at once."""
    if not sender.sandbox:
        _require_trunk(sender.live_trunks)
    numbers, refused = _recipients(sender, request)
    latest = now + AHEAD_MAX
    due_at = min(max(now, request.send_at or now), latest)  # bounded before it is added to: a datetime ends at 9999
    valid_until = request.valid_until or due_at + timedelta(hours=settings.dialer.valid_hours)
    wrong = [
        *_wrong_recipients(request, numbers, refused),
        *_wrong_content(request, settings.speech.text_max),
        *_wrong_script(sender, request),
        *_wrong_trunk(sender, request),
        *_wrong_caller(sender, request),
        *_wrong_times(request, due_at, valid_until, latest),
    ]
    if wrong:
        raise Invalid(wrong[0].detail, errors=tuple(wrong))
    trunk_id, warnings = _trunk(sender, request)
    callback = request.callback or sender.callback
    return Order(
        numbers=numbers,
        refused=refused,
        from_number=(request.from_number and digits(request.from_number)) or rng.choice(_caller_ids(sender, request)),
        prompt=_prompt(request),
        due_at=due_at,
        valid_until=valid_until,
        trunk_id=trunk_id,
        callbacks=(callback,) if callback else (),
        warnings=(*request.warnings, *warnings),
        campaign=len(numbers) > ALERT_MOST if request.campaign is None else request.campaign,
    )


def within_caps(sender: Sender, request: Request, default_s: int) -> Request:
    """With a call no longer than the key may let one last. Raises DurationCap when it was asked for in so many words.

    `default_s`: the time that a request has that says nothing.
    """
    most, asked = sender.caps.max_duration_s, request.script.max_duration_s
    if most is None or asked <= most:
        return request
    if asked != default_s:
        raise DurationCap(f"max_duration is {asked} s; this key may let a call last {most} s.")
    return replace(request, script=replace(request.script, max_duration_s=most))


def digits(number: str) -> str:
    """A caller id as people write it, bare: no plus, no leading 00, no spacing."""
    bare = "".join(sign for sign in number if sign.isascii() and sign.isdigit())
    return bare[2:] if bare.startswith("00") else bare


def _recipients(sender: Sender, request: Request) -> tuple[tuple[str, ...], tuple[Refusal, ...]]:
    numbers: dict[str, None] = {}
    refused: list[Refusal] = []
    seen: set[str] = set()
    for index, text in enumerate(request.to):
        if len(numbers) > RECIPIENTS_MAX:
            break  # refused as a whole: nobody need read the rest
        if text in seen:
            continue
        seen.add(text)
        try:
            number = normalise(text, sender.region, home=() if sender.sandbox else sender.destinations.home_codes)
            if not sender.sandbox:
                require_real(number)
                _require_allowed(number, sender.destinations)
            _require_rate(number, sender)
        except NumberError as no:
            refused.append(Refusal(shown(text), index, no.code, no.detail))
        else:
            numbers[number] = None
    return tuple(numbers), tuple(refused)


def _require_allowed(number: str, destinations: Destinations) -> None:
    if refusal := destinations.refusal(number):
        raise refusal


def _require_rate(number: str, sender: Sender) -> None:
    if sender.caps.amount_per_day is not None and sender.rates.tariff(number) is None:
        raise UnpricedNumber


def _wrong_recipients(request: Request, numbers: tuple[str, ...], refused: tuple[Refusal, ...]) -> list[FieldError]:
    if not request.to:
        return [FieldError("#/to", "required", "to: at least one number is required.")]
    if len(numbers) > RECIPIENTS_MAX:
        detail = f"to holds more than {RECIPIENTS_MAX} unique numbers, which is the most that go in one request."
        return [FieldError("#/to", "too_many", detail)]
    if numbers:
        return []
    return [wrong_number(no) for no in refused]


def wrong_number(no: Refusal) -> FieldError:
    """With a sentence that says which number: many clients show this and nothing else."""
    which = f"to[{no.index}] '{no.to}'"
    detail = f"{which}: {no.detail}"
    if no.detail.startswith(_THE_NUMBER):
        detail = f"{which} {no.detail.removeprefix(_THE_NUMBER)}"
    return FieldError(f"#/to/{no.index}", no.code.lower(), detail)


def _wrong_content(request: Request, text_max: int) -> list[FieldError]:
    if (request.text is None) == (request.media_url is None):
        given = "both were given" if request.text is not None else "neither was given"
        return [FieldError("#/text", "one_of", f"Give exactly one of text and media_url; {given}.")]
    if request.text is None:
        return []
    if not request.text.strip():
        return [FieldError("#/text", "required", "text is blank.")]
    if len(request.text) > text_max:
        detail = f"text has {len(request.text)} characters; at most {text_max} are spoken in one call."
        return [FieldError("#/text", "too_long", detail)]
    try:
        if request.ssml:
            parse(request.text, True, request.language.lower())
        else:
            clean(request.text, text_max)
    except SpeechError as no:
        return [FieldError("#/text", "unspeakable", f"text: {no}.")]
    return []


def _wrong_script(sender: Sender, request: Request) -> list[FieldError]:
    wrong = [
        FieldError(pointer, "out_of_range", f"{pointer[2:]} must be from {low:g} to {high:g}.")
        for member, pointer, low, high in _LIMITS
        if not low <= getattr(request.script, member) <= high
    ]
    if not 0.5 <= request.speed <= 2.0:
        wrong.append(FieldError("#/speed", "out_of_range", "speed must be from 0.5 to 2."))
    if request.script.sandbox and not sender.sandbox:
        wrong.append(FieldError("#/sandbox", "not_allowed", "sandbox works with test keys only."))
    return wrong


def _wrong_caller(sender: Sender, request: Request) -> list[FieldError]:
    if not sender.caller_ids:
        return [FieldError("#/from", "no_caller_id", "This account has no caller id; set account.caller_ids.")]
    if request.from_number is None:
        return []
    if digits(request.from_number) not in sender.caller_ids:
        return [FieldError("#/from", "not_yours", f"{request.from_number} is not a caller id of this account.")]
    if digits(request.from_number) not in _caller_ids(sender, request):
        detail = f"{request.from_number} is not a caller id of the trunk '{shown(request.trunk_id or '')}'."
        return [FieldError("#/from", "not_of_trunk", detail)]
    return []


def _caller_ids(sender: Sender, request: Request) -> tuple[str, ...]:
    """Those that may be shown; when the request names a trunk, those that it may show."""
    trunk = None if sender.sandbox else sender.live_trunks.get(request.trunk_id or "")
    if trunk is None or not trunk.caller_ids:
        return sender.caller_ids
    return tuple(number for number in sender.caller_ids if number in trunk.caller_ids) or sender.caller_ids


def _wrong_times(request: Request, due_at: datetime, valid_until: datetime, latest: datetime) -> list[FieldError]:
    asked = (("send_at", request.send_at), ("valid_until", request.valid_until))
    wrong = [
        FieldError(f"#/{name}", "too_late", f"{name} may be at most {AHEAD_MAX.days} days from now.")
        for name, at in asked
        if at is not None and at > latest
    ]
    if not wrong and valid_until <= due_at:
        wrong.append(FieldError("#/valid_until", "too_early", "valid_until must be later than now and than send_at."))
    return wrong


def _require_trunk(live_trunks: Mapping[str, LiveTrunk]) -> None:
    if any(trunk.enabled for trunk in live_trunks.values()):
        return
    if live_trunks:
        raise NoTrunk(
            f"No live call can leave, because each trunk is switched off: {_named(live_trunks)}.",
            hint="POST /v1/trunks/{id}/enable, or enabled = true where the trunk is kept.",
        )
    raise NoTrunk


def _wrong_trunk(sender: Sender, request: Request) -> list[FieldError]:
    """Nothing would ever take such a call, and it would wait until it expires."""
    if sender.sandbox or request.trunk_id is None:
        return []
    trunk, asked = sender.live_trunks.get(request.trunk_id), shown(request.trunk_id)
    if trunk is not None and trunk.enabled:
        return []
    if trunk is not None:
        return [FieldError("#/trunk_id", "trunk_disabled", f"trunk_id: the trunk '{asked}' is disabled.")]
    there = _named([name for name, trunk in sender.live_trunks.items() if trunk.enabled])
    detail = f"trunk_id: live calls have no trunk '{asked}'; there are: {there}."
    return [FieldError("#/trunk_id", "unknown_trunk", detail)]


def _named(trunks: Iterable[str]) -> str:
    names = list(trunks)
    return ", ".join(names[:TRUNKS_NAMED]) + (", …" if len(names) > TRUNKS_NAMED else "")


def _trunk(sender: Sender, request: Request) -> tuple[str | None, tuple[str, ...]]:
    if sender.sandbox and request.trunk_id:
        return None, ("trunk_id was ignored: test keys reach the sandbox only.",)
    return request.trunk_id, ()


def _prompt(request: Request) -> Prompt:
    if request.media_url is not None:
        return Prompt(media_url=request.media_url)
    return Prompt(
        text=request.text, language=request.language, voice=request.voice, speed=request.speed, ssml=request.ssml
    )
