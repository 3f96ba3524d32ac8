"""The command line: what its help shows, and one sentence for each mistake."""

import re
import subprocess
import sys

import pytest

from conformance import __version__
from conformance.cli.main import main, make_parser
from conformance.config.definitions import DEFINITIONS, Group, write_arguments


def print_help(capsys: pytest.CaptureFixture[str], *command: str) -> str:
    """What `--help` of a command prints."""
    with pytest.raises(SystemExit) as ended:
        main([*command, "--help"])
    assert ended.value.code == 0
    return capsys.readouterr().out


def test_the_help_lists_what_users_need_and_names_the_rest(
    capsys: pytest.CaptureFixture[str],
) -> None:
    shown = print_help(capsys)
    listed = re.findall(r"^    (\w+)  ", shown, re.MULTILINE)
    assert listed == ["run", "list", "explain", "report", "diff", "testbed", "repeat"]
    assert shown.endswith("conformance bench, conformance evaluate PART… --help\n")


def test_the_help_of_a_run_has_every_option_in_its_group_and_then_names_those_of_pytest(
    capsys: pytest.CaptureFixture[str],
) -> None:
    shown = print_help(capsys, "run")
    assert shown.startswith("usage: conformance run ")
    parts = re.split(r"^(\w+):$", shown, flags=re.MULTILINE)
    sections = dict(zip(parts[1::2], parts[2::2], strict=True))
    assert list(sections) == ["options", *Group]
    for group in Group:
        names = re.findall(r"^  (--[a-z-]+)", sections[group], re.MULTILINE)
        assert names == [each.name for each in DEFINITIONS.values() if each.group is group]
    assert shown.endswith("All other options are pytest's: conformance run --pytest-help\n")


def test_the_options_of_pytest_are_shown_on_demand() -> None:
    done = subprocess.run(
        [sys.executable, "-P", "-m", "conformance", "run", "--pytest-help"],
        capture_output=True,
        text=True,
        check=True,
    )
    for definition in DEFINITIONS.values():
        assert f"  {definition.pytest_name}" in done.stdout
    assert "--junit-xml" in done.stdout


def test_only_names_that_are_specific_have_no_prefix_among_options_of_pytest() -> None:
    names = {each.pytest_name for each in DEFINITIONS.values()}
    assert all(name.startswith(("--conformance-", "--target-", "--worker-")) for name in names)
    assert len(names) == len(DEFINITIONS)


def test_each_kind_of_value_is_written_as_a_word_of_its_own() -> None:
    given = {"--target-dir": "a b", "--only": ["DB", "UP-1"], "--shuffle": True, "--seed": None}
    assert list(write_arguments(given)) == [
        "--target-dir=a b",
        "--only=DB",
        "--only=UP-1",
        "--shuffle",
    ]
    assert list(write_arguments({"--only": ["DB"], "--shuffle": False}, for_pytest=True)) == [
        "--conformance-only=DB",
        "--no-conformance-shuffle",
    ]


def test_what_is_not_ours_is_left_for_pytest_in_its_order() -> None:
    words = ["run", "-p", "xdist.plugin", "--only", "DB", "UP-1", "-vv", "--junitxml", "j.xml"]
    chosen, rest = make_parser().parse_known_args(words)
    assert rest == ["-p", "xdist.plugin", "-vv", "--junitxml", "j.xml"]
    assert chosen.conformance_only == ["DB", "UP-1"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ((), "conformance: the following arguments are required: COMMAND."),
        (("runs",), "conformance: argument COMMAND: invalid choice: 'runs' .*"),
        (("list", "--all"), "conformance list: unknown arguments: --all."),
        (("list", "--lev", "may"), "conformance list: unknown arguments: --lev may."),
        (("run", "--seed"), "conformance run: argument --seed: expected one argument."),
        (
            ("run", "--target-ap=a:b"),
            r"conformance run: unknown option '--target-ap=a:b' \(did you mean --target-app\).",
        ),
        (("repeat",), "conformance repeat: the following arguments are required: N."),
        (("testbed", "--only", "DB"), "conformance testbed: unknown arguments: --only DB."),
    ],
)
def test_a_mistake_gets_one_sentence_and_the_status_of_wrong_usage(
    words: tuple[str, ...], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 4
    (line,) = capsys.readouterr().err.splitlines()
    assert re.fullmatch(sentence + r" See 'conformance ?\w* --help'", line), line


def test_the_module_is_the_command_and_a_reader_may_leave_early() -> None:
    module = [sys.executable, "-P", "-m", "conformance"]
    done = subprocess.run([*module, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"conformance {__version__}\n"
    with subprocess.Popen(
        [*module, "explain", *["DB-2"] * 300], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.readline()
        process.stdout.close()
        errors = process.stderr.read()
    assert (process.returncode, errors) == (1, b"")
