"""What the environment says, and the limits of the service."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

DEFAULT_BROKER = "redis://127.0.0.1:6379/0"


@dataclass(frozen=True, slots=True)
class DatabaseSettings:
    """Where the table is, and how much of the database the service may take."""

    url: str = field(repr=False)
    pool_size: int = 16
    connect_seconds: int = 4
    wait_seconds: float = 60.0
    statement_seconds: int = 60


@dataclass(frozen=True, slots=True)
class UpstreamSettings:
    """What is fetched, and how much time, memory and how many sockets it may take."""

    url: str = field(repr=False)
    total_seconds: float = 25.0
    silence_seconds: float = 10.0
    connect_seconds: float = 5.0
    max_connections: int = 500
    max_idle_connections: int = 20
    max_body_bytes: int = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class QueueSettings:
    """Where tasks are queued and their results are kept."""

    broker_url: str = field(repr=False)
    result_url: str = field(repr=False)
    publishers: int = 40
    connect_seconds: float = 3.0
    silence_seconds: float = 8.0
    wait_seconds: float = 5.0

    @classmethod
    def from_environment(cls) -> QueueSettings:
        """Read the broker's variables. None of them is required."""
        redis_url = os.environ.get("REDIS_URL") or DEFAULT_BROKER
        return cls(
            broker_url=os.environ.get("CELERY_BROKER_URL") or redis_url,
            result_url=os.environ.get("CELERY_RESULT_BACKEND") or redis_url,
        )


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of the web process."""

    database: DatabaseSettings
    upstream: UpstreamSettings
    queue: QueueSettings

    @classmethod
    def from_environment(cls) -> Settings:
        """Read the environment. A required variable that is missing ends the start."""
        return cls(
            database=DatabaseSettings(url=_required("DATABASE_URL")),
            upstream=UpstreamSettings(url=_required("EXTERNAL_DATA_URL")),
            queue=QueueSettings.from_environment(),
        )


def _required(name: str) -> str:
    value = os.environ.get(name)
    if not value:
        raise RuntimeError(f"the environment variable {name} is not set")
    return value
