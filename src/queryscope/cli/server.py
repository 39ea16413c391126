"""How many connections a database server admits: asked once, on a connection of our own."""

from __future__ import annotations

from importlib import import_module
from typing import Any, NamedTuple
from urllib.parse import SplitResult, unquote, urlsplit

from queryscope.errors import QueryscopeError

CONNECT_TIMEOUT_S = 5

_POSTGRESQL = """
    SELECT
        current_setting('max_connections')::int,
        current_setting('superuser_reserved_connections')::int
            + coalesce(current_setting('reserved_connections', true), '0')::int,
        (SELECT rolconnlimit FROM pg_roles WHERE rolname = current_user),
        (SELECT datconnlimit FROM pg_database WHERE datname = current_database())
"""
_MYSQL = "SELECT @@global.max_connections, 0, @@session.max_user_connections, 0"


class Limit(NamedTuple):
    """What a server admits.

    Attributes:
        connections: Its own limit, ``max_connections``.
        reserved: Of these, kept for administrators.
        admitted: What is left to this user and this database, whose own limits count, too.
    """

    connections: int
    reserved: int
    admitted: int


def limit_of(url: str) -> Limit:
    """Return the limit of the server of a URL, such as ``postgresql://user@host/name``.

    A driver in the URL's scheme, as SQLAlchemy has it, is passed over: any that is installed will
    do.

    Raises:
        QueryscopeError: The URL is of another database, no driver is installed, or the server
            does not answer. The text holds no password.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise QueryscopeError(f"--database is no URL: {error}.") from None
    vendor = parts.scheme.partition("+")[0]
    if vendor in ("postgresql", "postgres"):
        drivers, connect, query = ("psycopg", "psycopg2"), _postgresql, _POSTGRESQL
    elif vendor in ("mysql", "mariadb"):
        drivers, connect, query = ("MySQLdb", "pymysql"), _mysql, _MYSQL
    elif vendor == "sqlite":
        raise QueryscopeError("SQLite has no server, and no limit of connections: leave it out.")
    else:
        raise QueryscopeError(
            f"--database is a URL of PostgreSQL or MariaDB, such as postgresql://user@host/name, "
            f"not one of {vendor or 'nothing'!r}."
        )
    driver = _driver(drivers)
    where = f"{parts.hostname or 'the local server'}{f':{port}' if port else ''}"
    try:
        connection = connect(driver, parts)
        try:
            cursor = connection.cursor()
            cursor.execute(query)
            most, reserved, *own = cursor.fetchone()
        finally:
            connection.close()
    except driver.Error as error:
        reason = " ".join(str(error).split())
        if parts.password:
            reason = reason.replace(unquote(parts.password), "***")
        raise QueryscopeError(f"{where} does not tell its limit: {reason[:300]}.") from None
    limits = [int(most) - int(reserved), *(int(one) for one in own if one and int(one) > 0)]
    return Limit(int(most), int(reserved), min(limits))


def _driver(names: tuple[str, ...]) -> Any:
    for name in names:
        try:
            return import_module(name)
        except ImportError:
            continue
    raise QueryscopeError(
        f"To ask the server, install one of {', '.join(names)}; or give its limit with "
        "--server-limit."
    )


def _postgresql(driver: Any, parts: SplitResult) -> Any:
    given = _given(parts)
    if "database" in given:
        given["dbname"] = given.pop("database")
    return driver.connect(**given, connect_timeout=CONNECT_TIMEOUT_S)


def _mysql(driver: Any, parts: SplitResult) -> Any:
    return driver.connect(**_given(parts), connect_timeout=CONNECT_TIMEOUT_S)


def _given(parts: SplitResult) -> dict[str, Any]:
    """Return the parts of a URL that it has, under the names that most drivers take."""
    found = {
        "host": parts.hostname,
        "port": parts.port,
        "user": unquote(parts.username or ""),
        "password": unquote(parts.password or ""),
        "database": unquote(parts.path.lstrip("/")),
    }
    return {name: value for name, value in found.items() if value}
