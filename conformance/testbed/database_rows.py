"""Rows of the table `items` that the suite makes, changes and looks at."""

import secrets
from collections import deque
from datetime import UTC, datetime
from typing import Any

from conformance.core.errors import NoEvidence
from conformance.core.evidence import Journal
from conformance.core.observations import RowCheck, TableSnapshot
from conformance.spec.model import format_value
from conformance.testbed.postgres_admin import OLDER_IDS, as_broken_testbed
from conformance.testbed.postgres_session import PostgresSession

WORK = "change or read the table"
FIRST_IDS = range(1_000_000_000, 1_900_000_000)  # where the ids of a run begin
SMALL_IDS = range(43, 100)  # DB-1 has rows below
CREATED_AT = datetime(2026, 7, 1, 12, 30, 15, 250_000, tzinfo=UTC)


class DatabaseRows:
    """The suite's own rows. Every method raises BrokenTestbed if the server fails."""

    def __init__(self, session: PostgresSession, journal: Journal) -> None:
        self._session = session
        self._journal = journal
        self._last_id = secrets.choice(FIRST_IDS)
        self._inserted: set[int] = set()
        self._small_ids: deque[int] = deque()  # those without a row, the next one first

    @property
    def _are_all_ours(self) -> bool:
        """Whether the database is the suite's own, and not somebody's that it has adopted."""
        return self._session.access.role is not None

    async def note_small_ids(self) -> None:
        """Note which small ids have no row yet."""
        query = "SELECT id FROM items WHERE id < $1"
        taken = {row["id"] for row in await self._session.fetch(WORK, query, SMALL_IDS.stop)}
        self._small_ids = deque(item_id for item_id in SMALL_IDS if item_id not in taken)

    def pick_unused_id(self, apart: int = 1) -> int:
        """A large id that has no row, this far from the one picked before."""
        self._last_id += apart
        return self._last_id

    def pick_small_id(self) -> int:
        """One of SMALL_IDS that has no row. All have their turn.

        A large one in an adopted database, whose owner may give the small ones to rows.
        """
        if not self._are_all_ours:
            return self.pick_unused_id()
        self._small_ids.rotate(-1)
        return self._small_ids[-1]

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
        if not (self._are_all_ours and stored["id"] in OLDER_IDS):  # the next run needs those
            self._inserted.add(stored["id"])
        if stored["id"] in self._small_ids:
            self._small_ids.remove(stored["id"])
        return stored

    async def find_or_insert(self, item_id: int) -> dict[str, Any] | None:
        """The row under an id: the one that is there, or a new one.

        None where an adopted database has none under an id that its owner may give to the next.
        """
        found = await self._find_row(item_id)
        is_anybodys = item_id in range(1, FIRST_IDS.start) and not self._are_all_ours
        return found if found or is_anybodys else await self.insert(id=item_id)

    async def list_older(self) -> list[dict[str, Any]]:
        """The suite's rows that are older than the target's process. None in an adopted database.

        Raises NoEvidence where somebody has deleted them.
        """
        if not self._are_all_ours:
            return []
        query = "SELECT * FROM items WHERE id = ANY($1) ORDER BY id"
        rows = await self._session.fetch(WORK, query, list(OLDER_IDS))
        if len(rows) < len(OLDER_IDS):
            raise NoEvidence(
                "somebody has deleted rows that were in the table before the service was started: "
                "start the testbed anew"
            )
        return [dict(row) for row in rows]

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
        if item_id in SMALL_IDS and item_id not in self._small_ids:
            self._small_ids.append(item_id)

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
        where = "" if self._are_all_ours else "WHERE id = ANY($1)"
        rows = await self._session.fetch(
            "read the table",
            "SELECT id, ctid::text, xmin::text, xmax::text, items::text"
            f" FROM items {where} ORDER BY id",
            *(() if self._are_all_ours else (list(self._inserted),)),
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
