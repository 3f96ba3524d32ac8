"""The kinds of failure: who is to blame, who may raise what, and which verdict it becomes.

===============  =============================  ================================  ==============
exception        meaning                        raised by                         becomes
===============  =============================  ================================  ==============
`WrongUsage`     the caller made a mistake      options, the first start of all   exit status 4
`BrokenTestbed`  the testbed or our code broke  testbed, client, probes           ERROR
`Violation`      the target is wrong            assertions, probes, on evidence   FAIL
`NoEvidence`     it could not be observed       probes, checks of channels        INCONCLUSIVE
`NotApplicable`  the target has no such thing   checks of channels, reading code  NOT_APPLICABLE
===============  =============================  ================================  ==============

`Unreadable` is a Violation that may also be raised where something of the target's is decoded. What
a target's data does to our own code is the target's failure. An ERROR is only what something of
ours beside it, such as a connection of our own, suffers too.

Any other exception that a probe raises is a defect of the suite, and an ERROR.

`NoEvidence` and `NotApplicable` differ in whether another run could judge the requirement. What
another option, or another attempt, would show is `NoEvidence`. What this target does not have, in
whatever way it is judged, is `NotApplicable`.
"""

from collections.abc import Sequence

from conformance.core.evidence import Fact
from conformance.core.printing import escape_unprintable
from conformance.spec.catalogue import Channel


class WrongUsage(Exception):
    """The caller asked for something impossible. One sentence: what was expected, what to do.

    It may quote a file or a process of the target's, and is printed as it is.
    """

    def __init__(self, message: str) -> None:
        super().__init__(escape_unprintable(message))


class BrokenTestbed(Exception):
    """Postgres, Redis, the upstream stub or our own code failed. The target is not to blame."""


class PortTaken(BrokenTestbed):
    """Somebody else's process listens on the port that a copy of the target was given.

    Nothing that it answers says anything of the target. Whoever has started the copy starts
    another, on another port.
    """


class NoEvidence(Exception):
    """A situation could not be produced or observed.

    `missing` are the channels that this run does not have. Where there are any, the message says
    which options would provide them. `evidence` shows why it could not be produced.
    """

    def __init__(
        self, message: str, missing: Sequence[Channel] = (), evidence: Sequence[Fact] = ()
    ) -> None:
        super().__init__(message)
        self.missing = tuple(missing)
        self.evidence = tuple(evidence)


class NotApplicable(Exception):
    """The requirement is about something that this target does not have. The message says what."""


class Violation(Exception):
    """The target does not do what a requirement says, as the evidence shows.

    `likely_cause` says where to look. Without one, reports show the requirement's usual cause.
    """

    def __init__(
        self,
        expected: str,
        got: str,
        evidence: Sequence[Fact] = (),
        likely_cause: str | None = None,
    ) -> None:
        super().__init__(f"expected {expected}, got {got}")
        self.expected = expected
        self.got = got
        self.evidence = tuple(evidence)
        self.likely_cause = likely_cause


class Unreadable(Violation):
    """Something that the target said could not be read. `what` is a noun, such as "its answer"."""

    def __init__(self, what: str, why: object, evidence: Sequence[Fact] = ()) -> None:
        super().__init__(f"{what} to be readable", f"{what} could not be read: {why}", evidence)
