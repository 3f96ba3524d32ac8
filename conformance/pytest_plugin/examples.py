"""How many examples properties are tried with, and what the examples are drawn from."""

import hypothesis
from hypothesis import Phase
from hypothesis.internal.conjecture import providers
from hypothesis.internal.constants_ast import Constants

from conformance.core import timeouts


def set_examples() -> None:
    """Register how properties are tried.

    It must be registered before the probes are imported: `@given` reads it at decoration.
    """
    phases = [Phase.explicit, Phase.generate, Phase.shrink]
    hypothesis.settings.register_profile(
        "probe",
        deadline=None,
        database=None,
        max_examples=timeouts.EXAMPLES,
        phases=phases,
        print_blob=False,
        report_multiple_bugs=False,
    )
    hypothesis.settings.load_profile("probe")
    leave_out_own_constants()


def leave_out_own_constants() -> None:
    """Draw no example from the source of the suite.

    Hypothesis parses each module that is outside of site-packages, and draws some values from its
    constants. In a checkout that would be the suite itself: it takes 0.75 s of processor time in
    each run, and an installed suite would draw other examples. Hypothesis has no option for it.
    """
    providers._get_local_constants = Constants  # noqa: SLF001
