"""Where a database is, and connections of our own to it: read only, timed out, rolled back."""

from __future__ import annotations

import sqlite3
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from queryscope.errors import SettingsError
from queryscope.plans.connection import CannotExplainError, rows_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from queryscope.plans.connection import Connection

TIMEOUT_MS = 5_000
"""How long one question to the database may take."""
CONNECT_TIMEOUT_S = 5
PROGRESS_STEPS = 1_000
"""Steps of SQLite's machine between two looks at the clock."""
VENDORS = {
    "sqlite": "sqlite",
    "sqlite3": "sqlite",
    "postgresql": "postgresql",
    "postgres": "postgresql",
    "postgis": "postgresql",
    "mysql": "mysql",
    "mariadb": "mysql",
}
_DRIVERS = {"postgresql": ("psycopg", "psycopg2"), "mysql": ("pymysql", "MySQLdb")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Database:
    """Where a database is.

    Attributes:
        vendor: ``sqlite``, ``postgresql`` or ``mysql`` (which is MariaDB, too).
        name: The database's name; of SQLite the path of its file.
        host: Its host, or the folder of its socket; ``""`` for the driver's default.
        port: Its port, None for the driver's default.
        user: Who connects.
        password: The password; never shown.
        options: Further arguments of the driver, such as ``sslmode``.
    """

    vendor: str
    name: str
    host: str = ""
    port: int | None = None
    user: str = ""
    password: str = field(default="", repr=False)
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @classmethod
    def of_url(cls, url: str) -> Database:
        """Return the database of a URL, as Django's and SQLAlchemy's users write it.

        Raises:
            SettingsError: It is no URL of a database that can be asked.

        Example:
            >>> Database.of_url("postgresql+psycopg://me:secret@db.local:5433/shop")
            Database(vendor='postgresql', name='shop', host='db.local', port=5433, user='me')
        """
        scheme, separator, rest = url.partition("://")
        vendor = VENDORS.get(scheme.partition("+")[0].lower())
        try:
            where = urlsplit(f"x://{rest}")
            port = where.port
        except ValueError:
            vendor = None
        if vendor is None or not separator:
            raise SettingsError(
                "The database must be a URL like sqlite:///shop.db, postgresql://me@host/shop or "
                f"mysql://me@host/shop, and its scheme is {scheme[:40]!r}."
            )
        if vendor == "sqlite":
            return cls(vendor=vendor, name=unquote(rest.partition("?")[0][1:]))
        return cls(
            vendor=vendor,
            name=unquote(where.path.strip("/")),
            host=unquote(where.hostname or ""),
            port=port,
            user=unquote(where.username or ""),
            password=unquote(where.password or ""),
            options=dict(parse_qsl(where.query)),
        )

    def connect(self, *, writable: bool = False) -> Connection:
        """Return a new connection; of SQLite one that cannot write unless it is told otherwise.

        Raises:
            CannotExplainError: There is no driver, or the database does not let us in.
        """
        if self.vendor == "sqlite":
            return _sqlite(self.name, writable=writable)
        driver = _driver(self.vendor)
        try:
            connection: Connection = driver.connect(**self._arguments(driver.__name__))
        except Exception as error:
            raise CannotExplainError(
                f"The {self.vendor} database {self.name!r} does not let us in: {brief(error)}"
            ) from error
        return connection

    def _arguments(self, driver: str) -> dict[str, Any]:
        names = {"database": "dbname"} if driver.startswith("psycopg") else {}
        given = {
            "host": self.host,
            "port": self.port,
            "user": self.user,
            "password": self.password,
            names.get("database", "database"): self.name,
        }
        arguments = {name: value for name, value in given.items() if value not in ("", None)}
        if self.host.startswith("/") and self.vendor == "mysql":
            arguments["unix_socket"] = arguments.pop("host")
        return {"connect_timeout": CONNECT_TIMEOUT_S, **arguments, **self.options}


def _sqlite(name: str, *, writable: bool) -> Connection:
    path = Path(name)
    if name in ("", ":memory:") or name.startswith("file:"):
        raise CannotExplainError(
            "A SQLite database in memory belongs to the process that made it: no other connection "
            "sees it. Record with a database in a file."
        )
    if not path.is_file():
        raise CannotExplainError(f"There is no SQLite database at {path}.")
    mode = "rw" if writable else "ro"
    return sqlite3.connect(
        f"file:{quote(str(path.absolute()))}?mode={mode}",
        uri=True,
        timeout=CONNECT_TIMEOUT_S,
        isolation_level=None,
        check_same_thread=False,
    )


def _driver(vendor: str) -> Any:
    for name in _DRIVERS[vendor]:
        with suppress(ImportError):
            return import_module(name)
    wanted = " or ".join(_DRIVERS[vendor])
    raise CannotExplainError(
        f"A plan of {vendor} is asked for over a connection of our own, which needs {wanted}: "
        f"install one of them."
    )


@contextmanager
def transaction(
    connection: Connection, vendor: str, *, timeout_ms: int = TIMEOUT_MS, writable: bool = False
) -> Iterator[None]:
    """Run a block in a transaction that ends by itself, and is rolled back.

    Args:
        connection: A connection of ours with no transaction under way.
        vendor: Whose it is.
        timeout_ms: How long one statement may take, in milliseconds.
        writable: Whether it may write, to temporary tables that go with it.
    """
    if vendor == "sqlite":
        with _deadline(connection, timeout_ms):
            yield
        return
    try:
        for statement in _beginning(connection, vendor, timeout_ms, writable=writable):
            rows_of(connection, statement)
        yield
    finally:
        with suppress(Exception):  # what is broken is closed by its owner
            connection.rollback()


def _beginning(
    connection: Connection, vendor: str, timeout_ms: int, *, writable: bool
) -> Iterator[str]:
    if vendor == "postgresql":
        yield f"SET TRANSACTION READ {'WRITE' if writable else 'ONLY'}"
        yield f"SET LOCAL statement_timeout = {timeout_ms}"
        yield f"SET LOCAL lock_timeout = {timeout_ms}"
        return
    if is_mariadb(connection):
        yield f"SET SESSION max_statement_time = {timeout_ms / 1_000}"
    else:
        yield f"SET SESSION max_execution_time = {timeout_ms}"
    yield f"SET SESSION lock_wait_timeout = {max(1, timeout_ms // 1_000)}"
    yield f"START TRANSACTION {'' if writable else 'READ ONLY'}"


def is_mariadb(connection: Connection) -> bool:
    """Tell MariaDB from MySQL."""
    return "mariadb" in str(rows_of(connection, "SELECT VERSION()")[0][0]).lower()


@contextmanager
def _deadline(connection: Any, timeout_ms: int) -> Iterator[None]:
    """Interrupt SQLite when the time is over."""
    end = time.monotonic() + timeout_ms / 1_000
    connection.set_progress_handler(lambda: time.monotonic() > end, PROGRESS_STEPS)
    try:
        yield
    finally:
        connection.set_progress_handler(None, 0)


def brief(error: BaseException) -> str:
    """Return the first line of what a driver says."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 200 else f"{text[:199]}…"  # noqa: PLR2004 - a line or two
