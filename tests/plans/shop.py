"""A shop with enough rows to be worth a plan, made alike on each database."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import psycopg
import pymysql

from queryscope.plans.database import Database

VENDORS = ("sqlite", "postgresql", "mysql")
ROWS = 5_000
SUPPLIERS = 50
TABLES = ("plan_part", "plan_supplier", "plan_tiny")
SCHEMA = (
    "CREATE TABLE plan_supplier (id integer PRIMARY KEY, name varchar(50))",
    "CREATE TABLE plan_tiny (id integer PRIMARY KEY, name varchar(50))",
    (
        "CREATE TABLE plan_part (id integer PRIMARY KEY, title varchar(80), code varchar(20), "
        "supplier_id integer NOT NULL, price integer, kind integer)"
    ),
    "CREATE INDEX plan_part_supplier ON plan_part (supplier_id)",
    "CREATE INDEX plan_part_title ON plan_part (title)",
)


def rows():
    """Return what each table holds."""
    return {
        "plan_supplier": [(n, f"supplier {n}") for n in range(SUPPLIERS)],
        "plan_tiny": [(n, f"tiny {n}") for n in range(20)],
        "plan_part": [
            (n, f"title {n}", f"code-{n}", n % SUPPLIERS, n % 97, n % 3) for n in range(ROWS)
        ],
    }


def make(vendor, url, folder):
    """Make the tables with their rows, and return where they are."""
    if vendor == "sqlite":
        path = folder / "shop.db"
        with closing(sqlite3.connect(path)) as connection:
            _fill(connection, "?")
            connection.commit()
        return Database.of_url(f"sqlite:///{path}")
    database = Database.of_url(url)
    with closing(database.connect()) as connection:
        _fill(connection, "%s")
        connection.commit()
        if vendor == "postgresql":
            connection.autocommit = True
        cursor = connection.cursor()
        for table in TABLES:
            cursor.execute(f"ANALYZE {'TABLE ' if vendor == 'mysql' else ''}{table}")
    return database


def _fill(connection, mark):
    cursor = connection.cursor()
    drop(cursor)
    for statement in SCHEMA:
        cursor.execute(statement)
    for table, values in rows().items():
        marks = ", ".join([mark] * len(values[0]))
        cursor.executemany(f"INSERT INTO {table} VALUES ({marks})", values)


def drop(cursor):
    """Take the tables away."""
    if isinstance(cursor, pymysql.cursors.Cursor):
        cursor.execute("SET sql_notes = 0")  # "unknown table" would come as a warning
    for table in TABLES:
        cursor.execute(f"DROP TABLE IF EXISTS {table}")


ERRORS = (sqlite3.Error, psycopg.Error, pymysql.Error)
