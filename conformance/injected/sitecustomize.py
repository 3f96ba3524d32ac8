"""Runs at the start of every Python process of a target: on a signal, it prints its stack.

A copy of this file is in a folder of the run that comes first in the target's PYTHONPATH. It
imports nothing of the suite, takes its folder out of the path, and then runs the sitecustomize
that it has hidden.
"""

import faulthandler
import importlib
import os
import signal
import sys

# Kept equal to conformance.testbed.processes.STACK_SIGNAL by a test. The signal comes to the main
# thread. The frames of other threads, which run meanwhile, cannot be read safely.
faulthandler.register(
    signal.SIGRTMIN + 9 if hasattr(signal, "SIGRTMIN") else signal.SIGUSR2, all_threads=False
)

_folder = os.path.dirname(os.path.abspath(__file__))
sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry or ".") != _folder]
_self = sys.modules.pop("sitecustomize")
try:
    importlib.import_module("sitecustomize")
except ModuleNotFoundError as error:
    if error.name != "sitecustomize":
        raise
sys.modules.setdefault("sitecustomize", _self)
