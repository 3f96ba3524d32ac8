"""The submissions that the target has answered, by the task id of the answer."""

from collections.abc import Callable

from conformance.core.evidence import Exchange, Fact
from conformance.spec.model import read_task_id


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
        if fact.status in range(200, 300) and (task_id := read_task_id(fact.body)) is not None:
            self.setdefault(task_id, []).append(fact)
