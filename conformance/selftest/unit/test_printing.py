"""What is printed: a text of a target's acts neither on a terminal nor on a runner of CI."""

import pytest

from conformance.core.errors import WrongUsage
from conformance.core.printing import escape_unprintable


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("plain, größer, 中文", "plain, größer, 中文"),
        ("\x1b[2J", "\\x1b[2J"),
        ("a\nb\r\u202e", "a\\nb\\r\\u202e"),
        ("\ud800", "\\ud800"),
        ("x ##[error]y", "x # #[error]y"),
        ("##vso[task.complete]", "# #vso[task.complete]"),
        ("###[group]", "## #[group]"),
        ("## a heading, ##vs", "## a heading, ##vs"),
    ],
)
def test_a_text_is_one_line_without_commands(text: str, printed: str) -> None:
    assert escape_unprintable(text) == printed


def test_wrong_usage_quotes_nothing_raw() -> None:
    assert str(WrongUsage("x; \x1b]0;title\x07")) == "x; \\x1b]0;title\\x07"
