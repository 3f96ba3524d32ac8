"""Capabilities: what may be done to each form of target, and what can be observed of it."""

from pathlib import Path

import pytest

from conformance.config.options import read_options
from conformance.spec.catalogue import Channel, catalogue
from conformance.target.capabilities import REMEDIES, Capabilities, TargetForm

URL = {"--target-url": "http://127.0.0.1:8000"}
FORMS = {
    TargetForm.OWNED_PROCESS: {"--target-command": "serve"},
    TargetForm.OWNED_CONTAINER: {"--target-image": "shop"},
    TargetForm.EXTERNAL_CONTAINER: URL | {"--container": "shop-web-1"},
    TargetForm.EXTERNAL_COMMAND: URL | {"--restart-command": "./start"},
    TargetForm.URL_ONLY: URL,
}


def capabilities(folder: Path, flags: dict[str, str]) -> Capabilities:
    return Capabilities.of(read_options(flags, folder, catalogue()))


@pytest.mark.parametrize("form", TargetForm)
def test_each_form_is_recognised(form: TargetForm, tmp_path: Path) -> None:
    assert capabilities(tmp_path, FORMS[form]).form is form


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        (TargetForm.OWNED_PROCESS, {"http", "process", "copy"}),
        (TargetForm.OWNED_CONTAINER, {"http", "process", "copy"}),
        (TargetForm.EXTERNAL_CONTAINER, {"http", "process", "copy"}),
        (TargetForm.EXTERNAL_COMMAND, {"http", "process"}),
        (TargetForm.URL_ONLY, {"http"}),
    ],
)
def test_the_channels_are_those_of_the_form(
    form: TargetForm, expected: set[str], tmp_path: Path
) -> None:
    assert capabilities(tmp_path, FORMS[form]).channels == expected


def test_a_worker_is_a_channel_of_any_form(tmp_path: Path) -> None:
    for flags in FORMS.values():
        with_worker = flags | {"--worker-command": "work"}
        assert "worker" in capabilities(tmp_path, with_worker).channels


def test_only_an_application_of_ours_has_source(tmp_path: Path) -> None:
    app = {"--target-app": "shop:app"}
    assert "source" in capabilities(tmp_path, app).channels
    assert "source" not in capabilities(tmp_path, app | {"--target-image": "shop"}).channels
    assert "source" not in capabilities(tmp_path, FORMS[TargetForm.OWNED_PROCESS]).channels


@pytest.mark.parametrize(
    ("form", "reads_output"),
    [
        (TargetForm.OWNED_PROCESS, True),
        (TargetForm.OWNED_CONTAINER, True),
        (TargetForm.EXTERNAL_CONTAINER, True),
        (TargetForm.EXTERNAL_COMMAND, False),
        (TargetForm.URL_ONLY, False),
    ],
)
def test_the_output_of_a_process_of_somebody_else_is_not_read(
    form: TargetForm, reads_output: bool, tmp_path: Path
) -> None:
    assert capabilities(tmp_path, FORMS[form]).reads_output is reads_output


def test_every_channel_that_can_be_missing_has_a_remedy() -> None:
    assert {*REMEDIES} == {*Channel} - {Channel.HTTP, Channel.SOURCE}
