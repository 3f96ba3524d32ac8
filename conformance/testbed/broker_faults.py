"""Faults of a broker, which last as long as their block and are undone whatever happens."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import redis.asyncio

from conformance.core.errors import BrokenTestbed, NoEvidence
from conformance.core.evidence import Journal, Observation
from conformance.core.observations import EndedConnections
from conformance.testbed.redis_admin import RIGHTS, BrokerAccess, as_broken_testbed

PAUSE_MS = 600_000  # longer than any probe lasts; the pause ends with the block


class BrokerFaults:
    """Makes the broker fail for the target, and proves that it does.

    Raises BrokenTestbed if a fault has no effect, and NoEvidence where the suite may not change
    the target's user.
    """

    def __init__(self, client: redis.asyncio.Redis, access: BrokerAccess, journal: Journal) -> None:
        self._client = client
        self._access = access
        self._journal = journal

    @asynccontextmanager
    async def writes_refused(self) -> AsyncIterator[None]:
        """Refuse every write of the target's user."""
        await self._set_user("-@write")
        try:
            await self._check_writes_refused()
            self._journal.observe("broker", "the target's user may not write")
            yield
        finally:
            await self._set_user(*RIGHTS)
            self._journal.observe("broker", "the target's user may write again")

    @asynccontextmanager
    async def logins_refused(self) -> AsyncIterator[Observation]:
        """Refuse every login of the target's user, and end the connections it has."""
        await self._set_user("off")
        try:
            await self.end_connections()
            await self._check_logins_refused()
            yield self._journal.observe("fault", "the broker refuses the service")
        finally:
            await self._set_user("on")
            self._journal.observe("fault", "the broker lets the service in again")

    @asynccontextmanager
    async def writes_stalled(self) -> AsyncIterator[Observation]:
        """Accept every write and answer none."""
        self._require_user()
        with as_broken_testbed("pause its clients"):
            await self._client.execute_command("CLIENT", "PAUSE", PAUSE_MS, "WRITE")
        try:
            await self._check_paused()
            yield self._journal.observe("fault", "the broker takes writes and does not answer")
        finally:
            with as_broken_testbed("resume its clients"):
                await self._client.execute_command("CLIENT", "UNPAUSE")
            self._journal.observe("fault", "the broker answers again")

    async def end_connections(self) -> EndedConnections:
        """End every connection of the target's user, as a broker does that restarts."""
        user = self._require_user()
        with as_broken_testbed("end the target's connections"):
            ended = await self._client.execute_command("CLIENT", "KILL", "USER", user)
        text = f"the broker ended {ended} connections of the service's"
        return self._journal.record(EndedConnections, text=text, ended=ended)

    def _require_user(self) -> str:
        """The target's user. Raises NoEvidence where the suite may not change it."""
        if self._access.user is None:
            raise NoEvidence(
                "the suite may not restrict the target's Redis user: start the target on a "
                "`conformance testbed`, or let the suite start it"
            )
        return self._access.user

    async def _set_user(self, *rules: str) -> None:
        user = self._require_user()
        with as_broken_testbed("change the target's user"):
            await self._client.execute_command("ACL", "SETUSER", user, *rules)

    async def _check_writes_refused(self) -> None:
        assert self._access.target_dsn
        async with redis.asyncio.Redis.from_url(self._access.target_dsn) as client:
            try:
                await client.lpush("conformance-check", "")
            except redis.exceptions.NoPermissionError:
                return
        raise BrokenTestbed("the target's Redis user was denied writes, and can write still")

    async def _check_logins_refused(self) -> None:
        """Ask the server, and do not try a login: the server counts those that it rejects."""
        user = self._require_user()
        with as_broken_testbed("look at the target's user"):
            about: Any = await self._client.acl_getuser(user)
            clients = await self._client.client_list()
        if "off" not in about["flags"] or any(each.get("user") == user for each in clients):
            raise BrokenTestbed("the target's Redis user was denied to log in, and is not")

    async def _check_paused(self) -> None:
        with as_broken_testbed("see whether its clients are paused"):
            about = await self._client.info("clients")
        # Redis before 7.2 does not say it.
        if not about.get("paused_timeout_milliseconds", 1):
            raise BrokenTestbed("the clients of Redis were paused, and are not")
