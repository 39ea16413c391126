"""An environment for each application, with the very versions that its constraints file names."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.applications.site import HERE
from benchmarks.overhead.peers import installed, version

if TYPE_CHECKING:
    from collections.abc import Mapping

    from benchmarks.applications.site import Subject

ROOT = HERE.parent.parent


def environment(subject: Subject) -> Path:
    """Return the Python of an application's environment, made when it is not there.

    Every package stands in the constraints file, and what they ask for is not asked again: one
    application asks for an older Django than queryscope supports.

    Raises:
        NotInstalledError: The registry has it not, or not for this Python.
    """
    what = ("--no-deps", "--requirement", subject.constraints)
    wanted = subject.constraints.read_text(encoding="utf-8")
    return installed(HERE / f".venv-{subject.name}", what, wanted)


def versions(python: Path, subject: Subject) -> Mapping[str, str]:
    """Return the versions of what the page names."""
    return {name: version(python, name) for name in subject.shown}


def variables() -> dict[str, str]:
    """Return the environment variables of a worker: this checkout first, same sets each time.

    Label Studio asks git for its version, beginning in its own folder, and shows it on its pages:
    git must not find this checkout there, where commits come between one worker and the next.
    """
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("DJANGO_", "QUERYSCOPE_", "PYTEST_", "PYTHON", "FLASK_"))
    }
    path = os.pathsep.join((str(ROOT), str(ROOT / "src")))
    ours = {"PYTHONPATH": path, "PYTHONHASHSEED": "0", "TZ": "UTC"}
    return {**kept, **ours, "GIT_CEILING_DIRECTORIES": str(HERE)}
