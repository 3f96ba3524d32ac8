"""What this machine has for a cage, and what is missing."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from conformance.cage.bubblewrap import BUBBLEWRAP, PRLIMIT, SETPRIV, USER, list_namespaces
from conformance.cage.seccomp import build_filter
from conformance.config.paths import PACKAGE
from conformance.core.errors import WrongUsage

DEBIAN_PACKAGES = {BUBBLEWRAP: "bubblewrap", SETPRIV: "util-linux", PRLIMIT: "util-linux"}
LIMIT = 20.0  # seconds for an interpreter to say where its files are
FOLDERS = "import json, sys; print(json.dumps([sys.prefix, sys.base_prefix, sys.executable]))"
NO_CAGE = "none: the submission has the rights of whoever runs the suite"


def describe_cage() -> str:
    """What shuts a submission away on this machine, in a few words."""
    done = subprocess.run(
        [BUBBLEWRAP, "--version"], capture_output=True, text=True, timeout=LIMIT, check=False
    )
    user = f"user {USER}" if os.geteuid() == 0 else "this user"
    calls = "system calls filtered" if build_filter() else "no filter of system calls"
    return f"namespaces by {done.stdout.strip()}, {user}, no network but a loopback, {calls}"


def check_machine() -> None:
    """See that a cage can be had here. Raises WrongUsage, which says what to install."""
    if sys.platform != "linux":
        raise WrongUsage("--untrusted needs Linux, whose namespaces are the cage")
    if missing := [name for name in DEBIAN_PACKAGES if shutil.which(name) is None]:
        package = DEBIAN_PACKAGES[missing[0]]
        raise WrongUsage(
            f"--untrusted needs {missing[0]}, which is not installed: apt install {package}, "
            f"dnf install {package}, or --cage none on a machine that you throw away"
        )
    trial = [BUBBLEWRAP, *list_namespaces(), "--ro-bind", "/", "/", "--proc", "/proc", "true"]
    done = subprocess.run(trial, capture_output=True, text=True, timeout=LIMIT, check=False)
    if done.returncode:
        raise WrongUsage(
            f"--untrusted needs {BUBBLEWRAP} 0.8 or newer on a system that allows user namespaces; "
            f"here it says: {done.stderr.strip()}"
        )


def list_folders(python: str, submission: Path) -> Sequence[Path]:
    """Return the folders that an interpreter needs, but those in /usr. Raises WrongUsage."""
    python = shutil.which(python) or python
    if Path(python).absolute().is_relative_to(submission):
        raise WrongUsage(f"--target-python {python} is of the submission; give one of your own")
    try:
        done = subprocess.run(
            [python, "-I", "-c", FOLDERS], capture_output=True, timeout=LIMIT, check=True
        )
        prefix, base, executable = json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise WrongUsage(f"--target-python {python} is no interpreter: {error}") from error
    folders = {Path(prefix), Path(base), Path(executable).resolve().parent.parent}
    shown = sorted(each for each in folders if not each.is_relative_to("/usr"))
    for each in (*shown, Path("/usr")):
        if PACKAGE.is_relative_to(each.resolve()):
            raise WrongUsage(
                f"submissions would see {each}, and the suite is installed there; install it, and "
                "the packages that submissions may use, in two environments (--target-python)"
            )
        if submission.is_relative_to(each.resolve()):
            raise WrongUsage(f"the submission lies in {each}, which is the interpreter's folder")
    return shown
