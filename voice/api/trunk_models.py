"""The bodies of /v1/trunks, for the description: shape only. sip.trunk_object reads them and knows every rule."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from voice.api.replies import PageOut


class _Part(BaseModel):
    """A part of a trunk. null counts as left out."""

    model_config = ConfigDict(extra="forbid")


Priority = Annotated[int, Field(ge=0, le=1000)]
Amount = Annotated[str, Field(description="Decimal.", examples=["0.0125"])]
Answer = Annotated[int | str, Field(description="A SIP answer or a cause, as in `tocsin explain`.")]


class Uri(_Part):
    host: str | None = Field(None, description="A name or an address.", examples=["sip.example.net"])
    port: Annotated[int, Field(ge=1, le=65535)] | None = Field(None, description="5060; with tls 5061.")
    transport: Literal["udp", "tcp", "tls"] | None = None
    priority: Priority | None = None
    weight: Priority | None = None
    enabled: bool | None = None


class Retry(_Part):
    base_s: Annotated[float, Field(ge=1, le=3600)] | None = None
    max_s: Annotated[float, Field(ge=1, le=86_400)] | None = None


class Register(_Part):
    registrar: str | None = None
    expires: Annotated[int, Field(ge=30, le=86_400)] | None = None
    contact: str | None = None
    retry: Retry | None = None
    forbidden: Literal["stop", "retry"] | None = None


class Auth(_Part):
    username: str | None = None
    realm: str | None = Field(None, description="What the challenge says; never `*`.")
    password: str | None = Field(None, description="Write-only. Left out: the stored one stays.", min_length=1)
    password_set: Any = Field(None, description="In answers: there is one.")


class Inbound(_Part):
    acl: list[str] | None = Field(None, description="Networks (CIDR) whose calls are taken; empty: none.")
    port: Annotated[int, Field(ge=1, le=65535)] | None = Field(None, description="Where we listen for them.")
    say: str | None = Field(None, description="What a caller hears for whom no message waits; empty: it is refused.")
    auth: str | None = None


class Tls(_Part):
    verify: bool | None = None
    ca: str | None = Field(None, description="File on the server.")
    client_cert: str | None = Field(None, description="File on the server.")


class OptionsPing(_Part):
    interval_s: Annotated[float, Field(ge=1, le=3600)] | None = None
    fail_after: Annotated[int, Field(ge=1, le=100)] | None = None
    recover_after: Annotated[int, Field(ge=1, le=100)] | None = None
    ok_codes: list[Annotated[int, Field(ge=200, le=699)]] | None = None


class Limits(_Part):
    channels: Annotated[int, Field(ge=1, le=100_000)] | None = Field(None, description="Calls at the same time.")
    cps: Annotated[float, Field(ge=0.01, le=1000)] | None = Field(None, description="New calls a second.")
    alert_channels: Annotated[int, Field(ge=0, le=100_000)] | None = Field(
        None, description="Of these channels, kept free of campaigns; a tenth unless said."
    )
    daily_amount: Amount | int | None = None
    max_rate: Amount | int | None = None


class CallerId(_Part):
    policy: Literal["fixed", "pool", "pass"] | None = None
    numbers: list[str] | None = None
    header: Literal["from", "pai", "rpid"] | None = None
    privacy: bool | None = None


class NumberFormat(_Part):
    out: Literal["+e164", "e164", "00", "national", "custom"] | None = None
    country: str | None = None
    strip: str | None = None
    prefix: str | None = None


class Failover(_Part):
    on: list[Answer] | None = None
    never_on: list[Answer] | None = None
    max_hops: Annotated[int, Field(ge=0, le=10)] | None = None
    total_budget_ms: Annotated[int, Field(ge=100, le=300_000)] | None = None


class Timers(_Part):
    t1: Annotated[int, Field(ge=50, le=5000)] | None = None
    b: Annotated[int, Field(ge=1000, le=64_000)] | None = None
    session_expires: Annotated[int, Field(ge=90, le=86_400)] | None = None


class Rtp(_Part):
    timeout_s: Annotated[float, Field(ge=1, le=3600)] | None = None
    required: bool | None = None
    port_base: Annotated[int, Field(ge=0, le=65_000)] | None = None
    ports: list[int] | None = Field(None, description="First and last port; empty: any.")
    symmetric: bool | None = None
    from_: list[str] | None = Field(
        None,
        alias="from",
        description="Networks (CIDR) that their sound may come from, beside what SDP and signalling name.",
    )


class Stir(_Part):
    mode: str | None = None
    cert_ref: str | None = None


class Opening(_Part):
    days: list[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]] | None = None
    from_: str | None = Field(None, alias="from", examples=["08:00"])
    to: str | None = Field(None, examples=["20:00"])
    timezone: str | None = Field(None, examples=["Africa/Lagos"])


class _Members(_Part):
    """Everything that a trunk may say in the full form."""

    name: str | None = None
    type: Literal["static", "register", "peer"] | None = None
    registration: Literal["none", "one", "every_line"] | None = None
    enabled: bool | None = None
    sandbox: bool | None = None
    priority: Priority | None = None
    weight: Priority | None = None
    uris: list[Uri] | None = None
    outbound_proxy: str | None = None
    register_: Register | None = Field(None, alias="register")
    auth: Auth | None = None
    inbound: Inbound | None = None
    tls: Tls | None = None
    srtp: Literal["off", "optional", "required"] | None = None
    codecs: list[Literal["PCMA", "PCMU", "G722"]] | None = None
    dtmf: Literal["rfc4733", "info", "inband"] | None = None
    ptime: Annotated[int, Field(ge=1, le=1000)] | None = None
    options_ping: OptionsPing | None = None
    limits: Limits | None = None
    caller_id: CallerId | None = None
    number_format: NumberFormat | None = None
    failover: Failover | None = None
    headers: dict[str, str | None] | None = None
    timers: Timers | None = None
    rtp: Rtp | None = None
    stir: Stir | None = None
    schedule: list[Opening] | None = None
    prefixes: list[str] | None = None
    price: Amount | int | None = None
    bind_address: str | None = None
    public_address: str | None = None
    tags: list[str] | None = None


class TrunkPatch(_Members):
    """What changes; null takes a member away (RFC 7396)."""

    host: str | None = Field(None, description="Short for `uris` with one entry, as are port and transport.")
    port: Annotated[int, Field(ge=1, le=65535)] | None = None
    transport: Literal["udp", "tcp", "tls"] | None = None
    username: str | None = Field(None, description="Short for `auth`, as are realm and password.")
    realm: str | None = None
    password: str | None = Field(None, min_length=1)
    caller_ids: list[str] | None = Field(None, description="Short for `caller_id.numbers`.")
    channels: Annotated[int, Field(ge=1, le=100_000)] | None = Field(None, description="Short for `limits.channels`.")
    cps: Annotated[float, Field(ge=0.01, le=1000)] | None = Field(None, description="Short for `limits.cps`.")
    session_expires_s: Annotated[int, Field(ge=90, le=86_400)] | None = None
    # What only answers carry: whoever sends back what he read is not scolded for it.
    managed_by: Any = None
    source: Any = None
    state: Any = None
    takes_calls: Any = None
    problem: Any = None
    changed_at: Any = None
    registers: Any = None


class TrunkIn(TrunkPatch):
    """A trunk: the same words as a table of the trunk file."""

    id: str = Field(pattern="^[a-z0-9][a-z0-9-]{0,31}$", examples=["lagos-1"])


class TrunkFileIn(_Part):
    """A whole trunk file."""

    trunks: list[TrunkIn]
    source: str = Field("trunks.toml", min_length=1, max_length=100, description="The name of the file.")
    dry_run: bool = Field(False, description="Only tell what would change.")


class TrunkOut(_Members):
    """Every member, defaults too. Secrets never stand in it: `auth.password_set` says that there is one."""

    model_config = ConfigDict(extra="allow")

    id: str
    managed_by: Literal["file", "api", "service"]
    source: str | None = Field(description="The trunk file that keeps it.")
    state: Literal["enabled", "disabled", "draining"]
    takes_calls: bool = Field(description="Enabled here and in its own words, and without a problem.")
    problem: str | None = Field(description="Why it cannot be used.")
    changed_at: str | None
    registers: bool | None = Field(description="Shall it register? null: it does not.")


class TrunksOut(BaseModel):
    data: list[TrunkOut]
    page: PageOut
    next_cursor: str | None


class RegistrationOut(BaseModel):
    state: Literal["registered", "registering", "auth_rejected", "unreachable", "stopped", "n/a"]
    held_by: str | None = Field(description="The dialer that has it for all of them; null: nobody, or every line.")
    last_code: int | None = Field(description="Of the registrar's last answer.")
    last_reason: str | None
    expires_at: str | None
    failures: int = Field(description="In a row.")
    next_action_at: str | None = Field(description="The next REGISTER; null: none comes by itself.")


class TargetOut(BaseModel):
    target: str = Field(examples=["192.0.2.7:5060;udp"])
    up: bool
    code: int | None
    rtt_ms: int | None
    misses: int
    why: str | None = Field(default=None, description="Of the latest ping, when nothing came back.")


class PingsOut(BaseModel):
    up: bool | None = Field(description="null: it is not pinged.")
    rtt_ms: int | None
    per_target: list[TargetOut]


class UsedOut(BaseModel):
    used: int
    limit: float


class TrunkStatusOut(BaseModel):
    """How a trunk stands, for all dialers together."""

    model_config = ConfigDict(extra="allow")  # and the scores

    trunk_id: str
    state: Literal["up", "degraded", "down", "draining", "disabled"]
    since: str | None = Field(description="null: for so short a time that nobody was told.")
    why: str | None
    registration: RegistrationOut
    options: PingsOut
    channels: UsedOut
    cps: UsedOut
    asr: float | None = Field(description="Of the last 24 hours, as all that follows.")
    ner: float | None
    pdd_ms: float | None
    acd_s: float | None
    mos: float | None
    prefixes: dict[str, Any]


class DifferenceOut(BaseModel):
    path: str = Field(examples=["limits.channels"])
    before: Any
    after: Any


class ChangeOut(BaseModel):
    id: str
    does: Literal["create", "update", "remove"]
    differences: list[DifferenceOut]


class PlanOut(BaseModel):
    """What a trunk file changes, or would change."""

    changes: list[ChangeOut]
    unchanged: int
    warnings: list[str]
    applied: bool
