"""What may be done to a target and what can be seen of it, decided once from how it was given."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from conformance.config.options import Options
from conformance.spec.catalogue import Channel


class TargetForm(StrEnum):
    """Who has started the target, and as what."""

    OWNED_PROCESS = "owned process"
    OWNED_CONTAINER = "owned container"
    EXTERNAL_CONTAINER = "external container"
    EXTERNAL_COMMAND = "external process with a restart command"
    URL_ONLY = "URL alone"


OWNED = (TargetForm.OWNED_PROCESS, TargetForm.OWNED_CONTAINER)
COPIED = (*OWNED, TargetForm.EXTERNAL_CONTAINER)
IN_CONTAINER = (TargetForm.OWNED_CONTAINER, TargetForm.EXTERNAL_CONTAINER)
OUTPUT_UNSEEN = (TargetForm.EXTERNAL_COMMAND, TargetForm.URL_ONLY)

# What a requirement of the channel `source` is about that no other target has.
NO_SOURCE = (
    "the target is not a FastAPI application that the suite can import (--target-app), so there"
    " are no routes whose source could be read"
)

# What to pass so that a channel can be observed. What cannot be imported has no source to observe:
# see NO_SOURCE.
REMEDIES: Mapping[Channel, str] = {
    Channel.POSTGRES: (
        "--testbed FILE of a `conformance testbed`, "
        "or --database-url with an administrator's URL of the target's own database"
    ),
    Channel.REDIS: (
        "--testbed FILE of a `conformance testbed`, "
        "or --redis-url with an administrator's URL of the target's own Redis database"
    ),
    Channel.UPSTREAM: (
        "--testbed FILE of a `conformance testbed`, or --upstream-port PORT, and start the target "
        "with EXTERNAL_DATA_URL=http://127.0.0.1:PORT/posts?userId=1&tag=a%20b&tag=c"
    ),
    Channel.PROCESS: (
        "--container NAME or --restart-command CMD, "
        "so that the suite may stop the service and start it again"
    ),
    Channel.COPY: (
        "--container NAME, or --target-app, --target-command or --target-image in place of "
        "--target-url, so that the suite starts copies on other settings"
    ),
    Channel.WORKER: "--worker-app MODULE:ATTR, --worker-command CMD or --worker-container NAME",
}


@dataclass(frozen=True)
class Capabilities:
    """What a run may do to its target and see of it. What depends on the form asks here."""

    form: TargetForm
    starts_target: bool  # the suite starts it, on services of the suite's own
    stops_target: bool  # the suite may stop it and start it again
    starts_copies: bool  # the suite may start further copies, on other settings
    runs_in_container: bool
    reads_output: bool  # what it prints
    reads_source: bool  # its application can be imported by its own interpreter
    has_worker: bool  # the suite can start and stop its worker

    @classmethod
    def of(cls, options: Options) -> "Capabilities":
        """The capabilities of a run with these options."""
        form = find_form(options)
        starts_target = form in OWNED
        return cls(
            form=form,
            starts_target=starts_target,
            stops_target=form is not TargetForm.URL_ONLY,
            starts_copies=form in COPIED,
            runs_in_container=form in IN_CONTAINER,
            reads_output=form not in OUTPUT_UNSEEN,
            reads_source=form is TargetForm.OWNED_PROCESS and options.target.app is not None,
            has_worker=options.worker.is_given,
        )

    @property
    def channels(self) -> frozenset[Channel]:
        """The channels that depend on the target's form alone, not on the services it uses."""
        there = {
            Channel.HTTP: True,
            Channel.PROCESS: self.stops_target,
            Channel.COPY: self.starts_copies,
            Channel.WORKER: self.has_worker,
            Channel.SOURCE: self.reads_source,
        }
        return frozenset(channel for channel, is_there in there.items() if is_there)


def find_form(options: Options) -> TargetForm:
    """The form in which a target was given."""
    if options.target.image:
        return TargetForm.OWNED_CONTAINER
    if not options.target.url:
        return TargetForm.OWNED_PROCESS
    if options.target.container:
        return TargetForm.EXTERNAL_CONTAINER
    return TargetForm.EXTERNAL_COMMAND if options.target.restart_command else TargetForm.URL_ONLY
