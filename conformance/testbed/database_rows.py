"""Rows of the table `items` that the suite makes, changes and looks at."""

import secrets
from datetime import UTC, datetime
from typing import Any

from conformance.core.evidence import Journal
from conformance.core.observations import RowCheck, TableSnapshot
from conformance.spec.model import format_value
from conformance.testbed.postgres_admin import as_broken_testbed
from conformance.testbed.postgres_session import PostgresSession

WORK = "change or read the table"
FIRST_IDS = range(1_000_000_000, 1_900_000_000)  # where the ids of a run begin
CREATED_AT = datetime(2026, 7, 1, 12, 30, 15, 250_000, tzinfo=UTC)


class DatabaseRows:
    """The suite's own rows. Every method raises BrokenTestbed if the server fails."""

    def __init__(self, session: PostgresSession, journal: Journal) -> None:
        self._session = session
        self._journal = journal
        self._last_id = secrets.choice(FIRST_IDS)
        self._inserted: set[int] = set()

    def pick_unused_id(self, apart: int = 1) -> int:
        """An id that has no row, this far from the one picked before."""
        self._last_id += apart
        return self._last_id

    async def insert(self, **values: Any) -> dict[str, Any]:
        """Insert a row, by default under an unused id. Returns it as the table holds it."""
        item_id = self.pick_unused_id()
        defaults = {
            "id": item_id,
            "name": f"item {item_id}",
            "description": None,
            "price": 9.75,
            "quantity": item_id,
            "available": True,
            "created_at": CREATED_AT,
        }
        row = defaults | values
        marks = ", ".join(f"${index}" for index in range(1, len(row) + 1))
        query = f"INSERT INTO items ({', '.join(row)}) VALUES ({marks}) RETURNING *"
        stored = await self._session.fetch_row(WORK, query, *row.values())
        assert stored
        self._inserted.add(stored["id"])
        return stored

    async def find_or_insert(self, item_id: int) -> dict[str, Any]:
        """The row under an id: the one that somebody else has there, or a new one."""
        return await self._find_row(item_id) or await self.insert(id=item_id)

    async def update(self, item_id: int, **values: Any) -> dict[str, Any]:
        """Update one of the suite's own rows. Returns it as the table holds it."""
        sets = ", ".join(f"{name} = ${index}" for index, name in enumerate(values, 2))
        query = f"UPDATE items SET {sets} WHERE id = $1 RETURNING *"
        row = await self._session.fetch_row(WORK, query, item_id, *values.values())
        assert row
        return row

    async def delete(self, item_id: int) -> None:
        """Delete one of the suite's own rows."""
        await self._session.fetch_row(WORK, "DELETE FROM items WHERE id = $1 RETURNING *", item_id)

    async def check_row(self, item_id: int) -> RowCheck:
        """Record what the table holds under an id."""
        row = await self._find_row(item_id)
        text = (
            f"items has no row {item_id}" if row is None else f"items has {format_value(row, 400)}"
        )
        return self._journal.record(RowCheck, text=text, row=row)

    async def take_snapshot(self) -> TableSnapshot:
        """Record the physical version of each row.

        In an adopted database, only the suite's own rows count.
        """
        is_ours = self._session.access.role is not None
        where = "" if is_ours else "WHERE id = ANY($1)"
        rows = await self._session.fetch(
            "read the table",
            "SELECT id, ctid::text, xmin::text, xmax::text, items::text"
            f" FROM items {where} ORDER BY id",
            *(() if is_ours else (list(self._inserted),)),
        )
        versions = {row["id"]: tuple(row.values()) for row in rows}
        text = f"items has {len(rows)} rows"
        return self._journal.record(TableSnapshot, text=text, versions=versions)

    async def delete_inserted(self) -> None:
        """Delete the suite's own rows, by a connection that nothing else uses."""
        async with self._session.another_connection() as connection:
            with as_broken_testbed("delete the suite's rows"):
                query = "DELETE FROM items WHERE id = ANY($1)"
                await connection.execute(query, list(self._inserted))

    async def _find_row(self, item_id: int) -> dict[str, Any] | None:
        return await self._session.fetch_row(WORK, "SELECT * FROM items WHERE id = $1", item_id)
