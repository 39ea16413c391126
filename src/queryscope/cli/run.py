"""The command ``queryscope run``: starts a command whose requests and queries are recorded."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

from queryscope.errors import QueryscopeError
from queryscope.settings import RUN_VARIABLE, STORE_VARIABLE, Settings

BOOTSTRAP = Path(__file__).resolve().parents[1] / "bootstrap"
"""Folder whose ``sitecustomize`` every Python under the command runs first."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``run``."""
    parser.usage = "%(prog)s [--store PATH] -- COMMAND ..."
    parser.epilog = (
        "Django and Flask applications record each request, Celery workers each task; a script, a "
        "management command and a test run record themselves. Python must not be told to ignore "
        "its environment (-E, -I, -S)."
    )
    parser.add_argument(
        "command",
        nargs=argparse.REMAINDER,
        metavar="COMMAND",
        help="such as: python manage.py runserver",
    )


def run(options: argparse.Namespace) -> int:
    """Become the command; where a process cannot, return the command's exit code.

    Raises:
        QueryscopeError: There is no command, or it cannot be started.
    """
    command = list(options.command)
    if command[:1] == ["--"]:
        del command[0]
    if not command:
        raise QueryscopeError(
            "run needs a command, such as: queryscope run -- python manage.py runserver"
        )
    environment = environment_of(dict(os.environ), options.store)
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        if os.name == "nt":  # there, exec gives the terminal back while the command still runs
            return subprocess.run(command, env=environment, check=False).returncode
        _become(command, environment)
    except OSError as error:
        raise QueryscopeError(
            f"run cannot start {command[0]!r}: {error.strerror or error}."
        ) from None


def _become(command: list[str], environment: dict[str, str]) -> NoReturn:
    os.execvpe(command[0], command, environment)  # noqa: S606 - the user's own command


def environment_of(environment: dict[str, str], store: str) -> dict[str, str]:
    """Return the environment in which a command is recorded.

    Args:
        environment: What we were started with.
        store: The store's path, from the command line or the default.
    """
    found = dict(environment)
    found[RUN_VARIABLE] = "1"
    if store != Settings().store_path:
        # Absolute: the command may change its folder, and its settings are not to win.
        found[STORE_VARIABLE] = str(Path(store).absolute())
    paths = [path for path in found.get("PYTHONPATH", "").split(os.pathsep) if path]
    found["PYTHONPATH"] = os.pathsep.join(
        [str(BOOTSTRAP), *(path for path in paths if path != str(BOOTSTRAP))]
    )
    return found
