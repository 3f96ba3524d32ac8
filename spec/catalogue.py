"""The catalogue: reads every requirement from the numbered Markdown documents beside this file."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from itertools import pairwise, product
from pathlib import Path

FOLDER = Path(__file__).resolve().parent  # the checkout has a link to it beside the other packages
PREFIXES = {"CONC": 1, "END": 2, "DB": 3, "UP": 4, "TASK": 5, "DEP": 6, "LIFE": 7, "HTTP": 8}

_HEADING = re.compile(r"### (?P<id>\S+) (?P<sentence>.+)")
_FACTS = re.compile(
    r"(?P<level>MUST|SHOULD|MAY) · (?P<source>§[\d.]+(?:, §[\d.]+)*) · (?P<channels>[a-z, ]+)"
)
# What a paragraph begins with, in each language that the documents are written in.
WHY = ("Why it matters.", "为何重要。")
USUAL_CAUSE = ("Usual cause.", "常见原因。")
MEND = ("How to fix.", "如何修复。")
NEEDS = ("Needs.", "前提。")
_ID = re.compile(r"(?P<prefix>[A-Z]+)-[1-9]\d*")


class Level(StrEnum):
    """The class of a requirement.

    MUST: the source tutorial says so. SHOULD: users expect it in production. MAY: only observed.
    """

    MUST = "MUST"
    SHOULD = "SHOULD"
    MAY = "MAY"


class Channel(StrEnum):
    """A way in which the suite can observe a service; a requirement lists those that it needs."""

    HTTP = "http"
    POSTGRES = "postgres"
    REDIS = "redis"
    UPSTREAM = "upstream"
    PROCESS = "process"  # the service can be stopped and started
    COPY = "copy"  # further copies of the service can be started
    WORKER = "worker"
    SOURCE = "source"  # the application's routes can be read


class Language(StrEnum):
    """A language that the specification is written in; ids and levels are the same in each."""

    EN = "en"
    ZH = "zh"


class CatalogueError(Exception):
    """A specification document that cannot be read; the message begins with file and line."""


@dataclass(frozen=True)
class Requirement:
    """One normative sentence, with what it takes to see it and where to look when it fails."""

    id: str
    sentence: str
    level: Level
    source: str  # "§3.2", or several
    channels: tuple[Channel, ...]
    text: str
    why: str
    usual_cause: str
    mend: str  # how to fix it; empty unless the level is SHOULD
    document: str  # file name in this folder
    line: int
    needs: tuple[str, ...] = ()  # ids: if one of them fails, this says little of its own

    @property
    def section(self) -> int:
        """The number of the section, 1 to 8, that the requirement stands in."""
        return int(self.document.split("-", 1)[0])


@dataclass(frozen=True)
class Section:
    """One document of the specification."""

    number: int
    title: str
    document: str


def catalogue(language: Language = Language.EN) -> dict[str, Requirement]:
    """Every requirement by id, in the order of the documents. Raises CatalogueError."""
    return _catalogue(language)


@cache
def _catalogue(language: Language) -> dict[str, Requirement]:
    return read(folder(language))


@cache
def sections(language: Language = Language.EN) -> tuple[Section, ...]:
    """The sections in order, titled as their documents are."""
    return tuple(
        Section(
            int(path.name.split("-", 1)[0]),
            path.read_text("utf-8").split("\n", 1)[0].split(" ", 2)[2],
            path.name,
        )
        for path in documents(folder(language))
    )


def folder(language: Language) -> Path:
    """Where the documents of a language are."""
    return FOLDER if language is Language.EN else FOLDER / language


def documents(place: Path) -> list[Path]:
    """The numbered documents of a folder, in order."""
    return sorted(place.glob("[1-9]-*.md"))


def read(place: Path) -> dict[str, Requirement]:
    """Read the requirements of all numbered documents in a folder.

    Raises CatalogueError for a wrong or repeated id.
    """
    found: dict[str, Requirement] = {}
    for path in documents(place):
        for requirement in _requirements(path):
            if earlier := found.get(requirement.id):
                raise CatalogueError(
                    f"{path.name}:{requirement.line}: {requirement.id} is already defined at "
                    f"{earlier.document}:{earlier.line}; ids are permanent and unique, "
                    "so give this one the next free number"
                )
            found[requirement.id] = requirement
    return found


def _requirements(path: Path) -> Iterator[Requirement]:
    lines = path.read_text("utf-8").splitlines()
    starts = [number for number, line in enumerate(lines) if line.startswith("### ")]
    for start, end in pairwise([*starts, len(lines)]):
        yield _requirement(path.name, start + 1, lines[start:end])


def _requirement(document: str, line: int, block: list[str]) -> Requirement:
    where = f"{document}:{line}"
    heading = _HEADING.fullmatch(block[0])
    identity = _ID.fullmatch(heading["id"]) if heading else None
    if heading is None or identity is None or identity["prefix"] not in PREFIXES:
        raise CatalogueError(
            f"{where}: wanted '### ID sentence' with an id such as DB-2 "
            f"({', '.join(PREFIXES)}), got {block[0]!r}"
        )
    if PREFIXES[identity["prefix"]] != int(document.split("-", 1)[0]):
        raise CatalogueError(
            f"{where}: {heading['id']} belongs in section {PREFIXES[identity['prefix']]}"
        )
    paragraphs = [" ".join(part.split("\n")) for part in "\n".join(block[1:]).strip().split("\n\n")]
    facts = _FACTS.fullmatch(paragraphs[0])
    if facts is None:
        raise CatalogueError(
            f"{where}: wanted 'LEVEL · §section · channels' under {heading['id']}, "
            f"got {paragraphs[0]!r}"
        )
    names = facts["channels"].split(", ")
    if unknown := set(names) - set(Channel):
        raise CatalogueError(
            f"{where}: no channel {', '.join(sorted(unknown))}; there are {', '.join(Channel)}"
        )
    return Requirement(
        id=heading["id"],
        sentence=heading["sentence"],
        level=Level(facts["level"]),
        source=facts["source"],
        channels=tuple(map(Channel, names)),
        text="\n\n".join(part for part in paragraphs[1:] if not part.startswith("**")),
        why=_labelled(paragraphs, WHY, where),
        usual_cause=_labelled(paragraphs, USUAL_CAUSE, where),
        mend=_labelled(paragraphs, MEND, where) if facts["level"] == Level.SHOULD else "",
        document=document,
        line=line,
        needs=_needs(paragraphs, where),
    )


def _needs(paragraphs: list[str], where: str) -> tuple[str, ...]:
    """The ids in the paragraph that says what a requirement needs, if it has one."""
    if not any(part.startswith(f"**{label}**") for part in paragraphs for label in NEEDS):
        return ()
    names = tuple(_labelled(paragraphs, NEEDS, where).split(", "))
    if wrong := [name for name in names if not _ID.fullmatch(name)]:
        raise CatalogueError(f"{where}: wanted ids after '**{NEEDS[0]}**', got {wrong[0]!r}")
    return names


def _labelled(paragraphs: list[str], labels: tuple[str, ...], where: str) -> str:
    for paragraph, label in product(paragraphs, labels):
        if paragraph.startswith(f"**{label}** "):
            return paragraph.removeprefix(f"**{label}** ")
    raise CatalogueError(f"{where}: no paragraph '**{labels[0]}** …'")
