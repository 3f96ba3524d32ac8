"""The families of blame, told along a run's lifecycle: who may raise what, and what becomes of it.

====================  ==============================  =====================================  ==========================
family                means                           raised by                              becomes
====================  ==============================  =====================================  ==========================
`WrongUsage`          the caller is wrong             options, and the first start of all    exit status 4, no verdicts
`BrokenTestbed`       the testbed or our own code is  testbed, client, probes                ERROR
`Violation`           the target is wrong             expectations and probes, on evidence   FAIL
`NoEvidence`          nobody is; it cannot be seen    probes, for want of a channel          INCONCLUSIVE
====================  ==============================  =====================================  ==========================

Anything else that a probe raises is our own defect, and an ERROR.
"""

from collections.abc import Sequence

from conformance.core.evidence import Fact


class WrongUsage(Exception):
    """The caller asked for what cannot be: one sentence that says what was wanted and what to do."""


class BrokenTestbed(Exception):
    """Postgres, Redis, the upstream stub or our own code failed; the target is not to blame."""


class NoEvidence(Exception):
    """A situation that could not be produced or seen; the message says what to pass to get it."""


class Violation(Exception):
    """The target does not do what a requirement says, shown by evidence."""

    def __init__(
        self, expected: str, got: str, evidence: Sequence[Fact] = (), look_at: str | None = None
    ) -> None:
        super().__init__(f"expected {expected}, got {got}")
        self.expected = expected
        self.got = got
        self.evidence = tuple(evidence)
        self.look_at = look_at
