"""What is answered, as models."""

from datetime import datetime

from pydantic import BaseModel, ConfigDict


class Message(BaseModel):
    """A greeting."""

    message: str


class ItemOut(BaseModel):
    """An item, made of a mapped object."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    name: str
    description: str | None
    price: float
    quantity: int
    available: bool
    created_at: datetime


class ItemEnvelope(BaseModel):
    """An item, or none."""

    item: ItemOut | None


class Listing(BaseModel):
    """What a listing was asked for."""

    q: str | None = None


class Submission(BaseModel):
    """A receipt."""

    message: str = "Task submitted"
    task_id: str
