"""An empty place in each database, for tables of a test's own."""

from __future__ import annotations

import sqlite3
import tempfile
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pymysql

from queryscope.plans.database import Database
from tests.services import mariadb_url, postgresql_url

VENDORS = ("sqlite", "postgresql", "mysql")
PLACE = "queryscope_plans"


class Empty:
    """A connection to an empty schema, what kind of database it is, and where."""

    def __init__(self, vendor, connection, database):
        """Keep all three."""
        self.vendor = vendor
        self.connection = connection
        self.database = database

    def run(self, *statements):
        """Send statements, one after the other."""
        cursor = self.connection.cursor()
        for statement in statements:
            cursor.execute(statement)
        cursor.close()

    def analyze(self, *tables):
        """Let the server know how many rows there are."""
        for table in tables if self.vendor != "sqlite" else ():
            self.run(f"ANALYZE {'TABLE ' if self.vendor == 'mysql' else ''}{table}")


@contextmanager
def empty(vendor, place=PLACE):
    """Give a place in a database without any tables, and take it away again."""
    with tempfile.TemporaryDirectory() as folder:
        database = _database(vendor, place, folder)
        with closing(_connected(database, place)) as connection:
            found = Empty(vendor, connection, database)
            try:
                yield found
            finally:
                if vendor == "postgresql":
                    found.run(f"DROP SCHEMA {place} CASCADE")
                elif vendor == "mysql":
                    found.run(f"DROP DATABASE {place}")


def _database(vendor, place, folder):
    if vendor == "sqlite":
        return Database.of_url(f"sqlite:///{Path(folder) / 'empty.db'}")
    if vendor == "postgresql":
        found = Database.of_url(postgresql_url())
        return replace(found, options={"options": f"-csearch_path={place}"})
    return replace(Database.of_url(mariadb_url()), name=place)


def _connected(database, place):
    if database.vendor == "sqlite":
        return sqlite3.connect(database.name, isolation_level=None)
    if database.vendor == "postgresql":
        connection = psycopg.connect(postgresql_url(), autocommit=True)
        connection.execute("SET client_min_messages = warning")
        connection.execute(f"DROP SCHEMA IF EXISTS {place} CASCADE")
        connection.execute(f"CREATE SCHEMA {place}")
        connection.execute(f"SET search_path TO {place}")
        return connection
    where = urlsplit(mariadb_url())
    connection = pymysql.connect(
        host=where.hostname,
        port=where.port or 3306,
        user=where.username,
        password=where.password or "",
        autocommit=True,
    )
    cursor = connection.cursor()
    cursor.execute("SET sql_notes = 0")
    cursor.execute(f"DROP DATABASE IF EXISTS {place}")
    cursor.execute(f"CREATE DATABASE {place}")
    cursor.execute(f"USE {place}")
    cursor.close()
    return connection
