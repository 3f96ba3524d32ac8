"""The target's own file: each value has a type, and the published schema says the same."""

import json
import os
import tomllib
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from conformance.config.known_failures import KEY, KEYS
from conformance.config.options import Options, read_options
from conformance.config.paths import PACKAGE
from conformance.config.settings_file import KEYS as OPTION_KEYS
from conformance.config.settings_file import read_settings_file
from conformance.core.errors import WrongUsage
from conformance.spec.catalogue import Level, catalogue

SCHEMA = json.loads((PACKAGE / "config" / "conformance.schema.json").read_text("utf-8"))
KNOWN = '[[known-failures]]\nid = "DB-2"\nreason = "issue 112"\n'


def read(folder: Path, text: str, **given: Any) -> Options:
    """The options of a target in a folder whose conformance.toml has this text."""
    (folder / "conformance.toml").write_text(text, "utf-8")
    return read_options(given, folder, catalogue())


def fits_schema(text: str) -> bool:
    """Whether the schema accepts this text. JSON has no dates, so that an expiry is a string."""
    content = tomllib.loads(text)
    for entry in content.get(KEY, ()) if isinstance(content.get(KEY), list) else ():
        if isinstance(entry, dict) and isinstance(entry.get("expires"), date):
            entry["expires"] = entry["expires"].isoformat()
    return Draft202012Validator(SCHEMA).is_valid(content)


def test_every_option_can_stand_in_the_file(tmp_path: Path) -> None:
    options = read(
        tmp_path,
        'target-app = "shop:app"\nonly = ["DB-2", "UP-1"]\nlevel = "must"\nseed = 7\n'
        'allow-inconclusive = true\nshuffle = true\nsteps = "add 1"\n'
        'record = "out/run.jsonl"\nhtml = "/page.html"\n',
    )
    assert options.selection.only == ("DB-2", "UP-1")
    assert (options.selection.level, options.selection.seed) == (Level.MUST, 7)
    assert (options.selection.allow_inconclusive, options.selection.shuffle) == (True, True)
    assert options.selection.steps == "add 1"
    assert options.output.record == tmp_path / "out" / "run.jsonl"
    assert options.output.html == Path("/page.html")


def test_the_command_line_wins_over_the_file_and_the_file_over_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONFORMANCE_SERVICES", "containers")
    text = 'services = "embedded"\nshuffle = true\nonly = ["DB"]\n'
    assert read(tmp_path, text).testbed.services == "embedded"
    assert read(tmp_path, text, **{"--services": "auto"}).testbed.services == "auto"
    assert read(tmp_path, "").testbed.services == "containers"
    assert not read(tmp_path, text, **{"--shuffle": False}).selection.shuffle
    assert read(tmp_path, text, **{"--only": ["UP-1"]}).selection.only == ("UP-1",)


def test_another_file_can_take_the_place_of_the_targets_own(tmp_path: Path) -> None:
    grading = tmp_path / "grading"
    grading.mkdir()
    (grading / "strict.toml").write_text('level = "should"\nrecord = "run.jsonl"\n', "utf-8")
    own = 'only = ["LIFE-10"]\nallow-inconclusive = true\n' + KNOWN
    given = {"--target-app": "shop:app", "--settings": "grading/strict.toml"}
    options = read(tmp_path, own, **given)
    assert (options.selection.only, options.selection.allow_inconclusive) == ((), False)
    assert options.selection.known_failures == ()
    assert (options.selection.level, options.output.record) == (
        Level.SHOULD,
        grading / "run.jsonl",
    )
    assert "--settings grading/strict.toml" in options.reproduce("DB-2")
    none = read(tmp_path, own, **{"--settings": "none"})
    assert (none.selection.only, none.selection.known_failures) == ((), ())


