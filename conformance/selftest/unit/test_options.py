"""Options: each mistake gets one sentence, and the command line wins over the file."""

from pathlib import Path
from typing import Any

import pytest

from conformance.config.options import Options, read_options
from conformance.config.paths import PROJECT
from conformance.core.errors import WrongUsage
from conformance.core.evidence import Journal
from conformance.spec.catalogue import Level, catalogue
from conformance.target.capabilities import Capabilities
from conformance.target.launch import Launch


def options(folder: Path, only: tuple[str, ...] = (), **flags: Any) -> Options:
    """Read options in a folder; `target_url` stands for `--target-url`."""
    given = {"--" + name.replace("_", "-"): value for name, value in flags.items()}
    return read_options({**given, "--only": list(only)}, folder, catalogue())


def test_nothing_given_is_the_bundled_reference_at_both_levels(tmp_path: Path) -> None:
    given = options(tmp_path)
    assert given.target.is_reference
    assert given.worker.is_given
    assert (given.target.directory, given.selection.level) == (PROJECT, Level.SHOULD)


def test_any_other_target_is_judged_at_the_level_must(tmp_path: Path) -> None:
    given = options(tmp_path, target_app="shop:app")
    assert not given.target.is_reference
    assert (given.target.directory, given.selection.level, given.worker.is_given) == (
        tmp_path,
        Level.MUST,
        False,
    )


def test_a_seed_is_drawn_and_can_be_given(tmp_path: Path) -> None:
    assert options(tmp_path, seed="7").selection.seed == 7
    assert options(tmp_path).selection.seed != options(tmp_path).selection.seed


def test_a_section_stands_for_its_requirements(tmp_path: Path) -> None:
    section = [name for name in catalogue() if name.startswith("UP-")]
    assert options(tmp_path, ("up", "UP-1", "DB-2")).selection.only == (*section, "DB-2")


def test_the_line_to_reproduce_gives_the_same_target(tmp_path: Path) -> None:
    given = options(tmp_path, target_command="serve --port {port}", seed="7", level="must")
    assert (
        given.reproduce("DB-2")
        == "conformance run --target-command 'serve --port {port}' --only DB-2 --seed 7"
    )


def test_the_line_to_reproduce_tells_no_password(tmp_path: Path) -> None:
    given = options(
        tmp_path,
        database_url="postgresql://me:secret@h/x",
        redis_url="redis://:secret@h/0",
        seed="7",
    )
    assert "secret" not in given.reproduce("DB-2")
    assert "postgresql://me:PASSWORD@h/x" in given.reproduce("DB-2")


