"""Where a command finds the databases that it asks for plans: an option, or the project's table."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from queryscope.errors import SettingsError
from queryscope.plans.database import Database
from queryscope.plans.study import ANY
from queryscope.policy.decisions import PROJECT, TABLE, project_of, table_of

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

_NAMED = "NAME=URL"


def add_database(parser: argparse.ArgumentParser) -> None:
    """Add the argument that says where databases are."""
    parser.add_argument(
        "--database",
        action="append",
        metavar="URL",
        help="the database to ask for plans, such as postgresql://me@localhost/shop; "
        f"{_NAMED} for the alias or engine of that name, and so once for each "
        f"(default: database in [{TABLE}] of {PROJECT})",
    )


def databases_of(options: argparse.Namespace) -> Mapping[str, Database]:
    """Return where databases are, by alias or engine name; ``ANY`` for those without a name.

    Raises:
        SettingsError: A URL is none, or ``database`` in the project's table is no text.
    """
    if options.database:
        return dict(_named(text) for text in options.database)
    project = project_of(Path.cwd())
    if project is None:
        return {}
    url = table_of(project).get("database", "")
    if not isinstance(url, str):
        raise SettingsError(f"{project}: [{TABLE}]: database must be a URL, not {url!r}.")
    if not url:
        return {}
    found = Database.of_url(url)
    if found.vendor == "sqlite":
        found = replace(found, name=str(project.parent / found.name))
    return {ANY: found}


def _named(text: str) -> tuple[str, Database]:
    """Return name and database of ``NAME=URL``; a URL may have ``=`` in it, but behind ``://``."""
    name, separator, url = text.partition("=")
    if separator and "://" not in name:
        return name, Database.of_url(url)
    return ANY, Database.of_url(text)