def test_a_settings_file_that_is_not_there_gets_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(WrongUsage) as caught:
        read(tmp_path, "", **{"--settings": "nowhere.toml"})
    missing = tmp_path / "nowhere.toml"
    assert str(caught.value) == f"{missing} cannot be read: No such file or directory"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('target-app = ["shop:app"]', "target-app must be a string, not an array"),
        ("target-app = 5", "target-app must be a string, not an integer"),
        ("target-app = 2027-03-01", "target-app must be a string, not a date"),
        ("html = true", "html must be a string, not a boolean"),
        ('upstream-port = "8081"', "upstream-port must be an integer, not a string"),
        ("seed = true", "seed must be an integer, not a boolean"),
        ("seed = 1.5", "seed must be an integer, not a float"),
        ('shuffle = "yes"', "shuffle must be a boolean, not a string"),
        ('only = "DB"', "only must be an array of strings, not a string"),
        ('only = ["DB", 2]', "only must be an array of strings, not an array with an integer"),
        ("[only]", "only must be an array of strings, not a table"),
    ],
)
def test_a_value_of_another_type_gets_one_sentence(
    tmp_path: Path, text: str, sentence: str
) -> None:
    with pytest.raises(WrongUsage) as caught:
        read(tmp_path, text)
    assert str(caught.value) == f"{tmp_path / 'conformance.toml'}: {sentence}"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[tool]\nconformance = 5", ": tool.conformance must be a table, not an integer"),
        ("tool = 5", None),
        ("[project]", None),
    ],
)
def test_a_pyproject_that_has_no_table_of_ours_says_nothing(
    tmp_path: Path, text: str, sentence: str | None
) -> None:
    path = tmp_path / "pyproject.toml"
    path.write_text(text, "utf-8")
    if sentence is None:
        assert read_options({}, tmp_path, catalogue()).target.is_reference
        return
    with pytest.raises(WrongUsage) as caught:
        read_options({}, tmp_path, catalogue())
    assert str(caught.value) == f"{path}{sentence}"


# The schema


def test_the_schema_has_the_keys_of_the_reader_with_their_help() -> None:
    assert SCHEMA["properties"].keys() == {*OPTION_KEYS, KEY}
    assert SCHEMA["properties"][KEY]["items"]["properties"].keys() == set(KEYS)
    for key, definition in OPTION_KEYS.items():
        assert SCHEMA["properties"][key]["description"] == definition.help
    Draft202012Validator.check_schema(SCHEMA)


RUNNING = {"--target-url": "http://127.0.0.1:1"}
STARTED = {"--target-app": "shop:app"}
ACCEPTED: list[tuple[str, dict[str, str]]] = [
    ("", {}),
    ('target-app = "shop.main:make.app"\nworker-app = "shop.tasks:queue"', {}),
    ('target-command = "serve --port {port}"\nworker-command = "work"', {}),
    ('target-url = "https://shop.example/"\ncontainer = "web"\nworker-container = "w"', {}),
    ('target-url = "http://[::1]:8000"\nrestart-command = "./start"\ntestbed = "none"', {}),
    ('target-image = "shop"\nworker-image = "work"\nservices = "containers"', {}),
    ('target-python = ".venv/bin/python"', STARTED),
    ('container = "web"\nrecord = "r"', RUNNING),
    ('services = "auto"\npostgres-image = "postgres:17"\nredis-image = "redis:7"', {}),
    ('database-url = "postgres://me@h/x"\nredis-url = "redis://h"\nupstream-port = 65535', {}),
    ('only = []\nlevel = "should"\nseed = 0\nshuffle = false\nallow-inconclusive = true', {}),
    ('only = ["db", "CONC-1"]\nseed = 18446744073709551616\nsteps = "add 1"\nhtml = "p"', {}),
    (KNOWN, STARTED),
    (KNOWN + 'expires = 2027-03-01\nfingerprint = "1a2b3c4d"\n', STARTED),
]
REFUSED: list[tuple[str, dict[str, str]]] = [
    ('target = "x"', {}),
    ('target-dir = "."', {}),
    ('target-app = "shop"', {}),
    ('target-app = ":app"', {}),
    ('target-app = "shop:"', {}),
    ('target-command = " "', {}),
    ('target-url = "ftp://h"', {}),
    ('target-url = "http://h/prefix"', {}),
    ('target-url = "http://"', {}),
    ('target-image = ""', {}),
    ('target-app = "a:b"\ntarget-url = "http://h"', {}),
    ('target-app = "a:b"\ntarget-command = "x"', {}),
    ('target-command = "x"\ntarget-url = "http://h"', {}),
    ('target-app = "a:b"\nworker-app = "a:b"\nworker-command = "x"', {}),
    ('container = "web"\nrestart-command = "x"', RUNNING),
    ('target-image = "shop"\ntarget-url = "http://h"', {}),
    ('target-image = "shop"\ndatabase-url = "postgres://h/x"', {}),
    ('target-image = "shop"\nredis-url = "redis://h"', {}),
    ('target-image = "shop"\nservices = "embedded"', {}),
    ('services = "some"', {}),
    ('level = "may"', {}),
    ('level = "MUST"', {}),
    ("upstream-port = 0", {}),
    ("upstream-port = 65536", {}),
    ("seed = -1", {}),
    ("seed = 18446744073709551617", {}),
    ('only = ["DB-"]', {}),
    ('only = [""]', {}),
    ('database-url = "mysql://h/x"', {}),
    ('redis-url = "http://h"', {}),
    ('record = ["a"]', {}),
    ("known-failures = 5", {}),
    ('known-failures = ["DB-2"]', {}),
    ('[[known-failures]]\nid = "DB-2"\n', {}),
    ('[[known-failures]]\nreason = "r"\n', {}),
    (KNOWN + "more = 1\n", {}),
    (KNOWN + "expires = 5\n", {}),
    (KNOWN + 'fingerprint = "1A2B3C4D"\n', {}),
    (KNOWN.replace("issue 112", " "), {}),
    (KNOWN.replace("DB-2", "db-2"), {}),
]


