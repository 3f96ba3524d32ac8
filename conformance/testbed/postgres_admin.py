"""What an administrator does on a Postgres server: make, adopt, repair and drop databases.

A database comes with the table `items` and a role for one target.
"""

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
PREFIX = "conformance_"  # of every role and database that the suite makes
RIGHTS = ("SELECT", "INSERT", "UPDATE", "DELETE")
# Small, medium and large ones, apart from what DatabaseRows picks. Their rows are older than every
# process of the target.
OLDER_IDS = (1, 2, 10, 1000, 2_000_000_000)
OLDER_ROWS = f"""
    INSERT INTO items (id, name, price, quantity, available, created_at)
    SELECT id, 'item ' || id, 9.75, id, true, '2026-07-01 12:30:15.25Z'
    FROM unnest(ARRAY{list(OLDER_IDS)}) AS id
"""
# Sent as one statement, so that no read comes between.
DROP_POLICY = "DROP POLICY IF EXISTS held ON items; ALTER TABLE items DISABLE ROW LEVEL SECURITY"
TROUBLE = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError)


@dataclass(frozen=True)
class DatabaseAccess:
    """A database with the table `items`, and the credentials of the suite and of the target.

    `target_dsn` and `role` are None where somebody else has started the target, with
    credentials of its own.
    """

    admin_url: str
    target_dsn: str | None
    database: str
    role: str | None


async def read_version(admin_url: str) -> str:
    """Ask for the server's name and version, such as "PostgreSQL 18.6"."""
    with as_broken_testbed("read its version"):
        version = str(await _fetch_value(admin_url, "SELECT version()"))
    return " ".join(version.split(",", maxsplit=1)[0].split(" ")[:2])


async def check_rights(admin_url: str) -> None:
    """See that an administrator's URL has the rights to make databases. Raises WrongUsage."""
    connection = await _connect_as_given(admin_url, "the URL of a Postgres server that answers")
    try:
        row = await connection.fetchrow(
            "SELECT rolsuper, rolcreatedb, rolcreaterole, rolname"
            " FROM pg_roles WHERE rolname = current_user"
        )
    finally:
        await connection.close()
    assert row
    rights = (("CREATEDB", row["rolcreatedb"]), ("CREATEROLE", row["rolcreaterole"]))
    missing = [right for right, has in rights if not has and not row["rolsuper"]]
    if missing:
        raise WrongUsage(
            "the role of --database-url must have the rights to make a database and a role; "
            f"{row['rolname']} lacks {' and '.join(missing)}: "
            f"ALTER ROLE {row['rolname']} {' '.join(missing)}"
        )


async def create_database(admin_url: str, *, may_write: bool = False) -> DatabaseAccess:
    """Make a database with the table, in which there are rows, and a role for one target.

    The role may read the table, and also write it if `may_write`. Raises BrokenTestbed.
    """
    name, password = PREFIX + secrets.token_hex(6), secrets.token_hex(12)
    access = DatabaseAccess(
        admin_url=_replace_parts(admin_url, database=name),
        target_dsn=_replace_parts(admin_url, user=name, password=password, database=name),
        database=name,
        role=name,
    )
    try:
        with as_broken_testbed("make a database"):
            await _execute(
                admin_url,
                f"CREATE ROLE {name} LOGIN PASSWORD '{password}'",
                f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'",
                f"REVOKE TEMPORARY ON DATABASE {name} FROM PUBLIC",
            )
            rights = ", ".join(RIGHTS) if may_write else "SELECT"
            grant = f"GRANT {rights} ON items TO {name}"
            await _execute(access.admin_url, TABLE, OLDER_ROWS, grant)
    except BrokenTestbed:
        with suppress(BrokenTestbed):
            await drop_database(admin_url, access)
        raise
    return access


async def drop_database(admin_url: str, access: DatabaseAccess) -> None:
    """Remove the database and the role that `create_database` made. Raises BrokenTestbed."""
    with as_broken_testbed("remove a database"):
        await _execute(
            admin_url,
            f"DROP DATABASE IF EXISTS {access.database} WITH (FORCE)",
            f"DROP ROLE IF EXISTS {access.role}",
        )


