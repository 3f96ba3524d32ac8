"""The catalogue and its tables: each requirement is read and probed, each limit is a constant."""

import ast
import re
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest
import yaml
from openapi_spec_validator import validate
from schemathesis.checks import CHECKS, load_all_checks

from conformance.client import schema_cases
from conformance.config.paths import PROJECT
from conformance.core import timeouts
from conformance.spec.catalogue import (
    FOLDER,
    CatalogueError,
    Channel,
    Language,
    Level,
    catalogue,
    folder,
    read,
    sections,
)

BLOCK = (
    "### {id} A sentence\n\n{facts}\n\nText.\n\n"
    "**Why it matters.** Because.\n\n**Usual cause.** a slip\n\n"
)
FACTS = "MUST · §3.2 · http, postgres"

# The parts of core/timeouts.py, in order, with the tables of spec/README.md that show them.
LIMITS, OWN_LIMITS, AMOUNTS = range(1, 4)
PART = re.compile(r"^# Part (\d): ", re.MULTILINE)
ROW = re.compile(r"\| [^|]+<!-- (\w+) --> \| ([\d.]+) \| [^|]+ \| ([^|]+) \|")
ID = re.compile(r"\b[A-Z]+-\d+\b")
SECONDS = {
    Language.EN: re.compile(r"\b(\d+(?:\.\d+)?) s\b"),
    Language.ZH: re.compile(r"(\d+(?:\.\d+)?) 秒"),
}

# What the suite can observe of a target that is given by these options, and of its worker.
ON_A_TESTBED = frozenset({"http", "postgres", "redis", "upstream", "worker"})
OBSERVABLE = {
    ("--target-app",): frozenset(Channel),
    ("--target-command",): frozenset(Channel) - {"source"},
    ("--target-image",): frozenset(Channel) - {"source"},
    ("--target-url",): frozenset({"http", "worker"}),
    ("--target-url", "--testbed"): ON_A_TESTBED,
    ("--target-url", "--testbed", "--restart-command"): ON_A_TESTBED | {"process"},
    ("--target-url", "--testbed", "--container"): ON_A_TESTBED | {"process", "copy"},
}
# These need the output or the exit status of the process, which only its parent has.
HIDDEN_BY_A_RESTART_COMMAND = {"LIFE-1", "LIFE-2", "LIFE-3", "LIFE-5"}
FORM = re.compile(r"\| [^|]+ \| ([^|]*--target-[^|]+) \| ([^|]+) \| ([^|]+) \| ([^|]+) \|")


def write_document(place: Path, *blocks: str, name: str = "3-database.md") -> Path:
    """Write one document into a folder, and return the folder."""
    (place / name).write_text("# 3 Database\n\n" + "".join(blocks), "utf-8")
    return place


def read_readme(language: Language) -> str:
    """The text of the specification's README in a language."""
    return (folder(language) / "README.md").read_text("utf-8")


def constants_by_part() -> dict[int, dict[str, float]]:
    """The constants of core/timeouts.py with their values, by the part of the file they are in."""
    source = Path(timeouts.__file__).read_text("utf-8")
    texts = PART.split(source)[1:]
    parts = zip(map(int, texts[::2]), texts[1::2], strict=True)
    return {
        number: {
            name: getattr(timeouts, name)
            for name in re.findall(r"^([A-Z_]+) = ", text, re.MULTILINE)
        }
        for number, text in parts
    }


def rows_of_limits(language: Language) -> Iterator[tuple[str, float, set[str]]]:
    """The constant, the number and the requirements' ids in each row of the two tables."""
    for constant, number, requirements in ROW.findall(read_readme(language)):
        yield constant, float(number), set(ID.findall(requirements))


def find_probed_requirements() -> list[str]:
    """The requirement of every probe, in the order of the files."""
    found: list[str] = []
    for path in sorted((PROJECT / "conformance" / "probes").glob("test_*.py")):
        calls = (
            node
            for node in ast.walk(ast.parse(path.read_text("utf-8")))
            if isinstance(node, ast.Call)
        )
        found += (
            ast.literal_eval(call.args[0])
            for call in calls
            if ast.unparse(call.func) == "pytest.mark.requirement"
        )
    return found


def test_every_requirement_of_the_documents_is_read() -> None:
    headings = [
        line
        for path in FOLDER.glob("[1-9]-*.md")
        for line in path.read_text("utf-8").splitlines()
        if line.startswith("### ")
    ]
    assert len(catalogue()) == len(headings) == len(set(headings))
    assert [section.number for section in sections()] == [1, 2, 3, 4, 5, 6, 7, 8]


