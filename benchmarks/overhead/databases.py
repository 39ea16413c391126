"""The database that is measured: an SQLite file, or a database of its own on a PostgreSQL server.

Which it is says the environment variable ``BENCH_DATABASE``: nothing for SQLite, or the URL of a
server, such as ``postgresql://postgres@127.0.0.1:5432``. Each folder has its own database.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from pathlib import Path

VARIABLE = "BENCH_DATABASE"
SERVER = "postgresql://postgres@127.0.0.1:5432"
"""Where a server is looked for when none is named."""


def answers(server: str) -> bool:
    """Tell whether a PostgreSQL server lets us in."""
    import psycopg

    try:
        psycopg.connect(f"{server}/postgres", connect_timeout=3).close()
    except psycopg.Error:
        return False
    return True


def django(folder: Path) -> dict[str, Any]:
    """Return the entry of ``DATABASES``."""
    # Connections are kept, as in production: a new one costs as much as several queries, and
    # would hide what is measured.
    kept = {"CONN_MAX_AGE": None}
    server = os.environ.get(VARIABLE)
    if not server:
        return {"ENGINE": "django.db.backends.sqlite3", "NAME": folder / "django.db", **kept}
    where = urlsplit(server)
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": _made(server, f"queryscope_bench_django_{folder.name}"),
        "USER": where.username or "",
        "PASSWORD": where.password or "",
        "HOST": where.hostname or "",
        "PORT": str(where.port or ""),
        **kept,
    }


def sqlalchemy(folder: Path) -> str:
    """Return the URL for ``create_engine``."""
    server = os.environ.get(VARIABLE)
    if not server:
        return f"sqlite:///{folder / 'sqlalchemy.db'}"
    name = _made(server, f"queryscope_bench_sqlalchemy_{folder.name}")
    return urlsplit(server)._replace(scheme="postgresql+psycopg", path=f"/{name}").geturl()


def _made(server: str, name: str) -> str:
    """Return the name of a database that exists, made when it did not."""
    import psycopg
    from psycopg import sql

    name = name.replace("-", "_")
    with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
        known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name])
        if known.fetchone() is None:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    return name


def drop_all(server: str) -> None:
    """Drop every database that a measurement has made."""
    import psycopg
    from psycopg import sql

    with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
        found = connection.execute(
            "SELECT datname FROM pg_database WHERE datname LIKE 'queryscope\\_bench\\_%'"
        ).fetchall()
        for (name,) in found:
            connection.execute(
                sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
            )
