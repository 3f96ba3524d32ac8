"""The options of a run: command line, target's file and environment, read into frozen objects."""

import os
import random
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from conformance.config import checks
from conformance.config.combinations import check_combinations, merge_values
from conformance.config.definitions import DEFINITIONS, TARGET_FORMS, Group, Kind, Name
from conformance.config.paths import REFERENCE_APP, REFERENCE_FOLDER, REFERENCE_WORKER
from conformance.config.settings_file import SettingsFile, find_settings_file, read_settings_file
from conformance.core.errors import WrongUsage
from conformance.core.testbed_settings import TestbedSettings
from conformance.judging.result import KnownFailure
from conformance.spec.catalogue import Level, Requirement

NONE = "none"  # no testbed, no settings file, no cage
DESCRIBING = (Group.TARGET, Group.WORKER, Group.SERVICES)  # options that describe the target


@dataclass(frozen=True)
class TargetOptions:
    """What is judged, and how it is started. At most one of app, command and url is there."""

    app: str | None
    command: str | None
    url: str | None
    image: str | None
    directory: Path
    python: str
    container: str | None
    restart_command: str | None

    @property
    def is_reference(self) -> bool:
        """Whether the target is the bundled reference."""
        return self.app == REFERENCE_APP and self.directory == REFERENCE_FOLDER

    @property
    def title(self) -> str:
        """The target in a few words."""
        if self.is_reference:
            return f"the bundled reference ({REFERENCE_APP})"
        words = self.url or self.app or self.command
        if not self.image:
            return str(words)
        container = f"a container of {self.image}"
        return f"{words} in {container}" if words else container


@dataclass(frozen=True)
class WorkerOptions:
    """How the target's worker is started."""

    app: str | None
    command: str | None
    image: str | None
    container: str | None

    @property
    def is_given(self) -> bool:
        """Whether the suite can start a worker."""
        return bool(self.app or self.command or self.image or self.container)


@dataclass(frozen=True)
class SelectionOptions:
    """What is checked, with which inputs, and what counts for the exit status."""

    only: tuple[str, ...]  # ids of requirements; empty for all
    level: Level
    allow_inconclusive: bool
    seed: int
    shuffle: bool
    steps: str | None  # the action sequence of CONC-11, in place of a search
    known_failures: tuple[KnownFailure, ...]


@dataclass(frozen=True)
class OutputOptions:
    """Which files are written. The paths are absolute."""

    record: Path | None
    html: Path | None


@dataclass(frozen=True)
class IsolationOptions:
    """How far the target's code is trusted."""

    untrusted: bool
    caged: bool
    ignored: tuple[str, ...]  # keys of its settings file that were not read


@dataclass(frozen=True)
class Options:
    """Everything that a run is asked for, checked."""

    target: TargetOptions
    worker: WorkerOptions
    testbed: TestbedSettings
    selection: SelectionOptions
    output: OutputOptions
    isolation: IsolationOptions
    arguments: tuple[str, ...]  # the words of a command line that describe the same target

    def reproduce(self, requirement: str, steps: str | None = None) -> str:
        """The command that checks one requirement of this target with the same inputs."""
        again = [Name.STEPS, steps] if steps else [Name.SEED, str(self.selection.seed)]
        return shlex.join(["conformance", "run", *self.arguments, Name.ONLY, requirement, *again])


def read_options(
    given: Mapping[str, Any], directory: Path, catalogue: Mapping[str, Requirement]
) -> Options:
    """Make the options of a run that is started in `directory`. Raises WrongUsage.

    `given` has the values of the command line, by the name of the option. A value is a string,
    a list of strings, a boolean, or None. Where an option is given more than once, the command
    line wins over the target's file, the file over the environment, and that over the default.
    """
    given = {name: value for name, value in given.items() if value not in (None, [], ())}
    folder = directory / str(given.get(Name.TARGET_DIR, "."))
    if not folder.is_dir():
        raise WrongUsage(f"{Name.TARGET_DIR} must be a folder that exists; {folder} does not")
    line = _resolve_paths(given, directory)
    path = _choose_settings_file(line, folder)
    is_strangers = bool(line.get(Name.UNTRUSTED)) and bool(
        path and path.resolve().is_relative_to(folder.resolve())
    )
    file = read_settings_file(path, catalogue, untrusted=is_strangers) if path else SettingsFile()
    values = merge_values(line, _resolve_paths(file.values, path.parent if path else folder))
    check_combinations(values)
    values = _read_environment() | values
    is_reference = Name.TARGET_IMAGE not in values and not any(
        form in values for form in TARGET_FORMS
    )
    if is_reference:
        values |= {Name.TARGET_APP: REFERENCE_APP, Name.WORKER_APP: REFERENCE_WORKER}
        folder = REFERENCE_FOLDER
    for name in (*TARGET_FORMS, Name.WORKER_APP, Name.WORKER_COMMAND):
        checks.check_words(values, name)
    texts = {name: str(value) for name, value in values.items() if not isinstance(value, list)}
    # A stranger's folder has no interpreter that may be run outside of the cage.
    python_folder = directory if values.get(Name.UNTRUSTED) else folder
    target = _make_target(texts, folder, python_folder)
    worker = _make_worker(texts)
    return Options(
        target,
        worker,
        _make_testbed(texts, target, worker),
        _make_selection(values, texts, file, catalogue, is_reference=is_reference),
        OutputOptions(_make_path(texts, Name.RECORD), _make_path(texts, Name.HTML)),
        _make_isolation(values, texts, file),
        _describe_target(given),
    )


