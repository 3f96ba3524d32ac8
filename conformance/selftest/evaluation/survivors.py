"""The mutants of the reference that survive, and why nothing fails of each.

`survivors.json` has the names of the mutants, by the reason why they survive.
"""

import json
from collections.abc import Mapping
from pathlib import Path

NOT_STARTED = "does not start"
FAILED = "the suite failed"

_REASONS: Mapping[str, list[str]] = json.loads(
    Path(__file__).with_name("survivors.json").read_text("utf-8")
)
SURVIVORS: Mapping[str, str] = {
    name: reason for reason, names in _REASONS.items() for name in names
}
