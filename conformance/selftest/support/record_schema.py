"""The schema of a record, and a check of lines against it."""

import json
from typing import Any

import jsonschema

from conformance.config.paths import PROJECT

SCHEMA = json.loads((PROJECT / "conformance" / "report" / "record.schema.json").read_text("utf-8"))
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA, format_checker=jsonschema.FormatChecker())


def expect_valid(lines: list[dict[str, Any]]) -> None:
    """Fail unless every line is as the schema says."""
    assert lines
    for line in lines:
        VALIDATOR.validate(line)
