"""The peers: what is installed for each, in an environment of its own beside this file."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

HERE = Path(__file__).parent
CONSTRAINTS = HERE.parents[1] / "constraints.txt"
INSTALL_TIMEOUT_S = 600


@dataclass(frozen=True)
class Peer:
    """One peer.

    Attributes:
        subject: Its name in ``subjects.MAKERS``.
        framework: ``django`` or ``sqlalchemy``: which plain process it is compared with.
        packages: What is installed, beside the frameworks.
        shown: Of the packages, the one whose version is shown.
        share: Our added cost a query must be at most this share of the peer's.
    """

    subject: str
    framework: str
    packages: tuple[str, ...]
    shown: str
    share: float


PEERS: Sequence[Peer] = (
    Peer("zeal", "django", ("django-zeal",), "django-zeal", 1 / 4),
    Peer(
        "opentelemetry-django",
        "django",
        (
            "opentelemetry-sdk",
            "opentelemetry-instrumentation-django",
            "opentelemetry-instrumentation-sqlite3",
        ),
        "opentelemetry-instrumentation-django",
        1 / 5,
    ),
    Peer("debug-toolbar", "django", ("django-debug-toolbar",), "django-debug-toolbar", 1 / 20),
    Peer("silk", "django", ("django-silk",), "django-silk", 1 / 40),
    Peer(
        "opentelemetry-sqlalchemy",
        "sqlalchemy",
        (
            "opentelemetry-sdk",
            "opentelemetry-instrumentation-wsgi",
            "opentelemetry-instrumentation-sqlalchemy",
        ),
        "opentelemetry-instrumentation-sqlalchemy",
        1 / 5,
    ),
    Peer("sqltap", "sqlalchemy", ("sqltap",), "sqltap", 1 / 50),
)


class NotInstalledError(Exception):
    """A peer could not be installed; the text says why."""


def environment(peer: Peer) -> Path:
    """Return the Python of the peer's environment, made when it is not there.

    Raises:
        NotInstalledError: The registry has it not, or not for these versions.
    """
    folder = HERE / f".venv-{peer.subject}"
    python = folder / "bin" / "python"
    done = folder / "installed"
    wanted = " ".join(peer.packages)
    if done.exists() and done.read_text(encoding="utf-8") == wanted:
        return python
    _run([sys.executable, "-m", "venv", folder])
    pip = (python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    _run([*pip, "--constraint", CONSTRAINTS, "django", "sqlalchemy", *peer.packages])
    done.write_text(wanted, encoding="utf-8")
    return python


def version(python: Path, package: str) -> str:
    """Return the version of a package in an environment."""
    code = f"from importlib.metadata import version; print(version({package!r}))"
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def _run(command: list[object]) -> None:
    try:
        subprocess.run(
            command, capture_output=True, text=True, check=True, timeout=INSTALL_TIMEOUT_S
        )
    except subprocess.TimeoutExpired as error:
        raise NotInstalledError("installing it took too long") from error
    except subprocess.CalledProcessError as error:
        words = [line for line in error.stderr.splitlines() if line.startswith("ERROR")]
        reason = words[-1] if words else f"pip ended with status {error.returncode}"
        # Where packages come from is not the reader's business.
        raise NotInstalledError(re.sub(r"\S*://\S+", "", reason)[:200]) from error
