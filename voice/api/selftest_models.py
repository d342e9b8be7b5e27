"""The bodies of a trunk's self-test, for the description and for reading them."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from voice.api.schemas import CallerId, Number, Shape

StepWord = Literal["dns", "connect", "tls", "options", "register", "invite", "rtp", "dtmf", "bye"]


class SelfTestIn(Shape):
    """POST /v1/trunks/{trunk_id}/test. Without `to` a live trunk rings nobody, the sandbox its catch-all phone."""

    model_config = ConfigDict(json_schema_extra={"additionalProperties": False})

    to: Number | None = Field(default=None, examples=["12025550100"])
    from_number: CallerId | None = Field(default=None, alias="from", description="One of the trunk's caller ids.")


class StepOut(BaseModel):
    step: StepWord
    verdict: Literal["ok", "warning", "failed", "skipped"]
    ms: int | None
    what: str = Field(description="What was seen.", examples=["The certificate has expired."])
    fix: str | None = Field(description="What to do about it.")


class SelfTestOut(BaseModel):
    """A self-test; its steps come one after the other while it runs."""

    test_id: str
    trunk_id: str
    state: Literal["waiting", "running", "finished"]
    verdict: Literal["ok", "warning", "failed"] | None = Field(description="null until it is finished.")
    failed_step: StepWord | None = Field(description="The first that failed; those after it were not reached.")
    summary: str
    fix: str | None = Field(description="That of the step that failed.")
    to: str | None
    from_: str | None = Field(alias="from")
    asked_at: str
    ended_at: str | None
    steps: list[StepOut]
