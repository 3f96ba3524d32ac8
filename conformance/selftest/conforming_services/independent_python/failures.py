"""The failures that the gateways report, and that callers may hear of."""

from __future__ import annotations


class ServiceFailure(Exception):
    """Something that the service needs has failed. Only `detail` is told to callers."""

    status_code = 503
    detail = "the service is not available"


class DatabaseUnavailable(ServiceFailure):
    """The read could not be made."""

    detail = "the item cannot be read at the moment"


class QueueUnavailable(ServiceFailure):
    """The task could not be queued."""

    detail = "the task cannot be queued at the moment"


class UpstreamUnreachable(ServiceFailure):
    """The upstream could not be reached, or broke the connection."""

    status_code = 502
    detail = "the upstream cannot be reached"


class UpstreamAnswerInvalid(ServiceFailure):
    """The upstream answered with something other than a JSON document."""

    status_code = 502
    detail = "the upstream's answer is not usable"


class UpstreamTooSlow(ServiceFailure):
    """The upstream did not complete its answer in time."""

    status_code = 504
    detail = "the upstream did not answer in time"