def test_a_requirement_is_read_whole(tmp_path: Path) -> None:
    requirement = read(write_document(tmp_path, BLOCK.format(id="DB-2", facts=FACTS)))["DB-2"]
    assert (requirement.sentence, requirement.level, requirement.source) == (
        "A sentence",
        Level.MUST,
        "§3.2",
    )
    assert (requirement.channels, requirement.section, requirement.line) == (
        ("http", "postgres"),
        3,
        3,
    )
    assert (requirement.text, requirement.why, requirement.usual_cause) == (
        "Text.",
        "Because.",
        "a slip",
    )


def test_a_requirement_says_what_it_needs(tmp_path: Path) -> None:
    block = BLOCK.format(id="DB-2", facts=FACTS)
    needs = "**Needs.** DB-1,\nLIFE-1\n\n"
    requirements = read(
        write_document(tmp_path, block + needs, BLOCK.format(id="DB-3", facts=FACTS))
    )
    assert requirements["DB-2"].needs == ("DB-1", "LIFE-1")
    assert requirements["DB-3"].needs == ()
    assert requirements["DB-2"].text == "Text."


@pytest.mark.parametrize("language", Language)
def test_what_a_requirement_needs_is_there_and_never_needs_it_in_turn(language: Language) -> None:
    needs = {name: requirement.needs for name, requirement in catalogue(language).items()}
    assert sum(map(bool, needs.values())) > len(needs) // 2
    assert {each for names in needs.values() for each in names} <= set(needs)
    tuple(TopologicalSorter(needs).static_order())  # raises CycleError


@pytest.mark.parametrize(
    ("blocks", "message"),
    [
        (
            [BLOCK.format(id="DB-2", facts=FACTS) + "**Needs.** DB-1 and DB-3\n\n"],
            "3-database.md:3: wanted ids after '**Needs.**', got 'DB-1 and DB-3'",
        ),
        (
            [BLOCK.format(id="db-2", facts=FACTS)],
            "3-database.md:3: wanted '### ID sentence' with an id such as DB-2",
        ),
        ([BLOCK.format(id="DB-02", facts=FACTS)], "3-database.md:3: wanted '### ID sentence'"),
        ([BLOCK.format(id="XY-2", facts=FACTS)], "3-database.md:3: wanted '### ID sentence'"),
        ([BLOCK.format(id="UP-2", facts=FACTS)], "3-database.md:3: UP-2 belongs in section 4"),
        (
            [BLOCK.format(id="DB-2", facts=FACTS)] * 2,
            "3-database.md:13: DB-2 is already defined at 3-database.md:3",
        ),
        (
            [BLOCK.format(id="DB-2", facts="MUST, §3.2, http")],
            "3-database.md:3: wanted 'LEVEL · §section · channels' under DB-2",
        ),
        (
            [BLOCK.format(id="DB-2", facts="MUST · §3.2 · mail")],
            "3-database.md:3: no channel mail; there are http, postgres",
        ),
        (
            [BLOCK.format(id="DB-2", facts=FACTS).replace("**Why", "**Wy")],
            "3-database.md:3: no paragraph '**Why it matters.** …'",
        ),
    ],
)
def test_a_wrong_document_is_an_error_that_names_file_and_line(
    tmp_path: Path, blocks: list[str], message: str
) -> None:
    with pytest.raises(CatalogueError) as caught:
        read(write_document(tmp_path, *blocks))
    assert str(caught.value).startswith(message)


def test_every_requirement_is_probed_and_every_probe_has_one() -> None:
    assert set(find_probed_requirements()) == set(catalogue())


def test_a_probe_stands_in_the_file_of_its_section() -> None:
    for path in (PROJECT / "conformance" / "probes").glob("test_*.py"):
        section = int(path.name.split("_")[1])
        ids = [
            name for name in find_probed_requirements() if f'"{name}"' in path.read_text("utf-8")
        ]
        assert {catalogue()[name].section for name in ids} <= {section}


def test_every_should_says_how_to_fix_it_and_no_other_does() -> None:
    assert {name for name, requirement in catalogue().items() if requirement.mend} == {
        name for name, requirement in catalogue().items() if requirement.level is Level.SHOULD
    }


