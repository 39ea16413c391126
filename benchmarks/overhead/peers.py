"""The peers: what is installed for each, in an environment of its own beside this file."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import version as version_of
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

HERE = Path(__file__).parent
INSTALL_TIMEOUT_S = 600
SAME = ("django", "sqlalchemy", "asgiref", "sqlparse", "greenlet", "psycopg", "psycopg-binary")
"""What a peer runs on in the very version that we run on."""


@dataclass(frozen=True)
class Peer:
    """One peer.

    Attributes:
        subject: Its name in ``subjects.MAKERS``.
        framework: ``django`` or ``sqlalchemy``: which plain process it is compared with.
        packages: What is installed, beside the frameworks.
        shown: Of the packages, the one whose version is shown.
        share: What we add to a request must be at most this share of what the peer adds.
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
    same = [f"{name}=={version_of(name)}" for name in SAME]
    what = [*same, *peer.packages]
    return installed(HERE / f".venv-{peer.subject}", what, " ".join(what))


def installed(
    name: Path, what: Sequence[object], mark: str, interpreter: Path = Path(sys.executable)
) -> Path:
    """Return the Python of an environment, made when it is not there or has another mark.

    Args:
        name: Its folder, but for the version of Python.
        what: What pip is told to install.
        mark: Text that is another one when something else is to be installed.
        interpreter: The Python that makes it.

    Raises:
        NotInstalledError: The registry has it not, or not for these versions.
    """
    folder = name.with_name(f"{name.name}-{_short_version(interpreter)}")
    python = folder / "bin" / "python"
    done = folder / "installed"
    if done.exists() and done.read_text(encoding="utf-8") == mark:
        return python
    _run([interpreter, "-m", "venv", "--clear", folder])
    _run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *what])
    done.write_text(mark, encoding="utf-8")
    return python


def version(python: Path, package: str) -> str:
    """Return the version of a package in an environment."""
    code = f"from importlib.metadata import version; print(version({package!r}))"
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def _short_version(interpreter: Path) -> str:
    code = "import sys; print(*sys.version_info[:2], sep='')"
    done = subprocess.run([interpreter, "-c", code], capture_output=True, text=True, check=True)
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
