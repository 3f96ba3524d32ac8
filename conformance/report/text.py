"""Text: the summary that a run prints at its end, of each run, and of several what differs."""

from collections.abc import Iterator, Sequence

from conformance.core.printing import escape_unprintable
from conformance.judging.result import RunResult
from conformance.report.joins import describe_verdict, find_differences
from conformance.report.terminal import summarize_run
from conformance.report.translations import translate
from conformance.report.wrapping import pad_text
from conformance.spec.catalogue import Language

NAME = 12  # columns of an id
CELL = 16  # columns of a verdict


def render_text(runs: Sequence[RunResult], language: Language) -> str:
    """The summary of each run. Of several, first what differs."""
    pages = ["\n".join(line.text for line in summarize_run(run, language)) for run in runs]
    if len(runs) > 1:
        pages.insert(0, "\n".join(_list_differences(runs, language)))
    return "\n\n".join(pages) + "\n"


def _list_differences(runs: Sequence[RunResult], language: Language) -> Iterator[str]:
    """What differs between runs: a line for each requirement and a column for each run."""
    for number, run in enumerate(runs, 1):
        claim = translate(run.claim or "no claim", language)
        yield escape_unprintable(f"{number}  {run.target}: {claim}")
    rows = find_differences(runs)
    if not rows:
        yield translate("Every requirement has the same verdict in each.", language)
        return
    yield ""
    numbers = (pad_text(str(number), CELL) for number in range(1, len(runs) + 1))
    yield pad_text("", NAME) + "".join(numbers).rstrip()
    for name, row in rows:
        cells = (pad_text(describe_verdict(each, language), CELL) for each in row)
        yield escape_unprintable(pad_text(name, NAME) + "".join(cells).rstrip())
