"""Languages: the Chinese specification, README and reports say what the English ones say."""

import ast
import re
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from string import Formatter

import pytest

from conformance.cli import main as cli
from conformance.cli.requirements import WIDTH
from conformance.config.paths import PROJECT
from conformance.judging.claim import Phrases
from conformance.judging.result import KnownFailure, RequirementResult
from conformance.judging.verdict import Status
from conformance.report.joins import describe_claim
from conformance.report.translations import CLAIMS, INCOMPLETE, ZH
from conformance.report.wrapping import measure_width, wrap_text
from conformance.selftest.support.records import make_run
from conformance.spec.catalogue import (
    FOLDER,
    Language,
    Level,
    catalogue,
    documents,
    folder,
    sections,
)

README = {Language.EN: PROJECT / "README.md", Language.ZH: PROJECT / "README.zh.md"}
SPEC_README = {language: folder(language) / "README.md" for language in Language}
GUIDE = sorted((folder(Language.ZH) / "guide").glob("*.md"))
CHINESE_PAGES = [
    *documents(folder(Language.ZH)),
    SPEC_README[Language.ZH],
    README[Language.ZH],
    *GUIDE,
]
PAIRS = [
    *((FOLDER / path.name, path) for path in documents(folder(Language.ZH))),
    *((FOLDER / "guide" / path.name, path) for path in GUIDE),
    tuple(SPEC_README.values()),
    tuple(README.values()),
]
SAID = ("sentence", "text", "why", "usual_cause", "mend")
GLOSSARY = "## 术语表"

CHINESE = "\u4e00-\u9fff"
CODE = re.compile(r"`[^`]+`")
NUMBER = re.compile(r"\d+(?:\.\d+)*")
# What English writes in words, Chinese may write in digits.
WORDS = {"one": "1", "two": "2", "three": "3", "four": "4", "five": "5", "ten": "10"}
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# Half-width marks beside Chinese, and Chinese that touches Latin letters, digits or code.
SLIPS = re.compile(
    rf"[{CHINESE}] ?[,;:?!()]|[,;:?!()] ?[{CHINESE}]|[{CHINESE}]\."
    rf"|[{CHINESE}][A-Za-z0-9`]|[A-Za-z0-9`][{CHINESE}]| [，。、；：？！（）]|[，。、；：？！（] "
)


def codes(text: str) -> set[str]:
    """The inline code of a text."""
    return set(CODE.findall(" ".join(text.split())))


def numbers(text: str) -> set[str]:
    """The numbers of a text, outside of its code."""
    return set(NUMBER.findall(CODE.sub("", text)))


def prose(page: Path) -> str:
    """A page without its blocks of commands and its comments."""
    return re.sub(r"<!--.*?-->", "", BLOCK.sub("", page.read_text("utf-8")))


def facts(language: Language) -> list[tuple[object, ...]]:
    """All of the requirements that no language changes, in their order."""
    return [
        (each.id, each.level, each.source, each.channels, each.document)
        for each in catalogue(language).values()
    ]


def test_both_languages_have_the_same_requirements_in_the_same_order() -> None:
    assert facts(Language.ZH) == facts(Language.EN)
    assert [(each.number, each.document) for each in sections(Language.ZH)] == [
        (each.number, each.document) for each in sections()
    ]


def both(name: str) -> Iterator[tuple[str, str]]:
    """What a requirement says in English and in Chinese, part by part."""
    english, chinese = catalogue()[name], catalogue(Language.ZH)[name]
    return ((getattr(english, part), getattr(chinese, part)) for part in SAID)


@pytest.mark.parametrize("name", catalogue())
def test_a_requirement_says_the_same_in_both_languages(name: str) -> None:
    for english, chinese in both(name):
        assert bool(english) == bool(re.search(f"[{CHINESE}]", chinese)), chinese
        assert codes(chinese) == codes(english)
        spelt = {
            WORDS[word]
            for word in re.findall(r"[a-z]+(?:-[a-z]+)?", english.lower())
            if word in WORDS
        }
        assert numbers(english) <= numbers(chinese) <= numbers(english) | spelt


@pytest.mark.parametrize(
    ("english", "chinese"), PAIRS, ids=lambda path: str(path.relative_to(PROJECT))
)
def test_a_page_has_the_same_shape_in_both_languages(english: Path, chinese: Path) -> None:
    pages = [prose(page).partition(GLOSSARY)[0] for page in (english, chinese)]
    assert codes(pages[0]) - codes(pages[1]) == set()
    assert numbers(pages[0]) - numbers(pages[1]) == set()
    headings, tables, lists = (
        [re.findall(mark, page, re.MULTILINE) for page in pages]
        for mark in (r"^#+", r"^\|.*\|$", r"^\d\.")
    )
    assert headings[0] == headings[1]
    assert lists[0] == lists[1]
    assert [codes(row) for row in tables[0]] == [codes(row) for row in tables[1]]
    assert [numbers(row) for row in tables[0]] == [numbers(row) for row in tables[1]]


