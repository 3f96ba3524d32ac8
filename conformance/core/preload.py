"""Imports that must be settled before any thread begins."""

import importlib
import sys
from importlib.util import find_spec


def settle_imports() -> None:
    """Import httpcore, and mark sniffio as absent if it is not installed.

    httpx imports httpcore when it is first used, which here is in a thread. httpcore brings anyio,
    which parses its own source when it is imported. CPython 3.11 counts the depth of the parser
    per process, so that this failed in 2 of 120 runs, while pytest parsed the probes ("AST
    constructor recursion depth mismatch").

    httpcore imports sniffio at each lock. Where it is not installed, Python searches all of
    `sys.path` each time, which took a fifth of our processor time. An entry of None in
    `sys.modules` ends that search at once (docs.python.org, `sys.modules`).
    """
    importlib.import_module("httpcore")
    if find_spec("sniffio") is None:
        sys.modules["sniffio"] = None  # type: ignore[assignment] # documented, but not typed
