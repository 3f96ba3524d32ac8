"""What opening a run returns: everything that its probes use. It never changes."""

from dataclasses import dataclass

from conformance.client.http import Client
from conformance.spec.catalogue import Channel
from conformance.target.launch import Launch
from conformance.target.server import Target
from conformance.target.worker import Worker
from conformance.testbed.broker import Broker
from conformance.testbed.database import Database
from conformance.testbed.upstream import Upstream


@dataclass(frozen=True)
class Environment:
    """The opened testbed and the target. The target may be started again: see `recovery`."""

    launch: Launch
    target: Target  # the first one
    client: Client
    worker: Worker
    database: Database | None
    broker: Broker | None
    upstream: Upstream | None
    early_upstream_requests: int  # those that had arrived when the target was ready

    @property
    def channels(self) -> frozenset[Channel]:
        """The channels that can be observed."""
        there = {
            Channel.POSTGRES: self.database is not None,
            Channel.REDIS: self.broker is not None,
            Channel.UPSTREAM: self.upstream is not None,
        }
        opened = frozenset(channel for channel, is_there in there.items() if is_there)
        return opened | self.launch.capabilities.channels
