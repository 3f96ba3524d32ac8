"""What the sub-commands share: how they refuse arguments, and which options they have."""

import argparse
import sys
from collections.abc import Collection, Mapping
from typing import Any, NoReturn

from conformance.config.definitions import DEFINITIONS, Group, Kind, OptionDefinition
from conformance.judging.verdict import Exit
from conformance.spec.catalogue import Language


class Parser(argparse.ArgumentParser):
    """A parser that refuses arguments with one sentence and the exit status of wrong usage."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**{"allow_abbrev": False, **settings})

    def error(self, message: str) -> NoReturn:
        """Print the sentence and exit."""
        print(f"{self.prog}: {message}. See '{self.prog} --help'", file=sys.stderr)
        sys.exit(Exit.WRONG_USAGE)


def add_language(parser: argparse.ArgumentParser) -> None:
    """Add `--lang`."""
    languages = ", ".join(Language)
    parser.add_argument(
        "--lang",
        type=_read_language,
        default=Language.EN,
        metavar="LANGUAGE",
        help=f"one of {languages} (default: en)",
    )


def _read_language(text: str) -> Language:
    try:
        return Language(text)
    except ValueError as error:
        languages = ", ".join(Language)
        raise argparse.ArgumentTypeError(f"must be one of {languages}, not {text!r}") from error


def add_run_options(
    parser: argparse.ArgumentParser, names: Collection[str] = tuple(DEFINITIONS)
) -> None:
    """Add the options of a run, in groups."""
    for group in Group:
        definitions = [each for each in DEFINITIONS.values() if each.group is group]
        if not any(each.name in names for each in definitions):
            continue
        section = parser.add_argument_group(group)
        for each in definitions:
            if each.name in names:
                _add_option(section, each)


def _add_option(section: "argparse._ArgumentGroup", definition: OptionDefinition) -> None:
    settings: dict[str, Any] = {"dest": definition.dest, "default": None, "help": definition.help}
    match definition.kind:
        case Kind.BOOLEAN:
            settings |= {"action": argparse.BooleanOptionalAction}
        case Kind.STRINGS:
            settings |= {"action": "extend", "nargs": "+", "metavar": definition.metavar}
        case Kind.STRING | Kind.INTEGER:
            settings |= {"metavar": definition.metavar}
    section.add_argument(definition.name, **settings)


def find_given_options(
    chosen: argparse.Namespace, names: Collection[str] = tuple(DEFINITIONS)
) -> Mapping[str, Any]:
    """The options of a run that were given, by name."""
    values = {name: getattr(chosen, DEFINITIONS[name].dest) for name in names}
    return {name: value for name, value in values.items() if value is not None}
