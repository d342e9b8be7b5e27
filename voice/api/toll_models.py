"""The bodies of the toll-fraud guard's routes."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from voice.api.schemas import Shape, whole
from voice.destinations import ENTRIES_MOST

COUNT_MOST = 1_000_000_000  # of anything in a day; more is a slip of the pen
KEYS_MOST = 1000  # with limits of their own
ROWS_MOST = 2000  # of a price list in one request: so many fit into the body that we read; a file may have more

Entry = Annotated[
    str,
    StringConstraints(min_length=1, max_length=20),
    Field(description="A country (two letters) or a prefix (international digits).", examples=["gb", "4420"]),
]


class PermissionsIn(Shape):
    """PUT /v1/dial-permissions: the whole list."""

    model_config = ConfigDict(json_schema_extra={"additionalProperties": False})

    allow: list[Entry] = Field(max_length=ENTRIES_MOST)


class PermissionsOut(BaseModel):
    """Where live calls of this account may go."""

    allow: list[str] = Field(description="Countries and prefixes beside the home countries.")
    source: Literal["account", "settings"] = Field(description="Whose list: its own, or the one of the setting.")
    home: list[str] = Field(description="The countries of your caller ids: allowed without asking.")
    applies: bool = Field(description="false for a test key: its calls stay on the catch-all phone.")


Money = Annotated[
    str,
    StringConstraints(pattern=r"^[0-9]{1,9}(\.[0-9]{1,6})?$"),
    Field(description="Decimal, in the currency of the price list.", examples=["25.00"]),
]
Count = Annotated[int, Field(ge=0, le=COUNT_MOST), BeforeValidator(whole)]


class CapsIn(Shape):
    """null or left out: what the next wider rule says (key, account, settings)."""

    model_config = ConfigDict(json_schema_extra={"additionalProperties": False})

    calls_per_day: Count | None = Field(default=None, description="Accepted calls.")
    minutes_per_day: Count | None = Field(default=None, description="Billed; calls in flight count at their longest.")
    amount_per_day: Money | None = None
    calls_per_second: Annotated[int, Field(ge=1, le=10_000), BeforeValidator(whole)] | None = Field(
        default=None, description="Accepted in any second; more is refused, not queued."
    )
    open_calls: Count | None = Field(default=None, description="Accepted and not ended.")
    calls_per_number_per_hour: Annotated[int, Field(ge=0, le=1000), BeforeValidator(whole)] | None = Field(
        default=None, description="To one number, all keys of the account together."
    )
    max_duration_s: Annotated[int, Field(ge=1, le=7200), BeforeValidator(whole)] | None = Field(
        default=None, description="Of the answered call."
    )


class LimitsIn(CapsIn):
    """PUT /v1/limits: limits of every key of the account, and of some keys besides. The whole of it."""

    keys: dict[str, Any] = Field(
        default_factory=dict,
        max_length=KEYS_MOST,
        description="By key id: the same members, for that key.",
        json_schema_extra={
            "additionalProperties": {"$ref": "#/components/schemas/CapsIn"},
            "propertyNames": {"pattern": "^key_[0-9A-Za-z_]{1,60}$"},
        },
    )


class UsedOut(BaseModel):
    day: str = Field(examples=["20261124"])
    calls: int
    minutes: float = Field(description="Of ended calls, billed.")
    minutes_held: float = Field(description="Calls in flight, at their longest.")
    amount: str
    amount_held: str
    open_calls: int


class KeyLimitsOut(BaseModel):
    """What holds for the key that asks or is named, and what it has taken today."""

    key_id: str
    limits: dict[str, Any] = Field(description="All rules together: key, account, settings.")
    used: UsedOut
    suspended: str | None = Field(description="The limit that it would have passed.")


class LimitsOut(BaseModel):
    account: dict[str, Any] = Field(description="As PUT, without `keys`.")
    keys: dict[str, dict[str, Any]] = Field(description="As PUT.")
    this_key: KeyLimitsOut
    suspended: dict[str, str] = Field(description="Suspended keys of the account, and the limit of each.")
    currency: str | None


class ResumedOut(BaseModel):
    key_id: str
    resumed: bool = Field(description="false: it was not suspended.")


Price = Annotated[
    str,
    StringConstraints(pattern=r"^(10000(\.0{1,6})?|[0-9]{1,4}(\.[0-9]{1,6})?)$"),
    Field(description="Decimal, at most 10000, in the currency of the list.", examples=["0.085"]),
]
_SECONDS = "([1-9][0-9]{0,2}|[12][0-9]{3}|3[0-5][0-9]{2}|3600)"


class RateIn(Shape):
    """One row of a price list."""

    model_config = ConfigDict(extra="forbid")  # unknown members are noticed by name, but not inside of lists

    prefix: Annotated[str, StringConstraints(pattern=r"^[1-9][0-9]{0,14}$")]
    per_minute: Price
    increment: Annotated[str, StringConstraints(pattern=f"^{_SECONDS}/{_SECONDS}$")] = Field(
        default="1/1",
        description="Seconds billed at least, and the step from there; each 1 to 3600.",
        examples=["60/60"],
    )
    connect_fee: Price = "0"


class RatesIn(Shape):
    """PUT /v1/rates: the whole list. A longer one comes from a file: `TOCSIN_DIAL__RATES`."""

    model_config = ConfigDict(json_schema_extra={"additionalProperties": False})

    currency: Annotated[str, StringConstraints(pattern="^[A-Z]{3}$")]
    data: list[RateIn] = Field(max_length=ROWS_MOST)


class RatesOut(BaseModel):
    currency: str | None
    source: Literal["account", "settings"]
    data: list[dict[str, str]]
