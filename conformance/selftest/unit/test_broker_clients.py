"""Rejected logins: the wait for the last one ends, also where somebody tries for ever."""

from typing import Any

import pytest

from conformance.core import timeouts
from conformance.core.evidence import Journal
from conformance.testbed.broker_clients import BrokerClients
from conformance.testbed.redis_admin import BrokerAccess


class Server:
    """A server that rejects one more login at each look, up to some number."""

    def __init__(self, most: int) -> None:
        self.rejected = 0
        self._most = most

    async def execute_command(self, *_: str) -> list[dict[str, Any]]:
        """Answer `ACL LOG`."""
        self.rejected = min(self.rejected + 1, self._most)
        return [{"count": self.rejected, "reason": "auth", "username": "app"}]


def make_clients(server: Server) -> BrokerClients:
    access = BrokerAccess("redis://admin", "redis://app", "app")
    return BrokerClients(server, access, Journal())  # type: ignore[arg-type]


async def test_the_last_rejection_is_waited_for() -> None:
    clients = make_clients(Server(most=5))
    seen = await clients.wait_for_last_rejection(0, or_until=lambda: False)
    assert seen.refusals == 5


async def test_who_tries_for_ever_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timeouts, "ARRIVAL_DEADLINE", 0.3)
    server = Server(most=1_000_000)
    seen = await make_clients(server).wait_for_last_rejection(0, or_until=lambda: False)
    assert seen.refusals == server.rejected