@pytest.mark.parametrize(
    ("english", "chinese"), PAIRS, ids=lambda path: str(path.relative_to(PROJECT))
)
def test_a_page_has_the_same_blocks_in_both_languages(english: Path, chinese: Path) -> None:
    blocks = [BLOCK.findall(page.read_text("utf-8")) for page in (english, chinese)]
    assert blocks[0] == blocks[1]


@pytest.mark.parametrize("page", CHINESE_PAGES, ids=lambda path: str(path.relative_to(PROJECT)))
def test_a_chinese_page_is_set_as_chinese_is(page: Path) -> None:
    text = (
        re.sub(r"\[([^\]]+)\]\([^)]+\)", r"\1", CODE.sub("`", prose(page)))
        .replace("。** ", "。")
        .replace("**", "")
        .replace(" |", "|")  # the end of a cell
    )
    assert [
        line[max(0, slip.start() - 8) : slip.end() + 8]
        for line in text.splitlines()
        for slip in SLIPS.finditer(line)
    ] == []
    assert text.count("“") == text.count("”")
    assert text.count("（") == text.count("）")


def test_each_page_links_to_its_other_language() -> None:
    guide = [(FOLDER / "guide" / path.name, path) for path in GUIDE]
    assert [english for english, _ in guide] == sorted((FOLDER / "guide").glob("*.md"))
    for pages in (tuple(README.values()), tuple(SPEC_README.values()), *guide):
        for page, other in (pages, pages[::-1]):
            first = page.read_text("utf-8").split("\n\n")[1]
            (link,) = re.findall(r"\]\(([^)]+)\)", first)
            assert (page.parent / link).resolve() == other


def test_every_term_of_the_glossary_is_used() -> None:
    text, _, glossary = SPEC_README[Language.ZH].read_text("utf-8").partition(GLOSSARY)
    text += "".join(
        page.read_text("utf-8") for page in CHINESE_PAGES if page != SPEC_README[Language.ZH]
    )
    terms = [
        term
        for row in glossary.strip().splitlines()[2:]
        for term in row.strip("| ").split(" | ")[1].split("、")
    ]
    assert len(terms) > 20
    assert [term for term in terms if term not in text] == []


def placeholders(text: str) -> list[str]:
    """The names of what a template takes, sorted."""
    return sorted(name for _, name, _, _ in Formatter().parse(text) if name is not None)


def test_what_reports_say_takes_the_same_in_both_languages() -> None:
    assert [text for text in ZH if placeholders(ZH[text]) != placeholders(text)] == []
    english, chinese = (list_templates(CLAIMS[language]) for language in Language)
    assert len(english) > 20
    assert {name: placeholders(text) for name, text in english.items()} == {
        name: placeholders(text) for name, text in chinese.items()
    }


def list_templates(phrases: Phrases) -> dict[str, str]:
    """Every template of a claim's sentence, by its name."""
    own = asdict(phrases)
    return {**own.pop("counts"), **own.pop("separators"), **own}


def test_every_text_that_reports_say_is_translated() -> None:
    files = [
        *(PROJECT / "conformance" / "report").glob("*.py"),
        *(PROJECT / "conformance" / "cli").glob("*.py"),
    ]
    calls = [
        node
        for path in files
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call)
    ]
    texts = [
        call.args[0]
        for call in calls
        if ast.unparse(call.func).split(".")[-1] == "translate" and len(call.args) == 2
    ]
    assert texts
    assert [
        text.value for text in texts if isinstance(text, ast.Constant) and text.value not in ZH
    ] == []


NAMES = {
    level: [name for name, each in catalogue().items() if each.level is level] for level in Level
}
PASSED = dict.fromkeys([*NAMES[Level.MUST], *NAMES[Level.SHOULD]], Status.PASS)


def make_results(
    statuses: dict[str, Status], known: tuple[str, ...] = ()
) -> list[RequirementResult]:
    """Results with these statuses, of which some are known failures."""
    results = [RequirementResult.of(catalogue()[name], status) for name, status in statuses.items()]
    return [
        replace(each, known=KnownFailure(each.id, "r")) if each.id in known else each
        for each in results
    ]


