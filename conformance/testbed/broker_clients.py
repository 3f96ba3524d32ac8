"""The connections to a broker: who waits for messages, whose writes wait, who was rejected."""

import asyncio
from collections.abc import Callable
from typing import Any

import redis.asyncio

from conformance.core import timeouts
from conformance.core.evidence import Journal
from conformance.core.observations import RejectionCount, WaitingWrites
from conformance.core.polling import wait_until
from conformance.testbed.redis_admin import BrokerAccess, as_broken_testbed

# Commands by which a worker waits for a message.
BLOCKING_READS = ("brpop", "blpop", "blmove", "brpoplpush", "bzmpop", "blmpop")


def _is_never() -> bool:
    return False


class BrokerClients:
    """Looks at connections. Every method raises BrokenTestbed if the server fails."""

    def __init__(self, client: redis.asyncio.Redis, access: BrokerAccess, journal: Journal) -> None:
        self._client = client
        self._access = access
        self._journal = journal

    async def count_consumers(self) -> int:
        """How many clients wait for a message now."""
        return sum(each.get("cmd", "") in BLOCKING_READS for each in await self._list_clients())

    async def count_connections(self) -> int | None:
        """How many connections the target's user has; None where that is not the suite's."""
        if self._access.user is None:
            return None
        clients = await self._list_clients()
        return sum(each.get("user") == self._access.user for each in clients)

    # Rejected logins

    async def count_rejections(self) -> int:
        """How many logins of the target's user the server has rejected so far."""
        with as_broken_testbed("read its log of rejections"):
            log = await self._client.execute_command("ACL", "LOG")
        return sum(
            int(entry["count"])
            for entry in map(_read_entry, log)
            if entry["reason"] == "auth" and entry["username"] == self._access.user
        )

    async def wait_for_rejections(
        self, count: int, or_until: Callable[[], bool] = _is_never
    ) -> RejectionCount:
        """Wait until the server has rejected this many logins in all, or something else is so.

        Waits for ARRIVAL_DEADLINE at most, and records what was seen then.
        """
        seen = await wait_until(
            self.count_rejections,
            timeouts.ARRIVAL_DEADLINE,
            lambda seen: seen >= count or or_until(),
        )
        text = f"the broker has turned the service away {seen} times"
        return self._journal.record(RejectionCount, text=text, refusals=seen)

    async def wait_for_last_rejection(
        self, before: int, or_until: Callable[[], bool]
    ) -> RejectionCount:
        """Wait until a login was rejected and none was tried for QUIET seconds after it.

        There were `before` rejections at first. Ends earlier if something else is so, and
        ARRIVAL_DEADLINE after the first: somebody else may try again and again.
        """
        await self.wait_for_rejections(before + 1, or_until)
        await wait_until(
            self._is_quiet, timeouts.ARRIVAL_DEADLINE, lambda quiet: quiet or or_until()
        )
        return await self.wait_for_rejections(0)

    async def _is_quiet(self) -> bool:
        """Whether no login is rejected for QUIET seconds."""
        before = await self.count_rejections()
        await asyncio.sleep(timeouts.QUIET)
        return await self.count_rejections() == before

    # Writes that wait while the broker is stalled

    async def wait_for_write(self) -> WaitingWrites:
        """Wait until a write of the target waits, for ARRIVAL_DEADLINE at most."""
        seen = await wait_until(self._list_waiting_writes, timeouts.ARRIVAL_DEADLINE)
        text = f"{', '.join(seen) or 'no command'} of the service's waits for the broker"
        return self._journal.record(WaitingWrites, text=text, waiting=len(seen))

    async def wait_for_large_write(self, size: int) -> WaitingWrites:
        """Wait until a write of more than `size` bytes waits, for ARRIVAL_DEADLINE at most."""
        seen = await wait_until(lambda: self._count_large_writes(size), timeouts.ARRIVAL_DEADLINE)
        text = f"{seen} writes of the service's that take {size} bytes wait for the broker"
        return self._journal.record(WaitingWrites, text=text, waiting=seen)

    async def wait_until_no_large_write(self, size: int) -> None:
        """Wait until no such write waits, for ARRIVAL_DEADLINE at most.

        The server then knows that the client of the write has ended.
        """
        await wait_until(
            lambda: self._count_large_writes(size),
            timeouts.ARRIVAL_DEADLINE,
            lambda seen: seen == 0,
        )

    async def _list_waiting_writes(self) -> list[str]:
        commands = [client["cmd"] for client in await self._list_waiting()]
        return [command for command in commands if command not in BLOCKING_READS]

    async def _count_large_writes(self, size: int) -> int:
        waiting = await self._list_waiting()
        return sum(int(client.get("tot-mem", 0)) > size for client in waiting)

    async def _list_waiting(self) -> list[dict[str, str]]:
        """The clients of the target that wait for the answer to a command."""
        return [
            client
            for client in await self._list_clients()
            if self._access.user in (None, client.get("user")) and "b" in client["flags"]
        ]

    async def _list_clients(self) -> list[dict[str, str]]:
        with as_broken_testbed("list its clients"):
            return list(await self._client.client_list())


def _read_entry(entry: Any) -> dict[str, Any]:
    """An entry of ACL LOG. In RESP 2, names and values come in turn."""
    if isinstance(entry, dict):
        flat = [word for pair in entry.items() for word in pair]
    else:
        flat = list(entry)
    words = [word.decode("utf-8", "replace") if isinstance(word, bytes) else word for word in flat]
    return dict(zip(words[::2], words[1::2], strict=True))
