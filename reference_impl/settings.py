"""Settings: what the service reads from its environment."""

import os
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """Where the three services are that this one depends on."""

    database_url: str
    broker_url: str
    result_backend_url: str
    external_data_url: str

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Settings":
        """Read the settings; a missing one is a `KeyError` that names it."""
        redis_url = environment.get("REDIS_URL", "redis://localhost:6379/0")
        return cls(
            database_url=environment["DATABASE_URL"],
            broker_url=environment.get("CELERY_BROKER_URL", redis_url),
            result_backend_url=environment.get("CELERY_RESULT_BACKEND", redis_url),
            external_data_url=environment["EXTERNAL_DATA_URL"],
        )
