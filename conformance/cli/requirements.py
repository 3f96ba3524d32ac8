"""`conformance list` and `conformance explain`: what is asked of a service."""

import argparse
import sys
from collections.abc import Iterator

from conformance.cli.arguments import add_language
from conformance.judging.verdict import Exit
from conformance.report.translations import translate
from conformance.report.wrapping import wrap_text
from conformance.spec.catalogue import (
    FOLDER,
    Language,
    Level,
    Requirement,
    catalogue,
    folder,
    sections,
)

WIDTH = 100


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `list` and `explain`."""
    listing = commands.add_parser("list", help="list the requirements")
    listing.add_argument(
        "--level", choices=[level.lower() for level in Level], help="only those of one level"
    )
    add_language(listing)
    listing.set_defaults(func=print_list, parser=listing)
    explaining = commands.add_parser(
        "explain", help="explain requirements: what, why, and the usual cause of a failure"
    )
    explaining.add_argument("id", nargs="+", metavar="ID", help="the id of a requirement")
    add_language(explaining)
    explaining.set_defaults(func=print_explanations, parser=explaining)


def print_list(chosen: argparse.Namespace) -> int:
    """Print the requirements; the exit status."""
    level = Level(chosen.level.upper()) if chosen.level else None
    print("\n".join(list_requirements(level, chosen.lang)))
    return Exit.PASSED


def list_requirements(level: Level | None, language: Language = Language.EN) -> list[str]:
    """The requirements, a line each, under their sections."""
    lines: list[str] = []
    for section in sections(language):
        chosen = [
            item
            for item in catalogue(language).values()
            if item.section == section.number and level in (None, item.level)
        ]
        if chosen:
            lines += ["", f"{section.number} {section.title}"]
        lines += [f"  {item.id:<8} {item.level:<7} {item.sentence}" for item in chosen]
    return lines[1:]


def print_explanations(chosen: argparse.Namespace) -> int:
    """Print what is known of each requirement; the exit status."""
    known = catalogue(chosen.lang)
    if unknown := [name for name in chosen.id if name.upper() not in known]:
        print(
            "conformance explain: arguments must be ids of requirements; "
            f"there is no {unknown[0]!r}. See 'conformance list'",
            file=sys.stderr,
        )
        return Exit.WRONG_USAGE
    print("\n\n".join(explain(known[name.upper()], chosen.lang) for name in chosen.id))
    return Exit.PASSED


def explain(requirement: Requirement, language: Language = Language.EN) -> str:
    """A requirement as a few paragraphs."""
    title = f"{requirement.id}  {requirement.level}  {requirement.sentence}  {requirement.source}"
    paragraphs = [wrap_text(text, WIDTH) for text in _write_paragraphs(requirement, language)]
    return "\n\n".join([title, *paragraphs])


def _write_paragraphs(requirement: Requirement, language: Language) -> Iterator[str]:
    path = (folder(language) / requirement.document).relative_to(FOLDER.parent)
    yield requirement.text
    yield translate("Why it matters: {}", language).format(requirement.why)
    yield translate("Usual cause of failing: {}", language).format(requirement.usual_cause)
    if requirement.mend:
        yield translate("How to fix: {}", language).format(requirement.mend)
    if requirement.needs:
        yield translate("Needs: {}", language).format(", ".join(requirement.needs))
    yield translate("Seen through: {}. Written in {}.", language).format(
        ", ".join(requirement.channels), f"{path}:{requirement.line}"
    )
    yield translate("Check it alone: {}", language).format(
        f"conformance run --only {requirement.id}"
    )
