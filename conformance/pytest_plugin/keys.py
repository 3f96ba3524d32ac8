"""What the plugin keeps with pytest's own objects, and the markers of a probe."""

import pytest

from conformance.core.evidence import Fact
from conformance.session.run import Run

RUN = pytest.StashKey[Run]()
STARTED = pytest.StashKey[float]()  # when a probe began, in seconds since the run began
OBSERVED = pytest.StashKey[list[tuple[str, tuple[Fact, ...]]]]()  # of a MAY: texts and evidence

MARKERS = (
    "requirement(id): the requirement of the specification that a probe checks",
    "worker(state): whether the worker is 'running' or 'stopped' while a probe runs",
    "stage(name): when a probe is run, where its worker does not decide (see ordering.Stage)",
    "injects_fault: the target may not recover from the probe, and is started again then",
)
