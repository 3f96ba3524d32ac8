"""What a submission's folder may hold."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from conformance.cage import submission
from conformance.cage.submission import check_folder
from conformance.core.errors import WrongUsage


def leave_by_a_folder(folder: Path) -> None:
    (folder / "lib").symlink_to("../..")


def close_a_file(folder: Path) -> None:
    (folder / "closed.py").touch(0o600)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda folder: (folder / "x").symlink_to("/etc/passwd"), "x leads elsewhere"),
        (lambda folder: (folder / "x").symlink_to("x"), "x leads elsewhere"),
        (leave_by_a_folder, "lib leads elsewhere"),
        (lambda folder: os.mkfifo(folder / "x\n\x1b[2J"), r"x\\n\\x1b\[2J is a pipe"),
        (close_a_file, "closed.py is closed: chmod -R o"),
    ],
    ids=["a link", "a loop", "a link to a folder", "a pipe", "a closed file"],
)
def test_what_cannot_be_a_submission_is_told(
    tmp_path: Path, make: Callable[[Path], None], sentence: str
) -> None:
    tmp_path.chmod(0o755)
    make(tmp_path)
    with pytest.raises(WrongUsage, match=sentence):
        check_folder(tmp_path, for_another_user=True)


def test_links_that_stay_and_names_that_are_no_utf_8_are_no_matter(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "app.py").touch(0o644)
    (tmp_path / "same.py").symlink_to("app.py")
    (tmp_path / os.fsdecode(b"\xff.py")).touch(0o644)
    check_folder(tmp_path, for_another_user=True)


def test_a_closed_folder_is_no_matter_to_its_own_user(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    check_folder(tmp_path, for_another_user=False)
    with pytest.raises(WrongUsage, match="is closed"):
        check_folder(tmp_path, for_another_user=True)


def test_a_folder_of_too_many_files_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(submission, "MOST_ENTRIES", 2)
    for name in "abc":
        (tmp_path / name).touch(0o644)
    with pytest.raises(WrongUsage, match="2 files and folders at most"):
        check_folder(tmp_path, for_another_user=False)
