"""Postgres: a database of the run's own on any server, its table, the target's role, and the server's own view of them."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from urllib.parse import quote, urlsplit, urlunsplit

import asyncpg

from conformance.core import timeouts
from conformance.core.errors import BrokenTestbed, WrongUsage
from conformance.spec.catalogue import FOLDER
from conformance.spec.model import COLUMNS

TABLE = (FOLDER / "schema.sql").read_text("utf-8")
OWN = "conformance_"  # every role and database of ours begins with this
POLICY_DROPPED = "DROP POLICY IF EXISTS held ON items; ALTER TABLE items DISABLE ROW LEVEL SECURITY"  # sent as one, so that no read comes between
TROUBLE = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError)


@dataclass(frozen=True)
class Place:
    """A database with the table `items`, and by which URLs the suite and the target reach it."""

    admin_url: str
    target_url: (
        str | None
    )  # None where the target was started by somebody else, with credentials of its own
    database: str
    role: str | None


async def version(admin_url: str) -> str:
    """The server's name and version, such as "PostgreSQL 18.6"."""
    with blaming_the_testbed("ask its version"):
        connection = await connect(admin_url)
        try:
            return " ".join(
                str(await connection.fetchval("SELECT version()")).split(",")[0].split(" ")[:2]
            )
        finally:
            await connection.close()


async def check_rights(admin_url: str) -> None:
    """Say which rights an administrator's URL lacks. Raises WrongUsage."""
    try:
        connection = await connect(admin_url)
    except TROUBLE as error:
        raise WrongUsage(
            f"--database-url wants a Postgres server that answers; {_without_password(admin_url)} does not: {_said(error)}"
        ) from error
    try:
        row = await connection.fetchrow(
            "SELECT rolsuper, rolcreatedb, rolcreaterole, rolname FROM pg_roles WHERE rolname = current_user"
        )
        assert row
        lacks = [
            word
            for word, has in (
                ("CREATEDB", row["rolcreatedb"]),
                ("CREATEROLE", row["rolcreaterole"]),
            )
            if not has and not row["rolsuper"]
        ]
        if lacks:
            raise WrongUsage(
                f"--database-url wants a role that may make a database and a role for the target; "
                f"{row['rolname']} lacks {' and '.join(lacks)}: ALTER ROLE {row['rolname']} {' '.join(lacks)}"
            )
    finally:
        await connection.close()


async def create(admin_url: str, *, may_write: bool = False) -> Place:
    """Make a database with the table and a role for one target; the role may SELECT, or also write."""
    name, password = OWN + secrets.token_hex(6), secrets.token_hex(12)
    place = Place(
        _at(admin_url, database=name),
        _at(admin_url, user=name, password=password, database=name),
        name,
        name,
    )
    try:
        with blaming_the_testbed("make a database"):
            await _execute(
                admin_url,
                f"CREATE ROLE {name} LOGIN PASSWORD '{password}'",
                f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'",
            )
            rights = "SELECT, INSERT, UPDATE, DELETE" if may_write else "SELECT"
            await _execute(place.admin_url, TABLE, f"GRANT {rights} ON items TO {name}")
    except BrokenTestbed:
        with suppress(BrokenTestbed):
            await drop(admin_url, place)
        raise
    return place


async def drop(admin_url: str, place: Place) -> None:
    """Remove the database and the role that `create` made."""
    with blaming_the_testbed("remove a database"):
        await _execute(
            admin_url,
            f"DROP DATABASE IF EXISTS {place.database} WITH (FORCE)",
            f"DROP ROLE IF EXISTS {place.role}",
        )


async def is_used(place: Place) -> bool:
    """Whether the target's role has a session."""
    with blaming_the_testbed("look at pg_stat_activity"):
        connection = await connect(place.admin_url)
        try:
            return bool(
                await connection.fetchval(
                    "SELECT count(*) FROM pg_stat_activity WHERE usename = $1", place.role
                )
            )
        finally:
            await connection.close()


async def heal(place: Place) -> None:
    """Undo whatever fault a run may have left that was killed."""
    with blaming_the_testbed("mend what a run has left"):
        await _execute(place.admin_url, f"ALTER ROLE {place.role} LOGIN")
        await _execute(
            place.admin_url, "ALTER TABLE items DROP COLUMN IF EXISTS colour", POLICY_DROPPED
        )


async def adopt(admin_url: str) -> Place:
    """The database of a target that runs already; only rows of ours are touched. Raises WrongUsage where it lacks something."""
    try:
        connection = await connect(admin_url)
    except TROUBLE as error:
        raise WrongUsage(
            f"--database-url wants the target's Postgres database; {_without_password(admin_url)} does not answer: {_said(error)}"
        ) from error
    try:
        columns = {
            row["attname"]
            for row in await connection.fetch(
                "SELECT attname FROM pg_attribute WHERE attrelid = to_regclass('items') AND attnum > 0"
            )
        }
        if missing := [column for column in COLUMNS if column not in columns]:
            raise WrongUsage(
                f"--database-url wants a database with the table of spec/schema.sql; {_without_password(admin_url)} has no items.{missing[0]}"
            )
        rights = ("SELECT", "INSERT", "UPDATE", "DELETE")
        if lacks := [
            right
            for right in rights
            if not await connection.fetchval("SELECT has_table_privilege('items', $1)", right)
        ]:
            raise WrongUsage(
                f"--database-url wants a role that may change the table items; it lacks {', '.join(lacks)}"
            )
        return Place(
            admin_url, None, str(await connection.fetchval("SELECT current_database()")), None
        )
    finally:
        await connection.close()


async def _execute(url: str, *statements: str) -> None:
    connection = await connect(url)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


async def connect(url: str) -> asyncpg.Connection:
    """Connect as the owner of a URL. Raises one of TROUBLE."""
    return await asyncpg.connect(
        url,
        timeout=timeouts.BOOT_DEADLINE,
        command_timeout=timeouts.BOOT_DEADLINE,
        ssl=False if urlsplit(url).hostname in ("127.0.0.1", "localhost") else None,
    )


@contextmanager
def blaming_the_testbed(work: str) -> Iterator[None]:
    """Whatever the server answers to the suite's own work is the testbed's trouble, never the target's."""
    try:
        yield
    except TROUBLE as error:
        raise BrokenTestbed(f"Postgres did not let the suite {work}: {_said(error)}") from error


def _said(error: BaseException) -> str:
    return str(error) or type(error).__name__


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    user = f"{parts.username}@" if parts.username else ""
    return urlunsplit(parts._replace(netloc=f"{user}{parts.hostname}:{parts.port or 5432}"))


def at_port(url: str, port: int) -> str:
    """The same URL on another port of 127.0.0.1."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=f"{parts.netloc.rpartition('@')[0]}@127.0.0.1:{port}"))


def _at(url: str, *, database: str, user: str | None = None, password: str | None = None) -> str:
    parts = urlsplit(url)
    credentials = parts.netloc.rpartition("@")[0] if user is None else f"{user}:{password}"
    host = f"[{parts.hostname}]" if ":" in str(parts.hostname) else parts.hostname
    return urlunsplit(
        parts._replace(
            netloc=f"{credentials}@{host}:{parts.port or 5432}", path="/" + quote(database)
        )
    )
