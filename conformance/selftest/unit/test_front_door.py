"""The front door: what a visitor reads is true, links lead somewhere, GitHub can read its files."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
import yaml
from markdown_it import MarkdownIt
from markdown_it.token import Token

from conformance.config.definitions import DEFINITIONS
from conformance.config.paths import PROJECT
from conformance.judging.verdict import Exit
from conformance.spec.catalogue import Level, catalogue

README = PROJECT / "README.md"
GUIDE = PROJECT / "spec" / "guide"
GITHUB = PROJECT / ".github"
WORKFLOWS = sorted((GITHUB / "workflows").glob("*.yml"))
FORMS = sorted(
    path for path in (GITHUB / "ISSUE_TEMPLATE").glob("*.yml") if path.name != "config.yml"
)
MARKDOWN = sorted(
    path
    for folder, pattern in (
        (PROJECT, "*.md"),
        (GITHUB, "**/*.md"),
        (PROJECT / "spec", "**/*.md"),
        (PROJECT / "conformance" / "selftest", "**/*.md"),
    )
    for path in folder.glob(pattern)
)
MOST_LINES, COLUMNS = 115, 100
EXPRESSION = re.compile(r"\$\{\{.*?\}\}")


def name_of(path: Path) -> str:
    """A path as the project writes it, to name a case of a test."""
    return str(path.relative_to(PROJECT))


def tokens(page: Path) -> list[Token]:
    """The parts of a page in Markdown, those inside of its paragraphs too."""
    blocks = MarkdownIt("commonmark").enable("table").parse(page.read_text("utf-8"))
    return [each for block in blocks for each in (block, *(block.children or ()))]


def links(page: Path) -> list[str]:
    """Where a page links to, except for other sites."""
    targets = [
        unquote(str(each.attrs["href"])) for each in tokens(page) if each.type == "link_open"
    ]
    return [target for target in targets if not re.match(r"(https?|mailto):", target)]


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    parts = tokens(page)
    headings = [
        after.content for each, after in pairwise(parts)
        if each.type == "heading_open"
    ]  # fmt: skip
    return {re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-") for text in headings}


def blocks(page: Path, language: str) -> list[str]:
    """The code blocks of a language."""
    return [each.content for each in tokens(page) if each.type == "fence" and each.info == language]


def table(page: Path, head: str) -> list[list[str]]:
    """The rows of the table whose first column is headed so."""
    lines = page.read_text("utf-8").splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith(f"| {head} |"))
    end = next(number for number, line in enumerate(lines[start:], start) if not line)
    return [
        [cell.strip() for cell in line.strip("|").split("|")] for line in lines[start + 2 : end]
    ]


@pytest.mark.parametrize("page", MARKDOWN, ids=name_of)
def test_what_a_page_links_to_is_there(page: Path) -> None:
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_an_anchor_is_made_as_github_makes_it(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# The `x-y` of a *target*, again\n\n## 被测服务的契约\n\n```sh\n# no\n```\n")
    assert anchors(page) == {"the-x-y-of-a-target-again", "被测服务的契约"}


@pytest.mark.parametrize(
    "page",
    [README, PROJECT / "CHANGELOG.md", *sorted(GUIDE.glob("*.md")), *sorted(GITHUB.glob("*.md"))],
    ids=name_of,
)
def test_the_prose_of_a_page_is_at_most_a_hundred_columns_wide(page: Path) -> None:
    lines = re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    assert [
        line for line in lines.splitlines() if len(line) > COLUMNS and not line.startswith("|")
    ] == []


def test_the_readme_is_short_and_its_two_commands_are_the_whole_set_up() -> None:
    assert len(README.read_text("utf-8").splitlines()) <= MOST_LINES
    first, second = blocks(README, "sh")
    assert "venv" in first
    assert "conformance/selftest" not in first
    assert "conformance/selftest" in second


@pytest.mark.parametrize("page", [README, GUIDE / "reports.md"], ids=name_of)
def test_the_sample_of_a_failure_has_the_lines_of_a_report(page: Path) -> None:
    label = re.compile(r"^[a-z ]{13} (?=\S)", re.MULTILINE)
    report = (PROJECT / "conformance" / "selftest" / "golden" / "failed.txt").read_text("utf-8")
    labels = label.findall(blocks(page, "text")[0])
    assert "likely cause  " in labels
    assert set(labels) <= set(label.findall(report))


@pytest.mark.parametrize("page", sorted(GUIDE.glob("*.md")), ids=name_of)
def test_the_readme_leads_to_every_page_of_the_guide(page: Path) -> None:
    assert f"spec/guide/{page.name}" in [link.partition("#")[0] for link in links(README)]


def test_the_readme_counts_what_the_catalogue_has() -> None:
    text = " ".join(README.read_text("utf-8").split())
    musts = [each for each in catalogue().values() if each.level is Level.MUST]
    assert f"There are {len(catalogue())} requirements" in text
    assert f"`core is established: all {len(musts)} MUST passed`" in text
    for level, _, example in table(README, "class"):
        assert catalogue()[example.split(":")[0]].level == level


@pytest.mark.parametrize("page", [README, GUIDE / "reports.md"], ids=name_of)
def test_every_exit_status_is_in_the_tables_of_them(page: Path) -> None:
    assert [int(row[0]) for row in table(page, "exit status")] == sorted(Exit)


def test_every_option_is_in_the_guide_with_its_key() -> None:
    rows = [
        [cell.strip("`") for cell in row] for row in table(GUIDE / "configuration.md", "option")
    ]
    assert {row[0].split()[0]: row[1] for row in rows} == {
        each.name: each.key if each.stands_in_file else "" for each in DEFINITIONS.values()
    }


def test_every_variable_is_in_the_guide_with_its_option() -> None:
    rows = [
        [cell.strip("`") for cell in row] for row in table(GUIDE / "configuration.md", "variable")
    ]
    assert rows == [[each.variable, each.name] for each in DEFINITIONS.values() if each.variable]


@pytest.mark.parametrize("page", ["ARCHITECTURE.md", "CONTRIBUTING.md"])
def test_every_file_that_contributors_are_sent_to_is_there(page: str) -> None:
    codes = [each.content for each in tokens(GITHUB / page) if each.type == "code_inline"]
    paths = [code for code in codes if re.match(r"(conformance|spec|reference_impl|\.ci)/", code)]
    assert paths
    assert [path for path in paths if not (PROJECT / path).exists()] == []


def drawn_imports() -> dict[str, set[str]]:
    """What each package may import by the picture of the architecture."""
    (picture,) = blocks(GITHUB / "ARCHITECTURE.md", "mermaid")
    arrows: dict[str, set[str]] = {}
    for line in picture.splitlines():
        if match := re.fullmatch(r" *(\w+) --> (.+)", line):
            arrows.setdefault(match[1], set()).update(match[2].split(" & "))
    for _ in arrows:
        for targets in arrows.values():
            targets.update(*(arrows.get(each, set()) for each in tuple(targets)))
    return arrows


def imported_packages(package: str) -> set[str]:
    """The other packages of the suite that the modules of a package import."""
    trees = [
        ast.parse(path.read_text("utf-8"))
        for path in (PROJECT / "conformance" / package).glob("**/*.py")
    ]
    modules = [
        each.module.split(".")
        for tree in trees
        for each in ast.walk(tree)
        if isinstance(each, ast.ImportFrom) and each.module
    ]
    return {parts[1] for parts in modules if parts[0] == "conformance" and parts[1:]} - {package}


@pytest.mark.parametrize("package", drawn_imports())
def test_a_package_imports_what_the_picture_says(package: str) -> None:
    allowed = drawn_imports()[package] | ({"selftest"} if package == "cli" else set())
    assert imported_packages(package) - allowed == set()


@pytest.mark.parametrize("kind", ["input", "output"])
def test_what_the_action_takes_and_gives_is_in_the_guide(kind: str) -> None:
    action = yaml.safe_load((GITHUB / "actions" / "conformance" / "action.yml").read_text("utf-8"))
    assert [row[0].strip("`") for row in table(GUIDE / "ci.md", kind)] == list(action[f"{kind}s"])


def claims(page: Path) -> dict[frozenset[str], tuple[str, str]]:
    """What a page says can be claimed: by the options of a target, the claim and the MUSTs."""
    found = {}
    for row in table(page, "target"):
        options = set(
            re.findall(r"--(?:target|container|restart|testbed)[a-z-]*", "".join(row[:2]))
        )
        if "`conformance testbed`" in row[0]:
            options.add("--testbed")
        claim, musts = (
            re.search(part, " ".join(row)) for part in (r"robust|core|none", r"\d+ of \d+")
        )
        assert claim
        found[frozenset(options)] = (claim[0], musts[0] if musts else "")
    return found


def test_the_readme_says_of_each_form_of_target_what_the_specification_says() -> None:
    specified, shown = claims(PROJECT / "spec" / "README.md"), claims(README)
    assert len(shown) >= len(specified) - 1  # one row has two forms
    for options, (claim, musts) in shown.items():
        assert specified[options][0] == claim
        assert musts in ("", specified[options][1])


@pytest.mark.parametrize(
    ("file", "schema"),
    [
        *((path, "vendor.github-workflows") for path in WORKFLOWS),
        *((path, "custom.github-workflows-require-timeout") for path in WORKFLOWS),
        *((path, "vendor.github-issue-forms") for path in FORMS),
        (GITHUB / "ISSUE_TEMPLATE" / "config.yml", "vendor.github-issue-config"),
        (GITHUB / "dependabot.yml", "vendor.dependabot"),
    ],
    ids=lambda each: name_of(each) if isinstance(each, Path) else each,
)
def test_github_can_read_its_files(file: Path, schema: str) -> None:
    subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, str(file)],
        check=True,
    )


def test_nothing_in_the_workflows_is_unsafe() -> None:
    zizmor = Path(sys.executable).with_name("zizmor")
    options = ("--offline", "--no-progress", "--config", str(GITHUB / "zizmor.yml"))
    subprocess.run([zizmor, *options, str(GITHUB)], check=True)


def jobs() -> Iterator[tuple[str, dict[str, Any]]]:
    """Each job of each workflow, with its name."""
    for path in WORKFLOWS:
        for name, job in yaml.safe_load(path.read_text("utf-8"))["jobs"].items():
            yield f"{path.name} {name}", job


def test_every_script_of_a_workflow_is_a_script() -> None:
    scripts = [
        (name, step["run"]) for name, job in jobs() for step in job["steps"] if "run" in step
    ]
    assert len(scripts) > len(WORKFLOWS)
    for name, script in scripts:
        done = subprocess.run(
            ["/bin/bash", "-n"], input=EXPRESSION.sub("x", script), capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        assert not done.stderr, f"{name}: {done.stderr}"


def test_only_the_job_that_publishes_may_do_more_than_read() -> None:
    for path in WORKFLOWS:
        assert yaml.safe_load(path.read_text("utf-8"))["permissions"] in ({}, {"contents": "read"})
    more = {name: job["permissions"] for name, job in jobs() if "permissions" in job}
    assert {name: what for name, what in more.items() if what != {"contents": "read"}} == {
        "release.yml publish": {"id-token": "write"}
    }


def test_what_runs_before_a_commit_needs_no_network() -> None:
    content = yaml.safe_load((PROJECT / ".pre-commit-config.yaml").read_text("utf-8"))
    (local,) = content["repos"]
    assert local["repo"] == "local"
    assert {hook["language"] for hook in local["hooks"]} == {"system"}
