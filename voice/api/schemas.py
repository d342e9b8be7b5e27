"""What a request may contain: names, types, bounds and examples. Shape only; voice.sending judges what it means."""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WithJsonSchema,
    WrapValidator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from messaging.clock import parse_time, rfc3339
from sip.sandbox.faults import DELAY_MOST_MS, LOSS_MOST_PCT, SEED_MOST

TEXT_MAX = 1000  # characters; Speech.text_max may ask for fewer
URL_MAX = 2048
ENTRIES_MAX = 5000  # of `to`, repeats counted: each is looked at, and everybody else waits meanwhile
WAIT_MAX_S = 60  # the longest blocking answer we promise

EventType = Literal[
    "call.queued",
    "call.dialing",
    "call.ringing",
    "call.answered",
    "call.dtmf",
    "call.ended",
]


def _moment(value: object) -> datetime:
    if isinstance(value, datetime):
        return value
    if not isinstance(value, str):
        raise ValueError("should be a string with a date and a time")
    try:
        moment = parse_time(value)
        rfc3339(moment)
    except (ValueError, OverflowError) as e:
        raise ValueError("should be a time like 2026-10-24T22:54:05Z or 2026-10-24 22:54:05") from e
    return moment


def whole(value: object) -> object:
    """2.0 is an integer to JSON Schema, so it is one here."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _speakable(text: str) -> str:
    """Something that can be seen: a blank, a control or a zero-width character alone is no message."""
    if not any(c.isprintable() and not c.isspace() for c in text):
        raise ValueError("should not be blank")
    return text


def _numbers(value: object) -> object:
    if isinstance(value, list) and len(value) > ENTRIES_MAX:
        detail = f"holds {len(value)} entries; at most {ENTRIES_MAX} are read, of which 1000 unique numbers are called"
        raise PydanticCustomError("too_many", detail)
    if not isinstance(value, str | list):
        raise PydanticCustomError("to_type", "should be a string or an array of strings")
    return [value] if isinstance(value, str) else value


def said(words: str) -> WrapValidator:
    """What the pattern before it tells machines, for people: `words` begin with "should"."""

    def check(value: object, read: ValidatorFunctionWrapHandler) -> object:
        try:
            return read(value)
        except ValidationError as e:
            kinds = {complaint["type"] for complaint in e.errors(include_url=False, include_input=False)}
            if kinds != {"string_pattern_mismatch"}:
                raise
            raise PydanticCustomError("string_pattern_mismatch", words) from None

    return WrapValidator(check)


Whole = Annotated[int, BeforeValidator(whole)]
RingTimeout = Annotated[int, Field(ge=5, le=300), BeforeValidator(whole)]
MaxDuration = Annotated[int, Field(ge=5, le=3600), BeforeValidator(whole)]
Number = Annotated[
    str,
    StringConstraints(min_length=1, max_length=40),
    WithJsonSchema(
        {"type": "string", "format": "phone-number", "minLength": 1, "maxLength": 40, "examples": ["12025550100"]}
    ),
]
CallerId = Annotated[
    str,
    StringConstraints(min_length=1, max_length=40),
    WithJsonSchema({"type": "string", "format": "caller-id", "minLength": 1, "maxLength": 40}),
]
Moment = Annotated[
    datetime,
    BeforeValidator(_moment),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
Words = Annotated[
    str,
    StringConstraints(min_length=1, max_length=TEXT_MAX),
    AfterValidator(_speakable),
    WithJsonSchema({"type": "string", "format": "spoken-text", "minLength": 1, "maxLength": TEXT_MAX}),
]
Url = Annotated[
    str,
    StringConstraints(min_length=8, max_length=URL_MAX),
    WithJsonSchema({"type": "string", "format": "https-url", "minLength": 8, "maxLength": URL_MAX}),
]
_LANGUAGE = r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8}){0,3}$"  # BCP 47, as far as anybody speaks it
Language = Annotated[
    str,
    StringConstraints(pattern=_LANGUAGE),
    said("should be a language tag like en-gb"),
    WithJsonSchema({"type": "string", "format": "language-tag", "pattern": _LANGUAGE, "examples": ["en-gb"]}),
]
Voice = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9_.:+-]{1,60}$"),
    said("should be the name of a voice, or male or female"),
]
TrunkId = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9_.-]{1,64}$"),
    said("should be the id of a trunk: 1 to 64 letters, digits, and _ . -"),
]
Label = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Keys = Annotated[
    str, StringConstraints(pattern=r"^[0-9*#A-D]{1,16}$"), said("should be 1 to 16 keys of 0-9, *, # and A-D")
]
CallCursor = Annotated[
    str,
    StringConstraints(pattern="^call_[0-9A-HJKMNP-TV-Z]{26}$"),
    said("should be next_cursor of the page before, unchanged"),
]
RecipientCursor = Annotated[
    str, StringConstraints(pattern="^r[0-9]{1,8}$"), said("should be next_cursor of the page before, unchanged")
]
RefIdText = Annotated[
    str,
    StringConstraints(pattern="^(msg_)?[0-9a-z]{25}$"),
    said("should be a ref_id: 25 digits and small letters, with or without msg_ in front"),
]
CauseName = Annotated[str, StringConstraints(pattern="^[a-z_]{1,40}$"), said("should be a hangup_cause like user_busy")]
Seconds = Annotated[
    str, StringConstraints(pattern=r"^[0-9]{1,2}(\.[0-9]{1,3})?s?$"), said("should be seconds like 10 or 10s")
]


Press = Annotated[
    str,
    StringConstraints(pattern=r"^[0-9*#A-D]{1,16}(@[0-9]{1,3}(\.[0-9])?s)?$"),
    said("should be keys like 1, or keys at a moment like 1@3s"),
]


class Shape(BaseModel):
    """Strict types: "5" is not a number, 1 is not true."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)


