"""The state file of a persistent testbed: private, whole, and gone with the testbed."""

import json
import os
import stat
from pathlib import Path

import pytest

from conformance.core.errors import WrongUsage
from conformance.core.testbed_settings import TestbedSettings
from conformance.testbed import testbed_state
from conformance.testbed.postgres_admin import DatabaseAccess
from conformance.testbed.redis_admin import BrokerAccess
from conformance.testbed.testbed_formats import FORMATS, make_variables
from conformance.testbed.testbed_state import TestbedState, find_testbed, read_state, state_written

STATE = TestbedState(
    pid=os.getpid(),
    postgres=DatabaseAccess("postgresql://a@h/d", "postgresql://t:secret@h/d", "d", "t"),
    redis=BrokerAccess("redis://h/0", "redis://t:secret@h/0", "t"),
    upstream_port=8000,
    addresses=("127.0.0.1",),
    lease="/nowhere/lease",
)


def test_what_was_written_is_read(tmp_path: Path) -> None:
    file = tmp_path / "testbed.json"
    with state_written(STATE, file):
        assert read_state(file) == STATE
        assert list(tmp_path.iterdir()) == [file]
    assert not file.exists()


def test_only_its_owner_may_read_it(tmp_path: Path) -> None:
    file = tmp_path / "testbed.json"
    file.write_text("of an earlier testbed")
    file.chmod(0o644)
    with state_written(STATE, file):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_link_in_its_place_is_replaced_and_not_followed(tmp_path: Path) -> None:
    file, other = tmp_path / "testbed.json", tmp_path / "other"
    other.write_text("precious")
    file.symlink_to(other)
    with state_written(STATE, file):
        assert not file.is_symlink()
    assert other.read_text() == "precious"


def test_a_file_that_cannot_be_written_is_wrong_usage(tmp_path: Path) -> None:
    file = tmp_path / "nowhere" / "testbed.json"
    sentence = r"^--state must be a file that can be written; "
    with pytest.raises(WrongUsage, match=sentence), state_written(STATE, file):
        pass


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"pid": 1, "postgres": 2}'])
def test_a_file_of_something_else_is_wrong_usage(tmp_path: Path, content: str) -> None:
    file = tmp_path / "testbed.json"
    file.write_text(content)
    with pytest.raises(WrongUsage, match=r"is no such file$"):
        read_state(file)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_of_another_user_is_not_believed(tmp_path: Path) -> None:
    file = tmp_path / "testbed.json"
    with state_written(STATE, file):
        os.chown(file, 65534, 65534)
        with pytest.raises(WrongUsage, match=r"must be a file of this user's"):
            read_state(file)


def test_a_testbed_is_found_where_it_is_unless_the_caller_names_servers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "testbed.json"
    monkeypatch.setattr(testbed_state, "default_file", lambda: file)
    assert find_testbed(TestbedSettings()) is None
    with state_written(STATE, file):
        assert find_testbed(TestbedSettings()) == STATE
        assert find_testbed(TestbedSettings(finds_testbed=False)) is None
        assert find_testbed(TestbedSettings(redis_url="redis://elsewhere/0")) is None
        assert find_testbed(TestbedSettings(testbed_file=file)) == STATE
        with pytest.raises(WrongUsage, match=r"^--testbed names the same servers as --redis-url"):
            find_testbed(TestbedSettings(testbed_file=file, redis_url="redis://elsewhere/0"))


def test_a_testbed_whose_process_has_ended_is_not_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "testbed.json"
    monkeypatch.setattr(testbed_state, "default_file", lambda: file)
    monkeypatch.setattr(testbed_state, "is_running", lambda pid: pid != STATE.pid)
    with state_written(STATE, file):
        assert find_testbed(TestbedSettings()) is None


def test_a_lease_of_a_testbed_that_has_ended_is_wrong_usage() -> None:
    sentence = r"^--testbed must be the file of a testbed that runs; "
    with pytest.raises(WrongUsage, match=sentence), STATE.leased():
        pass


def test_every_format_has_every_variable() -> None:
    variables = make_variables(STATE)
    assert variables["DATABASE_URL"] == "postgresql://t:secret@h/d"
    for form, write in FORMATS.items():
        text = write(variables, None)
        for name, value in variables.items():
            assert name in text, form
            assert value in text or json.dumps(value) in text, form
