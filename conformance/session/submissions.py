"""The submissions that the target has answered, by the task id of the answer."""

import json
from contextlib import suppress

from conformance.core.evidence import Exchange, Fact


class Submissions(dict[str, list[Exchange]]):
    """Every exchange that was answered with a task id. More than one for an id is a violation."""

    def note(self, fact: Fact) -> None:
        """Keep a fact that is a submission's answer."""
        if not isinstance(fact, Exchange) or fact.method != "POST":
            return
        if fact.status in range(200, 300):
            with suppress(ValueError, TypeError, KeyError, RecursionError):
                task_id = str(json.loads(fact.body)["task_id"])
                self.setdefault(task_id, []).append(fact)
