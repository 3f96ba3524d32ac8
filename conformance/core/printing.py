"""Text of a target's as it may be printed: nothing in it acts on a terminal or on a runner."""

import re

# GitHub's runner and Azure's take these for commands anywhere in a line (actions/runner,
# ActionCommand.TryParse; Azure Pipelines, "Logging commands").
_COMMAND = re.compile(r"##(?=\[|vso\[)")


def escape_unprintable(text: str) -> str:
    """Text as one line: each control character, line end and the like becomes its escape.

    The beginning of a runner's command is taken apart.
    """
    if not text.isprintable():
        text = "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)
    return _COMMAND.sub("# #", text) if "##" in text else text
