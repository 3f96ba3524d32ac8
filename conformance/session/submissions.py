"""The submissions that the target has answered, by the task id of the answer."""

from collections.abc import Callable

from conformance.client.task_ids import find_task_id
from conformance.core.evidence import Exchange, Fact

LONGEST = 16_384  # bytes of an answer, which is kept as long as the run; a right one has 100


class Submissions(dict[str, list[Exchange]]):
    """Every exchange that was answered with a task id. More than one for an id is a violation.

    Those of copies are left out: their brokers may be others.
    """

    def __init__(self, is_own: Callable[[str], bool]) -> None:
        super().__init__()
        self._is_own = is_own  # whether a URL is, or was, the target's

    def note(self, fact: Fact) -> None:
        """Keep a fact that is a submission's answer."""
        if not isinstance(fact, Exchange) or fact.method != "POST" or not self._is_own(fact.url):
            return
        if len(fact.body) <= LONGEST and (task_id := find_task_id(fact)) is not None:
            self.setdefault(task_id, []).append(fact)
