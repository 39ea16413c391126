"""What ``[tool.queryscope]`` says about verifying a project: application, data, actors, limits."""

from __future__ import annotations

import os
import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from queryscope.errors import QueryscopeError, SettingsError, nearest
from queryscope.policy.decisions import KEYS, PROJECT, TABLE, VERIFY_KEYS, project_of, table_of

if TYPE_CHECKING:
    from collections.abc import Mapping

TIME_LIMIT_S = 300.0
"""Longest time of one replay, boot included."""
MEMORY_LIMIT_MIB = 4_096
"""Address space of one child: threads and native libraries count in it, used or not."""
CONTRACTS = "contracts"
ALLOWANCES = ("clock", "environment", "module-state", "imports", "swallowed-errors")
"""What a patch may not bring along unless ``allow`` names it; see ``policy``."""
_APP = re.compile(r"[\w.]+:[\w.]+(\(\))?\Z")
_SCHEMES = ("sqlite", "postgresql", "postgres", "mysql", "mariadb")


class ProjectError(QueryscopeError):
    """The project does not say what verifying needs, or says it wrongly."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """How one project is run for a proof.

    Attributes:
        root: Its folder, where ``pyproject.toml`` lies.
        app: ``module:callable``, WSGI or ASGI; with ``()`` a factory.
        boot: The command that production uses, with ``{port}``; ``()`` for no boot check.
        health: The path that a booted application answers.
        database: URL of the user's database; a SQLite path is relative to ``root``.
        database_variable: The environment variable from which the application takes the URL.
        environment: Variables that the application needs, and no others are handed on.
        seed: A command that makes the data in an empty database; ``()`` to copy ``database``.
        actors: Names to ``module:callable``; it returns the headers of somebody logged in.
        host: The host name that requests are sent to.
        copy: Ignored files that the application needs, as patterns below ``root``.
        contracts: The folder of the contracts.
        time_limit_s: Longest time of one replay.
        memory_limit_mib: Address space of one child.
        allow: Of ``ALLOWANCES``, what patches may bring along.
        constant_tables: Tables that never change, so that a patch may hold them in the source: they
            are the same on every clone.
    """

    root: Path
    app: str
    boot: tuple[str, ...] = ()
    health: str = "/"
    database: str = ""
    database_variable: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    seed: tuple[str, ...] = ()
    actors: Mapping[str, str] = field(default_factory=dict)
    host: str = "localhost"
    copy: tuple[str, ...] = ()
    contracts: Path
    time_limit_s: float = TIME_LIMIT_S
    memory_limit_mib: int = MEMORY_LIMIT_MIB
    allow: frozenset[str] = frozenset()
    constant_tables: tuple[str, ...] = ()

    @property
    def database_file(self) -> Path | None:
        """The user's SQLite file, None for a server or where the data is seeded."""
        return sqlite_file(self.database, self.root) if self.database else None


def load(start: Path) -> Project:
    """Return the project that a folder belongs to.

    Raises:
        ProjectError: There is no ``pyproject.toml``, or it names no application or no data.
        SettingsError: Something in ``[tool.queryscope]`` is unknown or ill-typed.
    """
    root = root_of(start)
    file = root / PROJECT
    return from_table(table_of(file), root=root, source=f"{file}: [{TABLE}]")


def root_of(start: Path) -> Path:
    """Return the folder of the project that a folder belongs to.

    Raises:
        ProjectError: There is no ``pyproject.toml``.
    """
    file = project_of(start)
    if file is None:
        raise ProjectError(
            f"There is no {PROJECT} in {start} or above: verifying needs one, with "
            f'app = "module:callable" in [{TABLE}].'
        )
    return file.parent