@pytest.mark.parametrize(
    ("statuses", "chinese"),
    [
        (PASSED, "core 成立：43 条 MUST 全部通过；robust 成立：43 条 SHOULD 全部通过"),
        ({name: PASSED[name] for name in NAMES[Level.MUST]}, "core 成立：43 条 MUST 全部通过"),
        (PASSED | {"DB-2": Status.FAIL}, "core 不成立：43 条 MUST 中，1 条（DB-2）未通过"),
        (
            PASSED
            | {"DB-2": Status.FAIL, "DB-7": Status.INCONCLUSIVE, "DB-8": Status.INCONCLUSIVE},
            "core 不成立：43 条 MUST 中，1 条（DB-2）未通过，2 条（DB-7、DB-8）无法判定",
        ),
        (
            PASSED | dict.fromkeys(NAMES[Level.SHOULD][:6], Status.FAIL),
            (
                "core 成立：43 条 MUST 全部通过；robust 不成立：43 条 SHOULD 中，"
                "6 条（CONC-7、CONC-8、CONC-9、CONC-10、CONC-11 等）未通过"
            ),
        ),
        ({"DB-2": Status.PASS}, "不作声明：91 条要求中只选择了 1 条"),
        (
            PASSED | dict.fromkeys(("END-6", "DEP-9"), Status.NOT_APPLICABLE),
            "core 成立：43 条 MUST 全部通过；robust 成立：41 条适用的 SHOULD 全部通过，2 条不适用",
        ),
        (
            PASSED | {"END-6": Status.NOT_APPLICABLE, "DB-10": Status.FAIL},
            (
                "core 成立：43 条 MUST 全部通过；"
                "robust 不成立：42 条适用的 SHOULD 中，1 条（DB-10）未通过，1 条不适用"
            ),
        ),
        (
            PASSED | {"DB-2": Status.ERROR},
            "不作声明：本套件或其测试环境出错，本次运行说明不了任何问题",
        ),
    ],
)
def test_a_run_says_its_claim_in_chinese(statuses: dict[str, Status], chinese: str) -> None:
    run = make_run(make_results(statuses))
    assert run.footer
    assert describe_claim(run, Language.ZH) == chinese
    assert describe_claim(run, Language.EN) == run.footer.sentence


def test_a_claim_with_known_failures_is_said_in_chinese() -> None:
    statuses = PASSED | {"DB-2": Status.FAIL}
    assert describe_claim(make_run(make_results(statuses, ("DB-2",))), Language.ZH) == (
        "core 除 1 条已知未通过项（DB-2）之外成立：其余 42 条 MUST 通过；"
        "robust 除 1 条已知未通过项（DB-2）之外成立：43 条 SHOULD 全部通过"
    )


def test_a_sentence_that_is_not_made_of_the_verdicts_is_left_as_it_is() -> None:
    run = make_run(make_results(PASSED))
    assert run.footer
    claimed = replace(run, footer=replace(run.footer, sentence="robust, believe me"))
    assert describe_claim(claimed, Language.ZH) == "robust, believe me"


def test_an_incomplete_run_says_so_in_chinese() -> None:
    run = replace(make_run(make_results({"DB-2": Status.PASS})), footer=None)
    assert describe_claim(run, Language.ZH) == ZH[INCOMPLETE]
    assert describe_claim(run, Language.EN) == INCOMPLETE


def test_the_command_line_lists_and_explains_in_chinese(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["list", "--lang", "zh", "--level", "may"]) == 0
    listing = capsys.readouterr().out.splitlines()
    assert listing[:2] == ["1 并发", "  CONC-12  MAY     客户端离开后，其工作被取消"]
    assert cli.main(["explain", "--lang", "zh", *catalogue()]) == 0
    explained = capsys.readouterr().out
    assert "\n\n观察通道：http, postgres。出处：spec/zh/3-database.md:" in explained
    titles = {
        f"{each.id}  {each.level}  {each.sentence}  {each.source}"
        for each in catalogue(Language.ZH).values()
    }
    assert (
        max(measure_width(line) for line in explained.splitlines() if line not in titles) <= WIDTH
    )


@pytest.mark.parametrize("command", [("list",), ("explain", "DB-2"), ("report", "record.jsonl")])
def test_a_language_that_there_is_not_is_answered_by_those_that_there_are(
    command: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        cli.main([*command, "--lang", "de"])
    assert capsys.readouterr().err.endswith(
        ": argument --lang: must be one of en, zh, not 'de'."
        f" See 'conformance {command[0]} --help'\n"
    )


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("one two  three\n", ["one two", "three"]),
        (
            "异步端点，异步依赖项",
            ["异步端", "点，异步", "依赖项"],
        ),  # 8 columns hold four, and a line begins with no comma
        ("调用（`a`）时", ["调用", "（`a`）", "时"]),
        ("unbreakable 端点", ["unbreakable", "端点"]),
        ("", []),
    ],
)
def test_a_paragraph_is_broken_where_its_language_allows(text: str, lines: list[str]) -> None:
    assert wrap_text(text, 8).splitlines() == lines
