"""What goes in and comes out, as the contract declares it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict
from pydantic_core import PydanticCustomError

from .strictjson import is_portable, parts

DEEPEST_LEVEL = 100
RESERVED_MEMBERS = {"__type__", "__value__"}


class Message(BaseModel):
    """A plain message."""

    message: str


class Parameters(BaseModel):
    """The shared query parameters."""

    q: str | None


class Item(BaseModel):
    """A row. A column that is added to the table appears here too."""

    model_config = ConfigDict(extra="allow")

    id: int
    name: str
    description: str | None
    price: float
    quantity: int
    available: bool
    created_at: datetime


class ItemAnswer(BaseModel):
    """A row, or null."""

    item: Item | None


class Submitted(BaseModel):
    """The receipt of a task."""

    message: Literal["Task submitted"] = "Task submitted"
    task_id: str


class Problem(BaseModel):
    """Why a request failed, in a sentence."""

    detail: str


def check_data(data: dict[str, Any]) -> dict[str, Any]:
    """Refuse what does not survive the way through the queue."""
    for level, part in parts(data):
        if level > DEEPEST_LEVEL:
            raise PydanticCustomError("too_deep", "The object is nested too deeply")
        if not is_portable(part):
            raise PydanticCustomError("not_json", "The object has a value that JSON cannot carry")
        if isinstance(part, dict) and part.keys() >= RESERVED_MEMBERS:
            raise PydanticCustomError("reserved_members", "The object has reserved members")
    return data


TaskData = Annotated[dict[str, Any], AfterValidator(check_data)]
