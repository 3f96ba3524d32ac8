"""Results are read from the Redis of the run, whatever the environment of the caller names."""

import pytest

from conformance.core.evidence import Journal
from conformance.testbed.broker import Broker
from conformance.testbed.redis_admin import BrokerAccess


def test_results_are_not_read_where_the_environment_of_the_caller_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CELERY_RESULT_BACKEND", "redis://127.0.0.1:1/0")
    monkeypatch.setenv("CELERY_BROKER_URL", "redis://127.0.0.1:1/0")
    url = "redis://:secret@127.0.0.1:9/3"
    broker = Broker(BrokerAccess(url, None, None), Journal())
    used = broker.results._backend.connparams
    assert (used["host"], used["port"], used["db"]) == ("127.0.0.1", 9, 3)
