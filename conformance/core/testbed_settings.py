"""The settings of a testbed: which kind of servers, which images, whose URLs."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class ServiceKind(StrEnum):
    """Where Postgres and Redis run."""

    AUTO = "auto"  # in containers if a Docker daemon answers, else embedded
    EMBEDDED = "embedded"  # as processes of this user, from wheels
    CONTAINERS = "containers"


@dataclass(frozen=True)
class TestbedSettings:
    """What a testbed is made of. Each value is checked already, and each path is absolute.

    `database_url` and `redis_url` are URLs of an administrator. A server that is given by
    its URL is not started. `target_image` and `worker_image` are pulled with the images of
    the servers, since the containers of a target join their network.
    """

    services: ServiceKind = ServiceKind.AUTO
    postgres_image: str = "postgres:18"
    redis_image: str = "redis:8"
    database_url: str | None = None
    redis_url: str | None = None
    upstream_port: int | None = None  # on 127.0.0.1; None for any free port
    target_image: str | None = None
    worker_image: str | None = None
    starts_services: bool = True  # False for --target-url: the service has its own already
    testbed_file: Path | None = None  # --testbed FILE, written by `conformance testbed`
    finds_testbed: bool = True  # look for that file in its usual place; False: --testbed none
