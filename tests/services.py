"""The outside programs that some tests need: found, or a reason to skip, or a failure.

With ``QUERYSCOPE_REQUIRE_SERVICES=1``, as in CI, a program that is missing fails the test instead
of skipping it. Where a database answers can be told by ``QUERYSCOPE_POSTGRESQL_URL``,
``QUERYSCOPE_MARIADB_URL`` and ``QUERYSCOPE_REDIS_URL``.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from functools import cache
from typing import NoReturn
from urllib.parse import SplitResult, urlsplit

import psycopg
import pymysql
import pytest
import redis

POSTGRESQL = "postgresql://postgres@127.0.0.1:5432/queryscope_tests"
MARIADB = "mysql://root@127.0.0.1:3306/queryscope_tests"
REDIS = "redis://127.0.0.1:6379/0"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")

# A local server answers in milliseconds; one that is not there must not hold up the suite.
CONNECT_TIMEOUT_S = 3


def postgresql_url() -> str:
    """Return the URL of an existing PostgreSQL database, made if the server had none."""
    return _url("PostgreSQL", os.environ.get("QUERYSCOPE_POSTGRESQL_URL", POSTGRESQL))


def mariadb_url() -> str:
    """Return the URL of an existing MariaDB database, made if the server had none."""
    return _url("MariaDB", os.environ.get("QUERYSCOPE_MARIADB_URL", MARIADB))


def redis_url() -> str:
    """Return the URL of a Redis database; who uses it deletes the keys that it made."""
    return _url("Redis", os.environ.get("QUERYSCOPE_REDIS_URL", REDIS))


def chromium_path() -> str:
    """Return the path of a Chromium that can run headless."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        _missing(f"needs Chromium, and PATH has none of {', '.join(BROWSERS)}")
    return found


def _url(name: str, url: str) -> str:
    refusal = _refusal(name, url)
    if refusal is not None:
        where = urlsplit(url)
        _missing(f"needs {name} on {where.hostname}:{where.port}, which {refusal}")
    return url


@cache
def _refusal(name: str, url: str) -> str | None:
    """Make sure of the database, once for each address; return what went wrong."""
    where = urlsplit(url)
    try:
        if name == "PostgreSQL":
            _make_postgresql(where)
        elif name == "Redis":
            _ask_redis(url)
        else:
            _make_mariadb(where)
    except (psycopg.Error, pymysql.Error, redis.RedisError) as error:
        text = " ".join(str(error).split())
        if "refused" in text or "timeout" in text or "timed out" in text:
            return "did not answer"
        return f"answered: {text}"
    return None


def _make_postgresql(where: SplitResult) -> None:
    with psycopg.connect(
        where._replace(path="/postgres").geturl(),
        autocommit=True,
        connect_timeout=CONNECT_TIMEOUT_S,
    ) as connection:
        database = where.path.strip("/")
        known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [database])
        if known.fetchone() is None:
            # Another run may make it in between: PostgreSQL has no IF NOT EXISTS for databases.
            with contextlib.suppress(
                psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation
            ):
                connection.execute(f'CREATE DATABASE "{database}"')


def _make_mariadb(where: SplitResult) -> None:
    connection = pymysql.connect(
        host=where.hostname,
        port=where.port or 3306,
        user=where.username,
        password=where.password or "",
        connect_timeout=CONNECT_TIMEOUT_S,
    )
    with connection, connection.cursor() as cursor:
        cursor.execute("SET sql_notes = 0")  # "database exists" would come as a warning
        cursor.execute(f"CREATE DATABASE IF NOT EXISTS `{where.path.strip('/')}`")


def _ask_redis(url: str) -> None:
    with redis.Redis.from_url(url, socket_connect_timeout=CONNECT_TIMEOUT_S) as client:
        client.ping()


def _missing(reason: str) -> NoReturn:
    if os.environ.get("QUERYSCOPE_REQUIRE_SERVICES") == "1":
        pytest.fail(f"{reason}; QUERYSCOPE_REQUIRE_SERVICES=1 allows no skip", pytrace=False)
    pytest.skip(reason)
