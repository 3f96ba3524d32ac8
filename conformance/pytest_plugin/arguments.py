"""An entry point of pytest's: lets `pytest --target-dir DIR` mean what it says.

pytest looks for its settings beside every existing path among its arguments before any plugin has told it which flags
take a value (pytest's manual, "Initialization: determining rootdir and configfile"). A folder after `--target-dir` then
hides this project's own settings and conftest. So the flags that take paths are tied to their values, and pytest begins anew.
"""

from collections.abc import Generator, Sequence

import pytest

TAKE_PATHS = (
    "--target-dir",
    "--target-python",
    "--target-command",
    "--worker-command",
    "--restart-command",
    "--testbed",
    "--record",
    "--html",
)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_load_initial_conftests(
    early_config: pytest.Config, args: list[str]
) -> Generator[None, None, None]:
    """Begin anew with the given arguments tied. Ends in SystemExit with the status of the run that was begun.

    It encloses pytest's own wrapper, which captures the output: a run in there would say all that it says at its end.
    """
    given = list(early_config.invocation_params.args)
    tied = tie(given)
    if tied != given and args:
        raise SystemExit(pytest.main(tied))
    return (yield)


def tie(arguments: Sequence[str]) -> list[str]:
    """`--target-dir`, `DIR` becomes `--target-dir=DIR`."""
    tied: list[str] = []
    for argument in arguments:
        if tied and tied[-1] in TAKE_PATHS and not argument.startswith("-"):
            tied[-1] += f"={argument}"
        else:
            tied.append(argument)
    return tied