class GatherIn(Shape):
    """Wait for keys after the message."""

    digits_max: Whole = Field(default=1, ge=1, le=20, description="The call ends after this many keys.")
    timeout_ms: Whole = Field(default=5000, ge=500, le=60000, description="Patience after the last word.")
    valid: Keys = Field(default="0123456789*#", description="Other keys are reported, but do not end the call.")


class SandboxIn(Shape):
    """What the catch-all phone does on this call (test keys only)."""

    answer_after: float | None = Field(default=None, ge=0, le=120, description="Seconds of ringing.")
    press: Press | None = Field(
        default=None, description="Keys after the prompt, or at a moment: `1@3s`.", examples=["1", "1@3s"]
    )
    hangup_after: float | None = Field(default=None, ge=0, le=600, description="Seconds after the answer.")


class OnlyGather(GatherIn):
    """The same where unknown members are refused."""

    model_config = ConfigDict(json_schema_extra={"additionalProperties": False})


class OnlySandbox(SandboxIn):
    """The same where unknown members are refused."""

    model_config = ConfigDict(json_schema_extra={"additionalProperties": False})


class Spoken(Shape):
    """What both doors have in common. Exactly one of `text` and `media_url`."""

    media_url: Url | None = Field(
        default=None,
        description="Audio to play; downloaded and converted before anything is dialled.",
        examples=["https://example.com/audio/Kalimba.mp3"],
    )
    text: Words | None = Field(
        default=None, description="What to say.", examples=["Your code is 4821. Press 1 to confirm."]
    )
    language: Language = Field(default="en-gb", description="BCP 47. A language that no engine speaks is refused.")
    voice: Voice | None = Field(
        default=None, description="A voice of the engine, or male/female; named in warnings when it cannot be honoured."
    )
    speed: float = Field(default=1.0, ge=0.5, le=2.0)
    ssml: bool = Field(default=False, description="The text is SSML: break, prosody rate, say-as, p, s.")
    from_: CallerId | None = Field(
        default=None, alias="from", description="A caller id of the account. Absent: one of them, at random."
    )
    repeat: Whole = Field(default=1, ge=1, le=10, description="How often the message is played.")
    pause_ms: Whole = Field(default=500, ge=0, le=10000, description="Silence before the first word.")
    ring_timeout: RingTimeout | None = Field(default=None, description="Seconds; default 45.")
    max_duration: MaxDuration | None = Field(default=None, description="Seconds from the answer; default 300.")
    gather: GatherIn | None = None
    send_at: Moment | None = Field(
        default=None, description="RFC 3339, at most 366 days from now. In the past: at once."
    )
    valid_until: Moment | None = Field(
        default=None,
        description="RFC 3339, after now and after send_at, at most 366 days from now. Still queued then: `expired`.",
    )
    client_reference: Label | None = Field(default=None, description="Yours; echoed everywhere.")
    callback_url: Url | None = Field(
        default=None,
        description="Where this request's events are posted; instead of the account's own address.",
        examples=["https://example.com/hooks/tocsin"],
    )
    callback_format: Literal["standard", "9bits"] = Field(
        default="standard", description="Standard Webhooks envelope, or the flat 9bits Call object."
    )
    callback_events: list[EventType] = Field(default=["call.ended"], min_length=1, max_length=20)
    callback_data: Annotated[str, StringConstraints(max_length=700)] | None = Field(
        default=None, description="Echoed in each callback."
    )
    dry_run: bool = Field(default=False, description="Judge and render, but store and dial nothing.")
    sandbox: SandboxIn | None = None
    record: bool = Field(default=False, description="Record both directions; you must be allowed to.")
    trunk_id: TrunkId | None = None
    lane: Literal["alert", "campaign"] | None = Field(
        default=None,
        description="A campaign lets every alert go first. Unless said, a request with over 20 numbers is a campaign.",
    )

    @model_validator(mode="after")
    def _one_content(self) -> "Spoken":
        if (self.text is None) == (self.media_url is None):
            both = self.text is not None
            raise ValueError("give text or media_url, not both" if both else "one of text and media_url is required")
        return self


