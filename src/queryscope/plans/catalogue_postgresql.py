"""Reads the tables of a PostgreSQL database from ``pg_catalog``."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from queryscope.plans.connection import rows_of
from queryscope.plans.schema import Check, Column, ForeignKey, Index, IndexColumn, Schema, Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from queryscope.plans.connection import Connection

# Partitions are left out: their indexes and constraints are those of the table they are parts of.
_OURS = """c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relpersistence <> 't'
    AND n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\\_%'"""
_PATH = "SELECT unnest(current_schemas(false))::text"
_TABLES = f"""
    SELECT c.oid::bigint, n.nspname::text, c.relname::text, c.reltuples::bigint,
        c.relkind = 'r' AND EXISTS (SELECT 1 FROM pg_catalog.pg_inherits AS h
            WHERE h.inhparent = c.oid)
    FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    WHERE {_OURS} ORDER BY n.nspname, c.relname
"""  # noqa: S608 - our own text
_COLUMNS = f"""
    SELECT c.oid::bigint, a.attnum, a.attname::text,
        pg_catalog.format_type(a.atttypid, a.atttypmod), a.attnotnull
    FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid
    WHERE {_OURS} AND a.attnum > 0 AND NOT a.attisdropped ORDER BY c.oid, a.attnum
"""  # noqa: S608 - our own text
_INDEXES = f"""
    SELECT c.oid::bigint, i.relname::text, x.indisunique, x.indisprimary,
        EXISTS (SELECT 1 FROM pg_catalog.pg_constraint AS k
            WHERE k.conindid = x.indexrelid AND k.conrelid = c.oid),
        pg_catalog.pg_get_expr(x.indpred, x.indrelid, true), m.amname::text,
        x.indisvalid AND x.indisready, s.idx_scan,
        p.position > x.indnkeyatts, a.attname::text,
        pg_catalog.pg_get_indexdef(x.indexrelid, p.position, true),
        CASE WHEN p.position <= x.indnkeyatts THEN x.indoption[p.position - 1] ELSE 0 END,
        CASE WHEN o.opcdefault THEN NULL ELSE o.opcname::text END,
        CASE WHEN l.oid <> a.attcollation THEN l.collname::text END
    FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    JOIN pg_catalog.pg_index AS x ON x.indrelid = c.oid
    JOIN pg_catalog.pg_class AS i ON i.oid = x.indexrelid
    JOIN pg_catalog.pg_am AS m ON m.oid = i.relam
    CROSS JOIN LATERAL generate_series(1, x.indnatts) AS p (position)
    LEFT JOIN pg_catalog.pg_attribute AS a
        ON a.attrelid = c.oid AND a.attnum = x.indkey[p.position - 1] AND a.attnum > 0
    LEFT JOIN pg_catalog.pg_opclass AS o
        ON p.position <= x.indnkeyatts AND o.oid = x.indclass[p.position - 1]
    LEFT JOIN pg_catalog.pg_collation AS l
        ON p.position <= x.indnkeyatts AND l.oid = x.indcollation[p.position - 1]
    LEFT JOIN pg_catalog.pg_stat_user_indexes AS s ON s.indexrelid = x.indexrelid
    WHERE {_OURS} ORDER BY c.oid, x.indisprimary DESC, i.relname, p.position
"""  # noqa: S608 - our own text
_CONSTRAINTS = f"""
    SELECT c.oid::bigint, k.conname::text, k.contype::text, k.conkey, f.relname::text, k.confkey,
        k.confrelid::bigint, pg_catalog.pg_get_expr(k.conbin, k.conrelid, true)
    FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    JOIN pg_catalog.pg_constraint AS k ON k.conrelid = c.oid
    LEFT JOIN pg_catalog.pg_class AS f ON f.oid = k.confrelid
    WHERE {_OURS} AND k.contype IN ('f', 'c') ORDER BY c.oid, k.conname
"""  # noqa: S608 - our own text

_DESCENDING, _NULLS_FIRST = 1, 2
"""Bits of ``indoption``; downwards, NULLs stand first unless something else is said."""


def read(connection: Connection) -> Schema:
    """Return the tables of every schema that is not the server's own."""
    path = tuple(str(row[0]) for row in rows_of(connection, _PATH))
    columns: dict[int, dict[int, Column]] = defaultdict(dict)
    for table, number, name, kind, not_null in rows_of(connection, _COLUMNS):
        columns[table][number] = Column(name, kind, nullable=not not_null)
    parts: dict[int, dict[str, list[Any]]] = defaultdict(lambda: defaultdict(list))
    for table, name, *row in rows_of(connection, _INDEXES):
        parts[table][name].append(row)
    foreign: dict[int, list[ForeignKey]] = defaultdict(list)
    checks: dict[int, list[Check]] = defaultdict(list)
    for table, name, kind, numbers, other, referred, other_id, text in rows_of(
        connection, _CONSTRAINTS
    ):
        if kind == "c":
            checks[table].append(Check(name, text or ""))
            continue
        foreign[table].append(
            ForeignKey(
                name, _named(columns[table], numbers), other, _named(columns[other_id], referred)
            )
        )
    return Schema(
        "postgresql",
        tuple(
            Table(
                name=name,
                schema=schema,
                columns=tuple(columns[table].values()),
                indexes=tuple(_index(key, rows) for key, rows in parts[table].items()),
                foreign_keys=tuple(foreign[table]),
                checks=tuple(checks[table]),
                rows=None if tuples < 0 else tuples,
                is_parent=is_parent,
            )
            for table, schema, name, tuples, is_parent in rows_of(connection, _TABLES)
        ),
        path,
    )


def _named(columns: dict[int, Column], numbers: Sequence[int] | None) -> tuple[str, ...]:
    return tuple(columns[number].name for number in numbers or () if number in columns)


def _index(name: str, rows: Sequence[Any]) -> Index:
    unique, primary, constraint, predicate, method, valid, scans = rows[0][:7]
    columns: list[IndexColumn] = []
    included: list[str] = []
    for carried, column, definition, option, operators, collation in (row[7:] for row in rows):
        if carried:
            included.append(column or definition)
            continue
        descending = bool(option & _DESCENDING)
        details = [item for item in (operators, collation) if item]
        if descending != bool(option & _NULLS_FIRST):
            details.append("nulls first" if option & _NULLS_FIRST else "nulls last")
        columns.append(
            IndexColumn(
                column or "",
                "" if column else definition,
                descending=descending,
                detail=", ".join(details),
            )
        )
    return Index(
        name,
        tuple(columns),
        unique=unique,
        primary=primary,
        constraint=constraint,
        predicate=predicate or "",
        included=tuple(included),
        method=method,
        valid=valid,
        scans=scans,
    )
