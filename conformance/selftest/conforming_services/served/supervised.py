"""A parent, and one child that serves, in a session of its own: signals come through the parent."""

import signal
import subprocess
import sys
from collections.abc import Sequence

ASKED = (-signal.SIGTERM, -signal.SIGINT)


def main(arguments: Sequence[str]) -> int:
    """Serve until a signal comes, and return the exit status of whoever was not asked to end."""
    command = [sys.executable, "-m", "uvicorn", *arguments, "served.app:app"]
    with subprocess.Popen(command, start_new_session=True) as child:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda number, _: child.send_signal(number))
        status = child.wait()
    return 0 if status in ASKED else status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
