"""Languages: the Chinese specification, README and words say what the English ones say, and are Chinese."""

import ast
import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from string import Formatter

import pytest

from conformance.cli import main as cli
from conformance.cli.requirements import WIDTH
from conformance.config.paths import PROJECT
from conformance.judging.claim import Phrases, claimed
from conformance.judging.verdict import Status
from conformance.report.record_reader import Judged, Report
from conformance.report.translations import CLAIMS, INCOMPLETE, ZH
from conformance.report.wrapping import filled, width
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
CHINESE_PAGES = [*documents(folder(Language.ZH)), SPEC_README[Language.ZH], README[Language.ZH]]
PAIRS = [
    *((FOLDER / path.name, path) for path in documents(folder(Language.ZH))),
    tuple(SPEC_README.values()),
    tuple(README.values()),
]
SAID = ("sentence", "text", "why", "usual_cause", "mend")
GLOSSARY = "## 术语表"

CHINESE = "\u4e00-\u9fff"
CODE = re.compile(r"`[^`]+`")
NUMBER = re.compile(r"\d+(?:\.\d+)*")
# What English writes in words, Chinese may write in digits.
WORDS = {"one": "1", "two": "2", "five": "5", "ten": "10", "thirty-one": "31"}
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PLACE = re.compile(r"[\w.]+(?:\.py|/)")
# Half-width marks beside Chinese, and Chinese that touches Latin letters, digits or code.
SLIPS = re.compile(
    rf"[{CHINESE}] ?[,;:?!()]|[,;:?!()] ?[{CHINESE}]|[{CHINESE}]\.|[{CHINESE}][A-Za-z0-9`]|[A-Za-z0-9`][{CHINESE}]| [，。、；：？！（）]|[，。、；：？！（] "
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


def test_the_readmes_have_the_same_commands_and_name_the_same_places() -> None:
    english, chinese = (BLOCK.findall(page.read_text("utf-8")) for page in README.values())
    translated = [
        index for index, (_, text) in enumerate(chinese) if re.search(f"[{CHINESE}]", text)
    ]
    assert [text.split()[0] for _, text in (chinese[index] for index in translated)] == ["spec/"]
    tree = translated[0]
    assert PLACE.findall(english[tree][1]) == PLACE.findall(chinese[tree][1])
    assert english[:tree] + english[tree + 1 :] == chinese[:tree] + chinese[tree + 1 :]


@pytest.mark.parametrize("page", CHINESE_PAGES, ids=lambda path: str(path.relative_to(PROJECT)))
def test_a_chinese_page_is_set_as_chinese_is(page: Path) -> None:
    text = (
        re.sub(r"\[([^\]]+)\]\([^)]+\)", r"\1", CODE.sub("`", prose(page)))
        .replace("。** ", "。")
        .replace("**", "")
    )
    assert [
        line[max(0, slip.start() - 8) : slip.end() + 8]
        for line in text.splitlines()
        for slip in SLIPS.finditer(line)
    ] == []
    assert text.count("“") == text.count("”")
    assert text.count("（") == text.count("）")


@pytest.mark.parametrize(
    "page",
    [*CHINESE_PAGES, README[Language.EN], SPEC_README[Language.EN]],
    ids=lambda path: str(path.relative_to(PROJECT)),
)
def test_what_a_page_links_to_is_there(page: Path) -> None:
    links = re.findall(r"\]\(([^)]+)\)", prose(page))
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_each_readme_links_to_the_other() -> None:
    for pages in (README, SPEC_README):
        for page, other in (tuple(pages.values()), tuple(reversed(pages.values()))):
            first = page.read_text("utf-8").split("\n\n")[1]
            (link,) = re.findall(r"\]\(([^)]+)\)", first)
            assert (page.parent / link).resolve() == other


def test_every_term_of_the_glossary_is_used() -> None:
    text, _, glossary = SPEC_README[Language.ZH].read_text("utf-8").partition(GLOSSARY)
    text += "".join(
        page.read_text("utf-8") for page in [*documents(folder(Language.ZH)), README[Language.ZH]]
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
    for part in (each.name for each in fields(Phrases)):
        english, chinese = (getattr(CLAIMS[language], part) for language in Language)
        assert placeholders(english) == placeholders(chinese)


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
        if ast.unparse(call.func).split(".")[-1] == "said" and len(call.args) == 2
    ]
    assert texts
    assert [
        text.value for text in texts if isinstance(text, ast.Constant) and text.value not in ZH
    ] == []


NAMES = {
    level: [name for name, each in catalogue().items() if each.level is level] for level in Level
}
PASSED = dict.fromkeys([*NAMES[Level.MUST], *NAMES[Level.SHOULD]], Status.PASS)


def judged(statuses: dict[str, Status], sentence: str | None = None) -> Report:
    """A record of these verdicts, whose footer says what is made of them, or something else."""
    footer = {
        "claim": None,
        "sentence": claimed(statuses, (), catalogue()).sentence if sentence is None else sentence,
    }
    each = tuple(
        Judged(name, catalogue()[name].level, "", status) for name, status in statuses.items()
    )
    return Report(Path("record.jsonl"), {"target": "t"}, each, footer, ())


@pytest.mark.parametrize(
    ("statuses", "chinese"),
    [
        (PASSED, "core 成立：43 条 MUST 全部通过；robust 成立：42 条 SHOULD 全部通过"),
        ({name: PASSED[name] for name in NAMES[Level.MUST]}, "core 成立：43 条 MUST 全部通过"),
        (PASSED | {"DB-2": Status.FAIL}, "core 不成立：43 条 MUST 中，1 条（DB-2）未通过"),
        (
            PASSED
            | {"DB-2": Status.FAIL, "DB-7": Status.INCONCLUSIVE, "DB-8": Status.INCONCLUSIVE},
            "core 不成立：43 条 MUST 中，1 条（DB-2）未通过，2 条（DB-7、DB-8）无法判定",
        ),
        (
            PASSED | dict.fromkeys(NAMES[Level.SHOULD][:6], Status.FAIL),
            "core 成立：43 条 MUST 全部通过；robust 不成立：42 条 SHOULD 中，6 条（CONC-7、CONC-8、CONC-9、CONC-10、CONC-11 等）未通过",
        ),
        ({"DB-2": Status.PASS}, "不作声明：90 条要求中只选择了 1 条"),
        (
            PASSED | {"DB-2": Status.ERROR},
            "不作声明：本套件或其测试环境出错，本次运行说明不了任何问题",
        ),
    ],
)
def test_a_record_says_its_claim_in_chinese(statuses: dict[str, Status], chinese: str) -> None:
    report = judged(statuses)
    assert report.sentence_in(Language.ZH) == chinese
    assert report.sentence_in(Language.EN) == report.sentence


def test_a_sentence_that_is_not_made_of_the_verdicts_is_left_as_it_is() -> None:
    assert (
        judged(PASSED, "robust is established, believe me").sentence_in(Language.ZH)
        == "robust is established, believe me"
    )


def test_a_record_that_was_cut_short_says_so_in_chinese() -> None:
    report = Report(
        Path("record.jsonl"), {"target": "t"}, (Judged("DB-2", None, "", None),), None, ()
    )
    assert report.sentence_in(Language.ZH) == ZH[INCOMPLETE]
    assert report.sentence_in(Language.EN) == report.sentence == INCOMPLETE


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
    assert max(width(line) for line in explained.splitlines() if line not in titles) <= WIDTH


@pytest.mark.parametrize("command", [("list",), ("explain", "DB-2"), ("report", "record.jsonl")])
def test_a_language_that_there_is_not_is_answered_by_those_that_there_are(
    command: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        cli.main([*command, "--lang", "de"])
    assert capsys.readouterr().err.endswith(
        f": argument --lang: must be one of en, zh, not 'de'. See 'conformance {command[0]} --help'\n"
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
    assert filled(text, 8).splitlines() == lines
