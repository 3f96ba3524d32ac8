"""The mapped class, and the engine behind it."""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated

from fastapi import Depends
from sqlalchemy import BigInteger, DateTime, Double
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from .settings import settings

engine = create_async_engine(
    settings.sqlalchemy_url, pool_size=5, max_overflow=5, pool_pre_ping=True
)
new_session = async_sessionmaker(engine, expire_on_commit=False)


class Base(DeclarativeBase):
    """The registry of mapped classes."""


class Item(Base):
    """A row of `items`."""

    __tablename__ = "items"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    description: Mapped[str | None]
    price: Mapped[float] = mapped_column(Double)
    quantity: Mapped[int] = mapped_column(BigInteger)
    available: Mapped[bool]
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


async def session() -> AsyncIterator[AsyncSession]:
    """Open a session for one request; it takes a connection when it is first used."""
    async with new_session() as opened:
        yield opened


Session = Annotated[AsyncSession, Depends(session)]
