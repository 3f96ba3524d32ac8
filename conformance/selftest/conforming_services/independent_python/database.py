"""The table `items`, read through one pool of Postgres sessions."""

from __future__ import annotations

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from .failures import DatabaseUnavailable
from .settings import DatabaseSettings

SMALLEST_ID, LARGEST_ID = -(2**31), 2**31 - 1

# Postgres makes the JSON itself: numbers and texts never pass through other types, and a column
# that is added later appears without a change of the code. `items.*` cannot be mistaken for a
# column, whatever columns there are.
READ_ITEM = "SELECT row_to_json(items.*)::text FROM items WHERE id = %s"


class ItemStore:
    """Reads rows. A session that breaks is replaced by the next read that needs one."""

    def __init__(self, settings: DatabaseSettings) -> None:
        self._engine = _make_engine(settings)

    async def open(self) -> None:
        """Make the first session, so that a missing database ends the start."""
        async with self._engine.connect() as connection:
            await connection.exec_driver_sql("SELECT 1")

    async def close(self) -> None:
        """End every session properly."""
        await self._engine.dispose()

    async def read(self, item_id: int) -> str | None:
        """Return the row as JSON text, or nothing if there is no such row."""
        if not SMALLEST_ID <= item_id <= LARGEST_ID:
            return None
        try:
            async with self._engine.connect() as connection:
                result = await connection.exec_driver_sql(READ_ITEM, (item_id,))
                return result.scalar_one_or_none()
        except (SQLAlchemyError, OSError) as error:
            raise DatabaseUnavailable from error


def _make_engine(settings: DatabaseSettings) -> AsyncEngine:
    """Make the pool. It connects in the read that needs a session, and so fails at once."""
    return create_async_engine(
        _driver_url(settings.url),
        isolation_level="AUTOCOMMIT",  # no transaction outlives its read
        pool_size=settings.pool_size,
        max_overflow=0,
        pool_timeout=settings.wait_seconds,
        pool_pre_ping=True,
        pool_use_lifo=True,
        hide_parameters=True,
        use_native_hstore=False,
        connect_args={
            "application_name": "service",
            "connect_timeout": settings.connect_seconds,
            "prepare_threshold": None,  # a prepared query would not survive a changed table
            "keepalives_idle": 30,
            "client_encoding": "utf8",
            "options": _session_options(settings),
        },
    )


def _session_options(settings: DatabaseSettings) -> str:
    """Say what the JSON depends on, whatever the defaults of the role and the database are."""
    options = {
        "timezone": "UTC",
        "extra_float_digits": "1",
        "statement_timeout": f"{settings.statement_seconds}s",
    }
    return " ".join(f"-c {name}={value}" for name, value in options.items())


def _driver_url(url: str) -> URL:
    return make_url(url).set(drivername="postgresql+psycopg")