def test_every_check_of_schemathesis_is_on_or_off_by_name() -> None:
    load_all_checks()
    assert sorted(CHECKS.get_all_names()) == sorted([*schema_cases.JUDGED_BY, *schema_cases.OFF])
    assert set(schema_cases.JUDGED_BY.values()) <= set(catalogue())


def test_the_wire_contract_is_valid_openapi_and_has_every_endpoint() -> None:
    contract = yaml.safe_load((FOLDER / "openapi.yaml").read_text("utf-8"))
    validate(contract)
    assert contract["openapi"].startswith("3.1")
    assert set(contract["paths"]) == {
        "/sync",
        "/async",
        "/items/",
        "/items/{item_id}",
        "/external-data",
        "/process-data/",
    }


def test_the_parts_of_the_timeouts_have_every_constant() -> None:
    parts = constants_by_part()
    assert list(parts) == [LIMITS, OWN_LIMITS, AMOUNTS]
    named = [name for part in parts.values() for name in part]
    assert sorted(named) == sorted(name for name in vars(timeouts) if name.isupper())


@pytest.mark.parametrize("language", Language)
def test_the_tables_have_every_limit_that_can_fail_a_service_and_every_amount(
    language: Language,
) -> None:
    parts = constants_by_part()
    rows = list(rows_of_limits(language))
    assert [constant for constant, _, _ in rows if constant in parts[OWN_LIMITS]] == []
    assert len(rows) == len({constant for constant, _, _ in rows})
    assert {constant: number for constant, number, _ in rows} == parts[LIMITS] | parts[AMOUNTS]


@pytest.mark.parametrize("language", Language)
def test_the_rows_of_the_tables_name_requirements(language: Language) -> None:
    rows = list(rows_of_limits(language))
    assert {name for _, _, names in rows for name in names} <= set(catalogue())
    assert rows == list(rows_of_limits(Language.EN))


@pytest.mark.parametrize("language", Language)
def test_a_time_in_a_requirement_is_a_limit_that_the_table_gives_it(language: Language) -> None:
    rows = list(rows_of_limits(language))
    times = {
        name: {float(time) for time in SECONDS[language].findall(requirement.text)}
        for name, requirement in catalogue(language).items()
    }
    assert sum(map(bool, times.values())) >= 10
    limits = {name: {number for _, number, names in rows if name in names} for name in catalogue()}
    assert {name: times[name] - limits[name] for name in times if times[name] - limits[name]} == {}


@pytest.mark.parametrize(
    ("constant", "names"),
    [
        ("ROUNDS_TO_RECOVER", ["DB-12"]),
        ("ROUNDS_TO_REST", ["DB-11"]),
        ("FAILED_CALLS", ["UP-4"]),
        ("EXAMPLES_OF_AN_OPERATION", ["HTTP-2", "HTTP-3"]),
    ],
)
def test_an_amount_in_a_requirement_is_the_constant(constant: str, names: list[str]) -> None:
    number = str(getattr(timeouts, constant))
    for name in names:
        assert re.search(rf"\b{number}\b", catalogue()[name].text)


def count_judged(level: Level, options: tuple[str, ...]) -> tuple[int, int]:
    """How many requirements of a level can be judged and how many apply, for a form of target."""
    observable = OBSERVABLE[options]
    applicable = [
        requirement
        for requirement in catalogue().values()
        if requirement.level is level
        and ("source" in observable or "source" not in requirement.channels)
    ]
    hidden = HIDDEN_BY_A_RESTART_COMMAND if "--restart-command" in options else set()
    judged = [
        requirement
        for requirement in applicable
        if observable.issuperset(requirement.channels) and requirement.id not in hidden
    ]
    return len(judged), len(applicable)


@pytest.mark.parametrize("language", Language)
def test_the_table_of_claims_follows_from_the_channels(language: Language) -> None:
    rows = {
        tuple(re.findall(r"`(--[\w-]+)`", options)): (musts, shoulds, claim.strip("`"))
        for options, musts, shoulds, claim in FORM.findall(read_readme(language))
    }
    assert list(rows) == list(OBSERVABLE)
    for options, (*counts, claim) in rows.items():
        musts, shoulds = (count_judged(level, options) for level in (Level.MUST, Level.SHOULD))
        assert [re.findall(r"\d+", count) for count in counts] == [
            list(map(str, musts)),
            list(map(str, shoulds)),
        ]
        core, robust = (judged == applicable for judged, applicable in (musts, shoulds))
        none = {Language.EN: "none", Language.ZH: "无"}[language]
        assert claim == ("robust" if core and robust else "core" if core else none)