def from_table(table: Mapping[str, Any], *, root: Path, source: str) -> Project:
    """Check the table and return it as a Project; ``source`` is named in errors."""
    known = (*KEYS, *VERIFY_KEYS)
    for key in table:
        if key not in known:
            raise SettingsError(f"{source}: there is no setting {key!r}.{nearest(key, known)}")
    app = _text(table, "app", source)
    if not app:
        raise ProjectError(f'{source} names no application: app = "module:callable" is missing.')
    if not _APP.match(app):
        raise SettingsError(
            f"{source}: app must be 'module:callable' or 'module:factory()', not {app!r}."
        )
    database = _text(table, "database", source)
    seed = _command(table, "seed", source)
    variable = _text(table, "database-variable", source)
    if not database and not seed:
        raise ProjectError(
            f"{source} names no data: set database (a URL, such as sqlite:///app.db), or seed "
            "(a command that fills an empty database) with database-variable."
        )
    if database and database.partition(":")[0].partition("+")[0] not in _SCHEMES:
        raise SettingsError(
            f"{source}: database must be a URL of {', '.join(_SCHEMES)}, not {database!r}."
        )
    if not variable and (seed or sqlite_file(database, root) is None):
        raise ProjectError(
            f"{source}: database-variable is missing: the application must be told of the copy."
        )
    allow = frozenset(_texts(table, "allow", source))
    for name in sorted(allow - set(ALLOWANCES)):
        raise SettingsError(
            f"{source}: allow knows {', '.join(ALLOWANCES)}, not {name!r}."
            f"{nearest(name, ALLOWANCES)}"
        )
    return Project(
        root=root,
        app=app,
        boot=_command(table, "boot", source),
        health=_text(table, "health", source) or "/",
        database=database,
        database_variable=variable,
        environment=_mapping(table, "environment", source),
        seed=seed,
        actors=_actors(table, source),
        host=_text(table, "host", source) or "localhost",
        copy=_texts(table, "copy", source),
        contracts=root / (_text(table, "contracts", source) or CONTRACTS),
        time_limit_s=_number(table, "time-limit-s", source, TIME_LIMIT_S),
        memory_limit_mib=int(_number(table, "memory-limit-mib", source, MEMORY_LIMIT_MIB)),
        allow=allow,
        constant_tables=_texts(table, "constant-tables", source),
    )


def sqlite_file(url: str, root: Path) -> Path | None:
    """Return the file that a URL names, None for a server's; relative ones lie below ``root``."""
    scheme, _, rest = url.partition("://")
    if scheme.partition("+")[0] != "sqlite":
        return None
    # Three slashes are a relative path, four an absolute one.
    return Path(os.path.normpath(root / rest.partition("?")[0].removeprefix("/")))


def _text(table: Mapping[str, Any], key: str, source: str) -> str:
    value = table.get(key, "")
    if not isinstance(value, str):
        raise SettingsError(f"{source}: {key} must be a string, not {value!r}.")
    return value


def _texts(table: Mapping[str, Any], key: str, source: str) -> tuple[str, ...]:
    value = table.get(key, [])
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise SettingsError(f"{source}: {key} must be a list of strings, not {value!r}.")
    return tuple(value)


def _command(table: Mapping[str, Any], key: str, source: str) -> tuple[str, ...]:
    try:
        return tuple(shlex.split(_text(table, key, source)))
    except ValueError as error:
        raise SettingsError(f"{source}: {key} is no command: {error}.") from error


def _mapping(table: Mapping[str, Any], key: str, source: str) -> dict[str, str]:
    value = table.get(key, {})
    if not isinstance(value, dict) or not all(isinstance(item, str) for item in value.values()):
        raise SettingsError(f"{source}: {key} must be a table of strings, not {value!r}.")
    return dict(value)


def _actors(table: Mapping[str, Any], source: str) -> dict[str, str]:
    actors = _mapping(table, "actors", source)
    for name, place in actors.items():
        if not _APP.match(place):
            raise SettingsError(
                f"{source}: actors.{name} must be 'module:callable', not {place!r}."
            )
    return actors


def _number(table: Mapping[str, Any], key: str, source: str, default: float) -> float:
    value = table.get(key, default)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value <= 0:
        raise SettingsError(f"{source}: {key} must be a number above 0, not {value!r}.")
    return value