@pytest.mark.parametrize(("text", "given"), ACCEPTED)
def test_the_schema_accepts_what_the_reader_accepts(
    tmp_path: Path, text: str, given: dict[str, str]
) -> None:
    read(tmp_path, text, **given)
    assert fits_schema(text)


@pytest.mark.parametrize(("text", "given"), REFUSED)
def test_the_schema_refuses_what_the_reader_refuses(
    tmp_path: Path, text: str, given: dict[str, str]
) -> None:
    with pytest.raises(WrongUsage):
        read(tmp_path, text, **given)
    assert not fits_schema(text)


@pytest.mark.parametrize("key", sorted(OPTION_KEYS))
@pytest.mark.parametrize("value", ["5", "1.5", "true", "[1]", "{}", "2027-03-01"])
def test_reader_and_schema_agree_on_the_type_of_each_value(
    tmp_path: Path, key: str, value: str
) -> None:
    text = f"{key} = {value}"
    try:
        read(tmp_path, text, **({} if key.startswith("target") else RUNNING))
        is_read = True
    except WrongUsage as error:
        is_read = "must be" not in str(error)
    assert fits_schema(text) == is_read


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a = " + "[" * 20_000, "is not TOML that can be read: it is nested too deeply"),
        ("#" * 2**20 + "\n", "must have 1 MiB at most, and has more"),
        ("seed = " + "7" * 5000, "is not TOML: Exceeds the limit (4300 digits)"),
    ],
    ids=["nested deeply", "huge", "a long integer"],
)
def test_a_file_that_would_take_everything_is_refused(
    tmp_path: Path, text: str, sentence: str
) -> None:
    with pytest.raises(WrongUsage) as refused:
        read(tmp_path, text)
    assert str(refused.value).startswith(f"{tmp_path / 'conformance.toml'} {sentence}")


@pytest.mark.parametrize("kind", ["a pipe", "a device", "a folder"])
def test_what_is_no_regular_file_is_refused_at_once(tmp_path: Path, kind: str) -> None:
    file = tmp_path / "conformance.toml"
    match kind:
        case "a pipe":
            os.mkfifo(file)
        case "a device":
            file.symlink_to("/dev/zero")
        case _:
            file.mkdir()
    with pytest.raises(WrongUsage) as refused:
        read_options({}, tmp_path, catalogue())
    assert str(refused.value) == f"{file} must be a regular file, and is none"


def test_an_unknown_key_cannot_act_on_a_terminal(tmp_path: Path) -> None:
    with pytest.raises(WrongUsage) as refused:
        read(tmp_path, '"\\u001b[2J##[error]x\\n::notice::" = 1\n')
    assert str(refused.value).isprintable()
    assert "##[" not in str(refused.value)


def test_of_a_strangers_file_only_how_it_is_started_is_read(tmp_path: Path) -> None:
    path = tmp_path / "conformance.toml"
    path.write_text(
        'target-command = "./serve"\nworker-app = "a:b"\nseed = "x"\nnonsense = [[1]]\n'
        '[[known-failures]]\nid = "DB-1"\n'
    )
    read = read_settings_file(path, catalogue(), untrusted=True)
    assert read.values == {"--target-command": "./serve", "--worker-app": "a:b"}
    assert read.known_failures == ()
    assert read.ignored == ("seed", "nonsense", "known-failures")


def test_what_is_read_of_a_strangers_file_must_have_its_type(tmp_path: Path) -> None:
    path = tmp_path / "conformance.toml"
    path.write_text("target-app = 3\n")
    with pytest.raises(WrongUsage, match="target-app must be a string, not an integer"):
        read_settings_file(path, catalogue(), untrusted=True)
