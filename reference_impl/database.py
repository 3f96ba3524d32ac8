"""The database: one pool for the whole life of the process, one bound query."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

ID_MIN, ID_MAX = -(2**31), 2**31 - 1  # items.id is a Postgres integer


class Items:
    """The table `items`, read through a pool."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def find(self, item_id: int) -> dict[str, Any] | None:
        """Return the row with this id, or None; an integer that no id can be has no row."""
        if not ID_MIN <= item_id <= ID_MAX:
            return None
        row = await self._pool.fetchrow("SELECT * FROM items WHERE id = $1", item_id)
        return dict(row) if row is not None else None


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Items]:
    """Hold a pool that is connected on entry and has said goodbye to every session on exit."""
    async with asyncpg.create_pool(url, min_size=2, max_size=10) as pool:
        yield Items(pool)
