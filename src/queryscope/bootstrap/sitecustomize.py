# ruff: noqa: INP001 - the folder stands on PYTHONPATH, and holds nothing else that can be imported
"""What Python runs first in every process of ``queryscope run``: lets requests be recorded."""

from __future__ import annotations

import os
import sys


def _begin() -> None:
    """Wait for the frameworks that can be recorded; nothing of them is imported here."""
    if not os.environ.get("QUERYSCOPE_RUN"):
        return
    try:
        from queryscope.cli.launched import begin
    except ImportError as error:
        sys.stderr.write(
            f"queryscope run: nothing is recorded, since {sys.executable} cannot import "
            f"queryscope ({error}). Install it for that Python.\n"
        )
        return
    try:
        begin()
    except Exception as error:  # noqa: BLE001 - the program starts as if we were not there
        sys.stderr.write(f"queryscope run: nothing is recorded: {type(error).__name__}: {error}\n")


def _go_on() -> None:
    """Run the sitecustomize that ours stands before, and leave the path as it would have been."""
    from importlib.machinery import PathFinder
    from importlib.util import module_from_spec

    here = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120 - no pathlib at start
    sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry) != here]  # noqa: PTH100 - as above
    spec = PathFinder.find_spec("sitecustomize", sys.path)
    if spec is None or spec.loader is None:
        return
    module = module_from_spec(spec)
    sys.modules["sitecustomize"] = module
    spec.loader.exec_module(module)


_begin()
_go_on()
