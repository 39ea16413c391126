"""Databases of these tests' own, beside the one that the other tests share."""

from __future__ import annotations

import contextlib
import os
from functools import cache
from importlib.util import find_spec
from urllib.parse import urlsplit

import psycopg
import pymysql
import pytest

from tests.services import mariadb_url, postgresql_url

NAME = "queryscope_databases"


def postgresql() -> str:
    """Return the URL of a PostgreSQL database that is ours alone."""
    return _own_postgresql(postgresql_url())


def mariadb(name: str = NAME) -> str:
    """Return the URL of a MariaDB database that is ours alone."""
    return _own_mariadb(mariadb_url(), name)


def need(module: str) -> None:
    """Skip the test, or fail it where everything is asked for, without an optional driver."""
    if find_spec(module) is None:
        reason = f"needs the driver {module}, which is not installed"
        if os.environ.get("QUERYSCOPE_REQUIRE_SERVICES") == "1":
            pytest.fail(f"{reason}; QUERYSCOPE_REQUIRE_SERVICES=1 allows no skip", pytrace=False)
        pytest.skip(reason)


@cache
def _own_postgresql(url: str) -> str:
    with (
        psycopg.connect(url, autocommit=True) as connection,
        contextlib.suppress(psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation),
    ):
        connection.execute(f'CREATE DATABASE "{NAME}"')
    return urlsplit(url)._replace(path=f"/{NAME}").geturl()


@cache
def _own_mariadb(url: str, name: str) -> str:
    where = urlsplit(url)
    connection = pymysql.connect(
        host=where.hostname,
        port=where.port or 3306,
        user=where.username,
        password=where.password or "",
    )
    with connection, connection.cursor() as cursor:
        cursor.execute("SET sql_notes = 0")  # "database exists" would come as a warning
        cursor.execute(f"CREATE DATABASE IF NOT EXISTS `{name}`")
    return where._replace(path=f"/{name}").geturl()
