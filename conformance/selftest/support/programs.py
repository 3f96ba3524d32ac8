"""Steps of programs of the stateful scenario, for property tests."""

from hypothesis import strategies as st

from conformance.scenarios.program import (
    ACTIONS_WITH_SLOT,
    QUESTIONS,
    SLOTS,
    Action,
    Step,
    make_ask_step,
)

STEPS = st.one_of(
    st.builds(Step, st.sampled_from(ACTIONS_WITH_SLOT), st.integers(0, SLOTS - 1)),
    st.builds(Step, st.sampled_from(sorted({*Action} - {*ACTIONS_WITH_SLOT, Action.ASK}))),
    st.lists(st.sampled_from(QUESTIONS), min_size=1).map(
        lambda questions: make_ask_step(*questions)
    ),
)