@pytest.mark.parametrize("name", ["conformance.toml", "pyproject.toml"])
def test_a_file_says_what_flags_do_and_flags_win(tmp_path: Path, name: str) -> None:
    head = "" if name == "conformance.toml" else "[tool.conformance]\n"
    (tmp_path / name).write_text(
        head
        + 'target-app = "shop:app"\nworker-app = "shop:queue"\n'
        + 'level = "should"\nupstream-port = 8081\n'
    )
    assert options(tmp_path).target.app == "shop:app"
    assert options(tmp_path).testbed.upstream_port == 8081
    given = options(tmp_path, target_url="http://127.0.0.1:1", level="must")
    assert (given.target.app, given.target.url, given.worker.app, given.selection.level) == (
        None,
        "http://127.0.0.1:1",
        "shop:queue",
        Level.MUST,
    )


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (
            {"target_url": "nonsense"},
            "--target-url must be a URL such as http://127.0.0.1:8000, not 'nonsense'",
        ),
        (
            {"target_url": "http://h:99999"},
            "--target-url must be a URL such as http://127.0.0.1:8000, not 'http://h:99999'",
        ),
        (
            {"target_url": "ftp://h"},
            "--target-url must be a URL such as http://127.0.0.1:8000, not 'ftp://h'",
        ),
        (
            {"target_app": "shop"},
            "--target-app must be MODULE:ATTR, such as shop.main:app, not 'shop'",
        ),
        (
            {"target_app": "shop:app", "worker_app": ":x"},
            "--worker-app must be MODULE:ATTR, such as shop.main:app, not ':x'",
        ),
        ({"target_command": ""}, "--target-command must be a command line; it is empty"),
        (
            {"target_command": "a 'b"},
            '--target-command must be a command line, not "a \'b": No closing quotation',
        ),
        (
            {"target_app": "a:b", "target_url": "http://h"},
            (
                "a run has one target; --target-app and --target-url were given, "
                "so leave out all but one"
            ),
        ),
        (
            {"target_app": "a:b", "worker_app": "a:b", "worker_command": "x"},
            "a run has one worker; --worker-app and --worker-command were given, so leave out one",
        ),
        (
            {"target_url": "http://h/prefix"},
            (
                "--target-url must be a URL without a path, since the paths of the specification "
                "begin at its root; it is 'http://h/prefix'"
            ),
        ),
        (
            {"worker_command": "work"},
            (
                "--worker-command needs a target of yours; "
                "give one of --target-app, --target-command, --target-url as well"
            ),
        ),
        ({"services": "some"}, "--services must be auto, embedded or containers, not 'some'"),
        (
            {"container": "web"},
            "--container is for a service that runs already; give --target-url as well",
        ),
        (
            {"target_url": "http://h", "container": "web", "restart_command": "./start"},
            (
                "--container is for a service in a container, --restart-command for a process of "
                "this machine; leave out one"
            ),
        ),
        (
            {"target_image": "shop", "database_url": "postgresql://me@127.0.0.1:9/x"},
            (
                "--target-image starts a container next to the suite's own services; "
                "leave out --database-url"
            ),
        ),
        (
            {"target_image": "shop", "services": "embedded"},
            (
                "--target-image needs services in containers, since they share a network; "
                "leave out --services embedded"
            ),
        ),
        (
            {"worker_image": "shop"},
            "--worker-image needs --target-image, since both containers share a network",
        ),
        ({"target_image": " "}, "--target-image must not be empty"),
        ({"level": "maybe"}, "--level must be must or should, not 'maybe'"),
        ({"seed": "-1"}, "--seed must be a whole number from 0 to 18446744073709551616, not '-1'"),
        (
            {"upstream_port": "70000"},
            "--upstream-port must be a whole number from 1 to 65535, not '70000'",
        ),
        (
            {"database_url": "mysql://h/x"},
            (
                "--database-url must be a URL such as "
                "postgresql://postgres:secret@127.0.0.1:5432/postgres, not 'mysql://h/x'"
            ),
        ),
        (
            {"redis_url": "http://h"},
            "--redis-url must be a URL such as redis://:secret@127.0.0.1:6379/0, not 'http://h'",
        ),
    ],
)
def test_a_wrong_word_gets_one_sentence(
    tmp_path: Path, flags: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(WrongUsage) as caught:
        options(tmp_path, **flags)
    assert str(caught.value) == sentence


def test_an_unknown_id_is_told_what_there_is(tmp_path: Path) -> None:
    with pytest.raises(
        WrongUsage,
        match=r"^--only must be an id or a section; there is no 'UP-99'. "
        r"That section has UP-1, UP-2, UP-3, UP-4",
    ):
        options(tmp_path, ("UP-99",))
    with pytest.raises(
        WrongUsage,
        match=r"there is no 'XX'. The sections are CONC, END, DB, UP, TASK, DEP, LIFE, HTTP; "
        r"see 'conformance list'",
    ):
        options(tmp_path, ("XX",))


def test_an_unknown_key_in_a_file_is_told_what_there_is(tmp_path: Path) -> None:
    (tmp_path / "conformance.toml").write_text('target = "x"\n')
    with pytest.raises(
        WrongUsage,
        match=r"conformance.toml: unknown key 'target' "
        r"\(allowed: target-app, target-command, target-url",
    ):
        options(tmp_path)


def test_a_file_that_is_no_toml_is_named(tmp_path: Path) -> None:
    (tmp_path / "conformance.toml").write_text("target = \n")
    with pytest.raises(
        WrongUsage, match=r"conformance.toml is not TOML: Invalid value \(at line 1, column 10\)"
    ):
        options(tmp_path)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        WrongUsage, match=r"^--target-dir must be a folder that exists; .*/nowhere does not$"
    ):
        options(tmp_path, target_dir="nowhere")


def test_what_is_started_has_the_environment_that_the_run_began_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP", "1")
    chosen = options(tmp_path)
    capabilities = Capabilities.of(chosen)
    launch = Launch(chosen, capabilities, {"PORT": "1"}, tmp_path, Journal(), lambda _: None)
    monkeypatch.delenv(
        "SHOP"
    )  # as pytest does with its own at each probe, while copies of a target are started in threads
    monkeypatch.setenv("LATER", "1")
    environment = launch.build_environment(HOST="h")
    assert (
        environment["SHOP"],
        environment["PORT"],
        environment["HOST"],
        environment.get("LATER"),
    ) == ("1", "1", "h", None)


@pytest.mark.parametrize(
    ("flag", "words", "services"),
    [(True, ("--untrusted",), "embedded"), (False, (), "auto"), (None, (), "auto")],
)
def test_a_flag_of_the_target_is_written_as_one(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    flag: bool | None,
    words: tuple[str, ...],
    services: str,
) -> None:
    monkeypatch.delenv("CONFORMANCE_SERVICES")
    given = {"--target-command": "./serve", "--untrusted": flag}
    chosen = read_options(given, tmp_path, catalogue())
    assert chosen.arguments == ("--target-command", "./serve", *words)
    assert chosen.testbed.services == services
    assert chosen.isolation.caged is bool(flag)
