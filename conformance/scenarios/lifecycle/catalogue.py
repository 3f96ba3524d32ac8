"""Every lifecycle scenario, those first that take longest or are needed first."""

from typing import Any

from conformance.scenarios.lifecycle.broker_unreachable import BrokerUnreachable
from conformance.scenarios.lifecycle.crash_after_submit import CrashAfterSubmit
from conformance.scenarios.lifecycle.database_unreachable import DatabaseUnreachable
from conformance.scenarios.lifecycle.database_unresponsive import DatabaseUnresponsive
from conformance.scenarios.lifecycle.graceful_stop import GracefulStop
from conformance.scenarios.lifecycle.restart import Restart
from conformance.scenarios.lifecycle.scenario import Scenario
from conformance.scenarios.lifecycle.upstream_unresponsive import UpstreamUnresponsive

SCENARIOS: tuple[type[Scenario[Any]], ...] = (
    UpstreamUnresponsive,
    CrashAfterSubmit,
    BrokerUnreachable,
    Restart,
    GracefulStop,
    DatabaseUnresponsive,
    DatabaseUnreachable,
)
