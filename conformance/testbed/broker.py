"""A broker as probes use it: its messages, its results, the target's connections, its faults."""

import redis.asyncio

from conformance.core.evidence import Journal
from conformance.testbed.broker_clients import BrokerClients
from conformance.testbed.broker_faults import BrokerFaults
from conformance.testbed.broker_messages import BrokerMessages
from conformance.testbed.broker_results import BrokerResults
from conformance.testbed.redis_admin import BrokerAccess, as_broken_testbed


class Broker:
    """One logical database of Redis, seen through a connection of the suite's own.

    It is shared if somebody else may run a worker on it.
    """

    def __init__(self, access: BrokerAccess, journal: Journal, *, shared: bool = False) -> None:
        self.access = access
        self.is_shared = shared
        self._client = client = redis.asyncio.Redis.from_url(access.admin_url)
        self.messages = BrokerMessages(client, journal)
        self.results = BrokerResults(client, access, journal, self.messages)
        self.clients = BrokerClients(client, access, journal)
        self.faults = BrokerFaults(client, access, journal)

    async def open(self) -> None:
        """Connect. Raises BrokenTestbed."""
        with as_broken_testbed("connect"):
            await self._client.ping()

    async def close(self) -> None:
        """Disconnect."""
        await self._client.aclose()
