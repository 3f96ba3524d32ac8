"""A submission's folder, looked at before anything in it is read or run."""

import os
import stat
from pathlib import Path
from typing import NoReturn

from conformance.core.errors import WrongUsage
from conformance.core.printing import escape_unprintable

MOST_ENTRIES = 100_000  # files and folders of a submission
READABLE, SEARCHABLE = stat.S_IROTH, stat.S_IXOTH
SHOWN = 300  # characters of a path
KINDS = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def check_folder(folder: Path, *, for_another_user: bool) -> None:
    """See that a folder has only files, folders and links that stay in it. Raises WrongUsage.

    With `for_another_user`, everybody must be able to read it.
    """
    root, count = folder.resolve(), 0
    if for_another_user:
        _check_open(root, root)
    for path, folders, files in os.walk(root, onerror=_refuse):
        for name in (*folders, *files):
            count += 1
            if count > MOST_ENTRIES:
                raise WrongUsage(
                    f"a submission has {MOST_ENTRIES} files and folders at most, and has more"
                )
            entry = Path(path) / name
            _check_kind(root, entry)
            if for_another_user:
                _check_open(root, entry)


def _refuse(error: OSError) -> NoReturn:
    raise WrongUsage(
        f"a submission must be readable, and {escape_unprintable(str(error.filename))[:SHOWN]} is"
        f" not: {error.strerror}"
    )


def _read_mode(entry: Path) -> int:
    try:
        return entry.lstat().st_mode
    except OSError as error:  # such as a path that is too long
        _refuse(error)


def _check_open(root: Path, entry: Path) -> None:
    mode = _read_mode(entry)
    needed = READABLE | (SEARCHABLE if stat.S_ISDIR(mode) else 0)
    if not stat.S_ISLNK(mode) and mode & needed != needed:
        raise WrongUsage(
            "a submission is run as another user, who must be able to read it, and "
            f"{escape_unprintable(str(entry))} is closed: chmod -R o+rX {root}"
        )


def _check_kind(root: Path, entry: Path) -> None:
    shown = escape_unprintable(str(entry.relative_to(root)))[:SHOWN]
    mode = _read_mode(entry)
    if stat.S_ISLNK(mode):
        try:
            is_inside = entry.resolve().is_relative_to(root)
        except (OSError, RuntimeError):  # a loop
            is_inside = False
        if not is_inside:
            raise WrongUsage(
                f"a link of a submission must stay in its folder, and {shown} leads elsewhere"
            )
    elif kind := KINDS.get(stat.S_IFMT(mode)):
        raise WrongUsage(f"a submission has files and folders alone; {shown} is {kind}")
