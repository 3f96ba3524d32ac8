"""The catalogue: every requirement is read, probed and pointed to; a wrong document is an error that names file and line."""

import ast
from pathlib import Path

import pytest
import yaml
from openapi_spec_validator import validate
from schemathesis.checks import CHECKS, load_all_checks

from conformance.client import schema_cases
from conformance.config.paths import PROJECT
from conformance.session.run import REMEDIES
from conformance.spec.catalogue import (
    CHANNELS,
    FOLDER,
    CatalogueError,
    Level,
    catalogue,
    read,
    sections,
)

BLOCK = "### {id} A sentence\n\n{facts}\n\nText.\n\n**Why it matters.** Because.\n\n**Usual cause.** a slip\n\n"
FACTS = "MUST · §3.2 · http, postgres"


def written(folder: Path, *blocks: str, name: str = "3-database.md") -> Path:
    """A folder with one document."""
    (folder / name).write_text("# 3 Database\n\n" + "".join(blocks), "utf-8")
    return folder


def probed() -> list[str]:
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
    requirement = read(written(tmp_path, BLOCK.format(id="DB-2", facts=FACTS)))["DB-2"]
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


@pytest.mark.parametrize(
    ("blocks", "message"),
    [
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
        read(written(tmp_path, *blocks))
    assert str(caught.value).startswith(message)


def test_every_requirement_is_probed_and_every_probe_has_one() -> None:
    assert set(probed()) == set(catalogue())


def test_a_probe_stands_in_the_file_of_its_section() -> None:
    for path in (PROJECT / "conformance" / "probes").glob("test_*.py"):
        section = int(path.name.split("_")[1])
        ids = [name for name in probed() if f'"{name}"' in path.read_text("utf-8")]
        assert {catalogue()[name].section for name in ids} <= {section}


def test_every_should_says_how_to_mend_it_and_no_other_does() -> None:
    assert {name for name, requirement in catalogue().items() if requirement.mend} == {
        name for name, requirement in catalogue().items() if requirement.level is Level.SHOULD
    }


def test_every_check_of_schemathesis_is_on_or_off_by_name() -> None:
    load_all_checks()
    assert sorted(CHECKS.get_all_names()) == sorted([*schema_cases.JUDGED_BY, *schema_cases.OFF])
    assert set(schema_cases.JUDGED_BY.values()) <= set(catalogue())


def test_every_channel_can_be_had() -> None:
    assert set(REMEDIES) == set(CHANNELS) - {"http"}


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
