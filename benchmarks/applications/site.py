"""What an application under trial has to say of itself: how it starts, is filled and is asked."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

HERE = Path(__file__).parent


class Answer(NamedTuple):
    """What a request was answered."""

    status: int
    body: bytes


class Endpoint(NamedTuple):
    """A page that is asked: its name in reports, and its path."""

    name: str
    path: str


@dataclass(frozen=True, slots=True)
class Subject:
    """One application.

    Attributes:
        name: Of its module in ``sites`` and of its constraints file there.
        distribution: Its name on the registry.
        orm: ``django`` or ``sqlalchemy``.
        shown: Distributions whose versions the page names.
        note: What has to be known to read its row.
        in_threads: It answers in threads of its own: its time is that of the process.
    """

    name: str
    distribution: str
    orm: str
    shown: tuple[str, ...]
    note: str = ""
    in_threads: bool = False

    @property
    def constraints(self) -> Path:
        """The file with every version that is installed."""
        return HERE / "sites" / f"{self.name}.txt"


SUBJECTS: Sequence[Subject] = (
    Subject(
        "hyperkitty",
        "HyperKitty",
        "django",
        ("HyperKitty", "Django", "djangorestframework"),
        "run with a newer Django than it asks for: queryscope starts with 5.2",
    ),
    Subject(
        "appbuilder",
        "Flask-AppBuilder",
        "sqlalchemy",
        ("Flask-AppBuilder", "Flask", "SQLAlchemy"),
    ),
    Subject(
        "label_studio",
        "label-studio",
        "django",
        ("label-studio", "Django", "djangorestframework"),
        "without the next task, which answers 404",
    ),
    Subject(
        "dagster_webserver",
        "dagster-webserver",
        "sqlalchemy",
        ("dagster-webserver", "starlette", "SQLAlchemy"),
        "queries of its GraphQL; what it serves is loaded in its own process; its time is that of "
        "all threads, for it answers in others than the one that asks",
        in_threads=True,
    ),
)


class Site(Protocol):
    """A module of ``sites``: it runs in the application's own environment."""

    PACKAGES: tuple[str, ...]
    """Top-level packages that are the application."""

    def start(self, folder: Path, settings: Mapping[str, Any] | None) -> None:
        """Set the application up with its database in ``folder``.

        ``settings`` are queryscope's; None leaves queryscope out of the process.
        """

    def seed(self, size: int) -> None:
        """Make the tables and the rows: ``size`` of whatever a page lists."""

    def log_in(self) -> Callable[[str], Answer]:
        """Return what asks for a path as a user who is logged in."""

    def endpoints(self) -> Sequence[Endpoint]:
        """Return the pages that are asked; the database is filled."""

    def forget(self) -> None:
        """Empty the application's caches."""


def load(name: str) -> Site:
    """Return the module of an application."""
    module: Any = import_module(f"benchmarks.applications.sites.{name}")
    return module
