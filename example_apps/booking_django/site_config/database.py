"""Reading of ``DATABASE_URL`` into Django's ``DATABASES`` entry."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit

if TYPE_CHECKING:
    from pathlib import Path

ENGINES = {
    "sqlite": "django.db.backends.sqlite3",
    "postgresql": "django.db.backends.postgresql",
    "mysql": "django.db.backends.mysql",
}


def database_from_url(url: str, *, default_file: Path) -> dict[str, Any]:
    """Return the ``DATABASES["default"]`` entry that a URL describes.

    Args:
        url: ``sqlite:///relative.sqlite3``, ``sqlite:////absolute.sqlite3``,
            ``postgresql://user:password@host:port/name`` or ``mysql://...``;
            empty means SQLite in ``default_file``. A driver suffix such as
            ``postgresql+psycopg`` is accepted and ignored. The query of a
            server URL becomes ``OPTIONS``.
        default_file: The SQLite file used when ``url`` is empty.

    Raises:
        ValueError: The URL names another kind of database, or no name.
    """
    if not url:
        return {"ENGINE": ENGINES["sqlite"], "NAME": str(default_file)}
    parts = urlsplit(url)
    kind = parts.scheme.partition("+")[0]
    if kind not in ENGINES:
        raise ValueError(f"DATABASE_URL begins with {parts.scheme!r}; known are {sorted(ENGINES)}")
    name = unquote(parts.path).removeprefix("/")
    if not name:
        raise ValueError(f"DATABASE_URL names no database: {kind}://.../<name> is missing")
    if kind == "sqlite":
        return {"ENGINE": ENGINES[kind], "NAME": name}
    if kind == "mysql":
        use_pymysql()
    return {
        "ENGINE": ENGINES[kind],
        "NAME": name,
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": parts.hostname or "",
        "PORT": str(parts.port or ""),
        "OPTIONS": dict(parse_qsl(parts.query)),
    }


def use_pymysql() -> None:
    """Let PyMySQL answer for MySQLdb, where it is installed and MySQLdb is not."""
    if find_spec("MySQLdb") is None:
        import pymysql

        pymysql.install_as_MySQLdb()