async def adopt_database(admin_url: str) -> DatabaseAccess:
    """Use the database of a target that runs already. Raises WrongUsage if it lacks something.

    The suite will change only rows of its own in it.
    """
    connection = await _connect_as_given(admin_url, "the URL of the target's own database")
    try:
        await _check_table(connection, admin_url)
        database = str(await connection.fetchval("SELECT current_database()"))
    finally:
        await connection.close()
    return DatabaseAccess(admin_url, None, database, None)


async def has_sessions(access: DatabaseAccess) -> bool:
    """Whether the target's role has a session. Raises BrokenTestbed."""
    query = "SELECT count(*) FROM pg_stat_activity WHERE usename = $1"
    with as_broken_testbed("read pg_stat_activity"):
        return bool(await _fetch_value(access.admin_url, query, access.role))


async def repair_database(access: DatabaseAccess) -> None:
    """Undo every fault that a killed run may have left. Raises BrokenTestbed."""
    with as_broken_testbed("undo the faults of an earlier run"):
        await _execute(
            access.admin_url,
            f"ALTER ROLE {access.role} LOGIN",
            f"ALTER ROLE {access.role} RESET default_transaction_read_only",
            "ALTER TABLE items DROP COLUMN IF EXISTS colour",
            DROP_POLICY,
        )


async def connect(url: str) -> asyncpg.Connection:
    """Connect with the credentials of a URL. Raises one of TROUBLE."""
    return await asyncpg.connect(
        url,
        timeout=timeouts.BOOT_DEADLINE,
        command_timeout=timeouts.BOOT_DEADLINE,
        ssl=False if urlsplit(url).hostname in ("127.0.0.1", "localhost") else None,
    )


@contextmanager
def as_broken_testbed(work: str) -> Iterator[None]:
    """Raise BrokenTestbed if the server fails at the suite's own work: no fault of the target's."""
    try:
        yield
    except TROUBLE as error:
        raise BrokenTestbed(f"Postgres did not let the suite {work}: {_text_of(error)}") from error


async def _check_table(connection: asyncpg.Connection, admin_url: str) -> None:
    """See that the table is there, with all rights on it. Raises WrongUsage."""
    query = "SELECT attname FROM pg_attribute WHERE attrelid = to_regclass('items') AND attnum > 0"
    columns = {row["attname"] for row in await connection.fetch(query)}
    if missing := [column for column in COLUMNS if column not in columns]:
        raise WrongUsage(
            "the database of --database-url must have the table of spec/schema.sql; "
            f"{_without_password(admin_url)} has no items.{missing[0]}"
        )
    query = "SELECT has_table_privilege('items', $1)"
    if lacks := [right for right in RIGHTS if not await connection.fetchval(query, right)]:
        raise WrongUsage(
            "the role of --database-url must have the rights to change the table items; "
            f"it lacks {', '.join(lacks)}"
        )


async def _connect_as_given(admin_url: str, wanted: str) -> asyncpg.Connection:
    """Connect by the URL that the caller gave. Raises WrongUsage."""
    try:
        return await connect(admin_url)
    except TROUBLE as error:
        raise WrongUsage(
            f"--database-url must be {wanted}; "
            f"{_without_password(admin_url)} does not answer: {_text_of(error)}"
        ) from error


async def _execute(url: str, *statements: str) -> None:
    connection = await connect(url)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


async def _fetch_value(url: str, query: str, *arguments: object) -> object:
    connection = await connect(url)
    try:
        return await connection.fetchval(query, *arguments)
    finally:
        await connection.close()


def _text_of(error: BaseException) -> str:
    return str(error) or type(error).__name__


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    user = f"{parts.username}@" if parts.username else ""
    return urlunsplit(parts._replace(netloc=f"{user}{parts.hostname}:{parts.port or 5432}"))


def _replace_parts(
    url: str, *, database: str, user: str | None = None, password: str | None = None
) -> str:
    """The same URL with another database, and with other credentials if a user is given."""
    parts = urlsplit(url)
    credentials = parts.netloc.rpartition("@")[0] if user is None else f"{user}:{password}"
    host = f"[{parts.hostname}]" if ":" in str(parts.hostname) else parts.hostname
    netloc = f"{credentials}@{host}:{parts.port or 5432}"
    return urlunsplit(parts._replace(netloc=netloc, path="/" + quote(database)))
