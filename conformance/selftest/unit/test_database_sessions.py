"""Sessions that are idle in a transaction: looked for often, and described once."""

from typing import Any

import pytest

from conformance.core import timeouts
from conformance.core.evidence import Journal
from conformance.testbed import database_sessions
from conformance.testbed.database_sessions import DatabaseSessions


class Server:
    """A server that shows one session, in a transaction for some looks."""

    role = "app"

    def __init__(self, looks_in_transaction: int) -> None:
        self.looks = 0
        self._looks_in_transaction = looks_in_transaction

    async def fetch(self, *_: object) -> list[dict[str, Any]]:
        """Answer a look."""
        self.looks += 1
        is_open = self.looks <= self._looks_in_transaction
        state = "idle in transaction" if is_open else "idle"
        return [
            {
                "pid": 1,
                "backend_start": "now",
                "state": state,
                "query": "SELECT 1",
                "client_port": 5,
            }
        ]


@pytest.fixture
def described(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The ports whose owner was searched for, which takes half a second on a busy machine."""
    ports: list[int] = []

    def describe(port: int) -> str:
        ports.append(port)
        return "the web process"

    monkeypatch.setattr(database_sessions, "describe_client", describe)
    return ports


async def look(server: Server) -> Any:
    """Look until no transaction is open."""
    sessions = DatabaseSessions(server, Journal())  # type: ignore[arg-type]
    return await sessions.wait_until_no_transaction_is_open()


async def test_no_owner_is_searched_for_while_a_transaction_may_still_end(
    described: list[int],
) -> None:
    server = Server(looks_in_transaction=3)
    seen = await look(server)
    assert (server.looks, seen.idle_in_transaction, described) == (4, (), [])


async def test_the_owner_is_searched_for_once_where_a_transaction_stays_open(
    described: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timeouts, "TRANSACTION_DEADLINE", 0.05)
    server = Server(looks_in_transaction=1_000)
    seen = await look(server)
    assert server.looks > 1
    assert (seen.idle_in_transaction, described) == ((1,), [5])
    assert "that of the web process, after SELECT 1" in seen.text