_ONE_CONTENT: dict[str, Any] = {
    "oneOf": [
        {"required": ["text"], "properties": {"text": {"type": "string"}, "media_url": {"type": "null"}}},
        {"required": ["media_url"], "properties": {"media_url": {"type": "string"}, "text": {"type": "null"}}},
    ]
}


class SendVoiceIn(Spoken):
    """POST /v1/sendvoice: the 9bits request (`to`, `media_url`), everything else optional."""

    model_config = ConfigDict(json_schema_extra=_ONE_CONTENT)

    to: Annotated[
        list[str],  # of any length: one bad entry is for recipients_rejected and must not stop the others
        BeforeValidator(_numbers),
        WithJsonSchema(
            {
                "anyOf": [
                    {"type": "string", "format": "phone-number"},
                    {
                        "type": "array",
                        "minItems": 1,
                        "maxItems": 1000,
                        "items": {"type": "string", "format": "phone-number"},
                    },
                ],
                "description": "One number or up to 1000 unique ones, international: `+`, `00` or bare digits.",
                "examples": ["2348020000000", ["2348020000000", "2348030000000"]],
            }
        ),
    ] = Field(min_length=1)


class PlaceCallIn(Spoken):
    """POST /v1/calls: one programmable call."""

    model_config = ConfigDict(json_schema_extra={**_ONE_CONTENT, "additionalProperties": False})

    to: Number = Field(description="International: `+`, `00` or bare digits.", examples=["12025550100"])
    gather: OnlyGather | None = None
    sandbox: OnlySandbox | None = None


