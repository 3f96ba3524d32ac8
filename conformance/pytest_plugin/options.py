"""The suite's options among pytest's: registered, read, and refused where they cannot be right."""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from conformance.config.definitions import DEFINITIONS, Group, Kind
from conformance.config.options import Options, read_options
from conformance.config.paths import PROBES, PROJECT, PYTEST_SETTINGS
from conformance.core.errors import WrongUsage
from conformance.scenarios import program
from conformance.spec.catalogue import catalogue

# pytest's own options that leave probes out, by their attribute.
LEAVING_OUT = {
    "keyword": "-k",
    "markexpr": "-m",
    "deselect": "--deselect",
    "ignore": "--ignore",
    "ignore_glob": "--ignore-glob",
    "maxfail": "--maxfail",
    "lf": "--last-failed",
    "failedfirst": "--failed-first",
    "newfirst": "--new-first",
    "stepwise": "--stepwise",
    "numprocesses": "-n",
}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Register each option. Only `--target-…` and `--worker-…` have no prefix here."""
    for group in Group:
        registered = parser.getgroup(f"conformance-{group}", f"conformance: {group}")
        for each in DEFINITIONS.values():
            if each.group is not group:
                continue
            if each.kind is Kind.BOOLEAN:
                registered.addoption(
                    each.pytest_name,
                    dest=each.dest,
                    action=argparse.BooleanOptionalAction,
                    default=None,
                    help=each.help,
                )
            elif each.kind is Kind.STRINGS:
                registered.addoption(
                    each.pytest_name,
                    dest=each.dest,
                    nargs="+",
                    action="extend",
                    default=None,
                    metavar=each.metavar,
                    help=each.help,
                )
            else:
                registered.addoption(
                    each.pytest_name,
                    dest=each.dest,
                    default=None,
                    metavar=each.metavar,
                    help=each.help,
                )


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Refuse settings and folders that are not the suite's, before any conftest.py is loaded."""
    check_settings_file(early_config)
    check_paths(early_config, early_config.known_args_namespace.file_or_dir)


def check_settings_file(config: pytest.Config) -> None:
    """Refuse settings that are not the suite's own. Raises UsageError.

    pytest takes its settings from the first of some files that it finds from its arguments
    upward, so that a file in the folder of a target could change a verdict.
    """
    if config.inipath is None or config.inipath.resolve() != PYTEST_SETTINGS:
        found = f"those of {config.inipath}" if config.inipath else "none"
        raise pytest.UsageError(
            f"pytest must have the suite's own settings ({PYTEST_SETTINGS}), and it has {found}; "
            "use `conformance run`"
        )


def check_paths(config: pytest.Config, paths: list[str]) -> None:
    """Refuse paths that hold anything but probes. Raises UsageError."""
    for path in paths:
        resolved = (config.invocation_params.dir / path.partition("::")[0]).resolve()
        if resolved != PROJECT and PROJECT not in resolved.parents:
            raise pytest.UsageError(
                f"a run takes no files or folders except the suite's own probes, and got {path!r}; "
                "to name the folder of a target, use --target-dir=DIR"
            )


def has_probes(config: pytest.Config) -> bool:
    """Whether the session is to run probes, and not only to show or to list something."""
    option = config.option
    if option.help or option.version or option.collectonly or option.markers:
        return False
    return any(
        path == PROBES or PROBES in path.parents or path in PROBES.parents
        for path in _resolve_arguments(config)
    )


def _resolve_arguments(config: pytest.Config) -> Iterator[Path]:
    for argument in config.args:
        yield (config.invocation_params.dir / str(argument).partition("::")[0]).resolve()


def read_pytest_options(config: pytest.Config) -> Options:
    """The options of the run. Raises WrongUsage."""
    _check_that_all_probes_run(config)
    given: dict[str, Any] = {
        each.name: config.getoption(each.dest) for each in DEFINITIONS.values()
    }
    options = read_options(given, config.invocation_params.dir, catalogue())
    if options.selection.steps is not None:
        program.parse_program(options.selection.steps)
    return options


def _check_that_all_probes_run(config: pytest.Config) -> None:
    parts = [str(argument) for argument in config.args if "::" in str(argument)]
    parts += [name for dest, name in LEAVING_OUT.items() if getattr(config.option, dest, None)]
    if parts:
        raise WrongUsage(
            "a requirement is judged by all of its probes or not at all; "
            f"use `conformance run --only ID`, not {parts[0]}"
        )