def _resolve_paths(values: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Make paths absolute that are relative to this folder."""
    return {
        name: str((folder / value).absolute())
        if name in (Name.RECORD, Name.HTML)
        or (name in (Name.TESTBED, Name.SETTINGS) and value != NONE)
        else value
        for name, value in values.items()
    }


def _choose_settings_file(given: Mapping[str, Any], folder: Path) -> Path | None:
    chosen = given.get(Name.SETTINGS)
    if chosen is None:
        return find_settings_file(folder)
    return None if chosen == NONE else Path(chosen)


def _read_environment() -> dict[str, Any]:
    return {
        each.name: os.environ[each.variable]
        for each in DEFINITIONS.values()
        if each.variable and os.environ.get(each.variable)
    }


def _make_target(values: checks.Values, folder: Path, python_folder: Path) -> TargetOptions:
    python = values.get(
        Name.TARGET_PYTHON, "python3" if Name.TARGET_IMAGE in values else sys.executable
    )
    if "/" in python and Name.TARGET_IMAGE not in values:
        python = str((python_folder / python).absolute())
    return TargetOptions(
        app=checks.check_application(values, Name.TARGET_APP),
        command=checks.check_command(values, Name.TARGET_COMMAND),
        url=checks.check_url(values, Name.TARGET_URL),
        image=checks.check_text(values, Name.TARGET_IMAGE),
        directory=folder.resolve(),
        python=python,
        container=checks.check_text(values, Name.CONTAINER),
        restart_command=checks.check_command(values, Name.RESTART_COMMAND),
    )


def _make_worker(values: checks.Values) -> WorkerOptions:
    """The worker. Its image is the target's if the worker is an application or a command."""
    app = checks.check_application(values, Name.WORKER_APP)
    command = checks.check_command(values, Name.WORKER_COMMAND)
    image = values.get(Name.TARGET_IMAGE) if app or command else None
    return WorkerOptions(
        app=app,
        command=command,
        image=checks.check_text(values, Name.WORKER_IMAGE) or image,
        container=checks.check_text(values, Name.WORKER_CONTAINER),
    )


def _make_testbed(
    values: checks.Values, target: TargetOptions, worker: WorkerOptions
) -> TestbedSettings:
    testbed = checks.check_text(values, Name.TESTBED)
    defaults = TestbedSettings()
    return TestbedSettings(
        services=checks.check_services(values),
        postgres_image=checks.check_text(values, Name.POSTGRES_IMAGE) or defaults.postgres_image,
        redis_image=checks.check_text(values, Name.REDIS_IMAGE) or defaults.redis_image,
        database_url=checks.check_url(values, Name.DATABASE_URL),
        redis_url=checks.check_url(values, Name.REDIS_URL),
        upstream_port=checks.check_number(values, Name.UPSTREAM_PORT, 1, 65535),
        target_image=target.image,
        worker_image=worker.image,
        starts_services=target.url is None,
        testbed_file=Path(testbed) if testbed not in (None, NONE) else None,
        finds_testbed=testbed != NONE,
    )


def _make_selection(
    values: Mapping[str, Any],
    texts: checks.Values,
    file: SettingsFile,
    catalogue: Mapping[str, Requirement],
    *,
    is_reference: bool,
) -> SelectionOptions:
    only = checks.check_ids(values.get(Name.ONLY, ()), catalogue)
    seed = checks.check_number(texts, Name.SEED, 0, 2**64)
    return SelectionOptions(
        only=only,
        level=checks.check_level(texts, Level.SHOULD if is_reference or only else Level.MUST),
        allow_inconclusive=bool(values.get(Name.ALLOW_INCONCLUSIVE)),
        seed=random.SystemRandom().randrange(2**32) if seed is None else seed,
        shuffle=bool(values.get(Name.SHUFFLE)),
        steps=checks.check_text(texts, Name.STEPS),
        known_failures=() if is_reference else file.known_failures,  # the list of another target
    )


def _make_isolation(
    values: Mapping[str, Any], texts: checks.Values, file: SettingsFile
) -> IsolationOptions:
    untrusted = bool(values.get(Name.UNTRUSTED))
    is_caged = checks.check_cage(texts) != NONE
    return IsolationOptions(untrusted, untrusted and is_caged, file.ignored)


def _make_path(values: checks.Values, name: Name) -> Path | None:
    value = checks.check_text(values, name)
    return Path(value) if value else None


def _describe_target(given: Mapping[str, Any]) -> tuple[str, ...]:
    words: list[str] = []
    for name, value in given.items():
        if DEFINITIONS[name].group in DESCRIBING:
            if DEFINITIONS[name].kind is not Kind.BOOLEAN:
                words += [name, checks.hide_passwords(str(value))]
            elif value:
                words.append(name)
    return tuple(words)