class PlaceCallForm(Shape):
    """POST /v1/calls as a form, for the description: PlaceCallIn's scalar members, `say` for `text`."""

    model_config = ConfigDict(json_schema_extra={"additionalProperties": False})

    to: Number
    say: Words = Field(description="What to say; `text` works, too.")
    language: Language = "en-gb"
    voice: Voice = "female"
    speed: float = Field(default=1.0, ge=0.5, le=2.0)
    from_: CallerId = Field(default="12025550199", alias="from")
    repeat: Whole = Field(default=1, ge=1, le=10)
    pause_ms: Whole = Field(default=500, ge=0, le=10000)
    ring_timeout: RingTimeout = 45
    max_duration: MaxDuration = 300
    gather: Annotated[str, WithJsonSchema({"const": '{"digits_max":1}', "description": "JSON of the object."})] = ""
    send_at: Moment = Field(default_factory=lambda: datetime.now(UTC))
    valid_until: Moment = Field(default_factory=lambda: datetime.now(UTC))
    client_reference: Label = ""
    callback_url: Url = ""
    callback_format: Literal["standard", "9bits"] = "standard"
    callback_events: Annotated[EventType, Field(description="Several with commas.")] = "call.ended"
    callback_data: Annotated[str, StringConstraints(max_length=700)] = ""
    ssml: bool = False
    record: bool = False
    dry_run: bool = False
    sandbox: Annotated[str, WithJsonSchema({"const": '{"press":"1"}', "description": "JSON of the object."})] = ""
    trunk_id: TrunkId = ""
    lane: Literal["alert", "campaign"] = "alert"


class TestCallIn(Shape):
    """POST /v1/admin/test-call: prove that a phone rings and hears us."""

    model_config = ConfigDict(json_schema_extra={"additionalProperties": False})

    to: Number = Field(examples=["12025550100"])
    text: Words = Field(default="This is a test call. You can hang up now.")
    language: Language = "en-gb"
    trunk_id: TrunkId | None = None


Share = Annotated[int, Field(ge=0, le=100), BeforeValidator(whole)]


class ChaosIn(Shape):
    """PUT /sandbox/v1/chaos: all of it; what is missing is 0. The four shares are at most 100 together."""

    model_config = ConfigDict(json_schema_extra={"additionalProperties": False})

    busy_pct: Share = Field(default=0, description="Of a hundred calls, so many are refused with 486.")
    trunk_503_pct: Share = Field(default=0, description="So many are refused with 503.")
    no_bye_pct: Share = Field(default=0, description="In so many the person hangs up after 1 s and the BYE is lost.")
    wrong_codec_pct: Share = Field(default=0, description="So many are answered with a codec that was not offered.")
    loss_pct: Whole = Field(default=0, ge=0, le=LOSS_MOST_PCT, description="Of the sound of each call, both ways.")
    delay_ms: Whole = Field(default=0, ge=0, le=DELAY_MOST_MS, description="Before anything but 100 Trying.")
    seed: Annotated[int, Field(ge=0, le=SEED_MOST), BeforeValidator(whole)] | None = Field(
        default=None, description="The same order of good and bad calls each time."
    )


class SimulateIn(Shape):
    """POST /v1/routes/simulate: the call that looks for its way."""

    model_config = ConfigDict(json_schema_extra={"additionalProperties": False})

    to: Number = Field(examples=["12025550100"])
    from_number: CallerId | None = Field(default=None, alias="from", description="Without it: your first caller id.")
    trunk_id: TrunkId | None = None
    n: Whole = Field(default=1, ge=1, le=1000, description="How many calls to draw, to see shares by weight.")
    call_id: Annotated[str, StringConstraints(pattern=r"^call_[0-9A-HJKMNP-TV-Z]{26}$")] | None = None


class PreviewIn(Shape):
    """POST /v1/tts/preview: what a person would hear."""

    model_config = ConfigDict(json_schema_extra={"additionalProperties": False})

    text: Words
    language: Language = "en-gb"
    voice: Voice | None = None
    speed: float = Field(default=1.0, ge=0.5, le=2.0)
    ssml: bool = False
