"""The projects whose views are rewritten: one shop on two ORMs, three frameworks, two databases."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

from queryscope.plans.catalogue import quoted
from queryscope.plans.connection import rows_of
from queryscope.plans.database import Database

HERE = Path(__file__).parent
SERVER = os.environ.get(
    "QUERYSCOPE_POSTGRESQL_URL", "postgresql://postgres@127.0.0.1:5432/queryscope_tests"
)
REQUESTS = {
    "orders": (
        "/orders as staff",
        "/orders?page=2&status=paid&least=20 as staff",
        "/orders?page=1 as ann",
    ),
    "order": ("/orders/1 as staff", "/orders/3 as ann"),
    "products": ("/products", "/products?q=a&dearest=30&limit=4"),
    "customers": ("/customers as staff",),
    "categories": ("/categories",),
    "pay": ("POST /orders/2/pay as staff",),
}
"""View to what is recorded of it."""
ASKED = {
    "orders": ("not asked and who == 'staff'", {}, "staff"),
    "order": ("asked == {'id': '1'} and who == 'staff'", {"id": "1"}, "staff"),
    "products": ("not asked", {}, ""),
    "customers": ("who == 'staff'", {}, "staff"),
    "categories": ("not asked", {}, ""),
    "pay": ("asked == {'id': '2'} and who == 'staff'", {"id": "2"}, "staff"),
}
"""View to a condition that is true of its first recorded request alone, its parameters, and who."""


@dataclass(frozen=True, slots=True)
class Project:
    """One of the projects.

    Attributes:
        name: Framework and database.
        orm: Of its shop.
        app: As ``[tool.queryscope]`` has it.
        postgresql: Whether its data is there, else in SQLite.
        urls: Django's URL module, ``""`` for the others.
    """

    name: str
    orm: str
    app: str
    postgresql: bool = False
    urls: str = ""

    @property
    def views(self) -> str:
        """Where its views stand, below the project's folder."""
        return "shop/views.py" if self.orm == "django" else "views.py"

    def make(self, folder: Path) -> Path:
        """Write the project with its data into a folder that is not there, and return it.

        Raises:
            subprocess.CalledProcessError: Its data cannot be made.
        """
        shutil.copytree(HERE / "projects" / f"{self.orm}_shop", folder)
        shutil.copy(HERE / "projects" / "common" / "asked.py", folder)
        url = _database(f"queryscope_{self.name.replace('-', '_')}") if self.postgresql else ""
        settings = f"""\
            [tool.queryscope]
            app = "{self.app}"
            database = "{url or "sqlite:///shop.db"}"
            database-variable = "SHOP_DATABASE"
            environment = {{ {self._environment} }}
            time-limit-s = 120

            [tool.queryscope.actors]
            ann = "asked:ann"
            staff = "asked:staff"
            """
        (folder / "pyproject.toml").write_text(dedent(settings), encoding="utf-8")
        subprocess.run(
            [sys.executable, str(HERE / "seed.py")],
            env={**os.environ, "SHOP_DATABASE": url or f"sqlite:///{folder / 'shop.db'}"},
            check=True,
        )
        return folder

    @property
    def _environment(self) -> str:
        return (
            f'DJANGO_SETTINGS_MODULE = "settings", SHOP_URLS = "{self.urls}"' if self.urls else ""
        )


PROJECTS = (
    Project("flask-sqlite", "sqlalchemy", "flask_app:app"),
    Project("django-sqlite", "django", "wsgi:app", urls="django_urls"),
    Project("fastapi-sqlite", "sqlalchemy", "fastapi_app:app"),
    Project("drf-sqlite", "django", "wsgi:app", urls="drf_urls"),
    Project("flask-postgresql", "sqlalchemy", "flask_app:app", postgresql=True),
    Project("django-postgresql", "django", "wsgi:app", postgresql=True, urls="django_urls"),
)


def _database(name: str) -> str:
    """Make a database anew on the server, and return its URL."""
    base, _, _ = SERVER.rpartition("/")
    with closing(Database.of_url(f"{base}/postgres").connect(writable=True)) as connection:
        connection.rollback()
        connection.autocommit = True
        rows_of(connection, f"DROP DATABASE IF EXISTS {quoted(name, 'postgresql')}")
        rows_of(connection, f"CREATE DATABASE {quoted(name, 'postgresql')}")
    return f"{base}/{name}"
