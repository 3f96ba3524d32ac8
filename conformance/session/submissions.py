"""The submissions that the target has answered, by the task id of the answer."""

from contextlib import suppress

from conformance.core.decoding import decode_json
from conformance.core.evidence import Exchange, Fact

LONGEST = 16_384  # bytes of an answer, which is kept as long as the run; a right one has 100


class Submissions(dict[str, list[Exchange]]):
    """Every exchange that was answered with a task id. More than one for an id is a violation."""

    def note(self, fact: Fact) -> None:
        """Keep a fact that is a submission's answer."""
        if not isinstance(fact, Exchange) or fact.method != "POST":
            return
        if fact.status in range(200, 300) and len(fact.body) <= LONGEST:
            with suppress(ValueError, TypeError, KeyError):
                task_id = str(decode_json(fact.body)["task_id"])
                self.setdefault(task_id, []).append(fact)
