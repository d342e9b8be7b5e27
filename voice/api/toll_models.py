"""The bodies of the toll-fraud guard's routes."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from voice.api.schemas import Shape
from voice.destinations import ENTRIES_MOST

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
