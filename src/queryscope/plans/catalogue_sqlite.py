"""Reads the tables of a SQLite database: what no PRAGMA says is read off the stored DDL."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from queryscope.plans.connection import rows_of
from queryscope.plans.schema import Check, Column, ForeignKey, Index, IndexColumn, Schema, Table
from queryscope.trace.tokens import tokens_of, unquoted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from queryscope.plans.connection import Connection
    from queryscope.trace.tokens import Token

# Tables of modules (full text, R-tree) are left out: their columns are the module's affair.
_TABLES = """
    FROM sqlite_master AS m{join}
    WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite\\_%' ESCAPE '\\'
        AND upper(m.sql) NOT LIKE 'CREATE VIRTUAL%'
"""
_NAMES = "SELECT m.name, m.sql" + _TABLES.format(join="") + "ORDER BY m.name"
_COLUMNS = (
    'SELECT m.name, c.name, c.type, c."notnull", c.pk'
    + _TABLES.format(join=", pragma_table_xinfo(m.name) AS c")
    + "AND c.hidden <> 1 ORDER BY m.name, c.cid"
)
_INDEXES = (
    'SELECT m.name, i.name, i."unique", i.origin, s.sql, c.cid, c.name, c."desc", c.coll'
    + _TABLES.format(
        join=""", pragma_index_list(m.name) AS i
    LEFT JOIN sqlite_master AS s ON s.type = 'index' AND s.name = i.name,
    pragma_index_xinfo(i.name) AS c"""
    )
    + "AND c.key = 1 ORDER BY m.name, i.name, c.seqno"
)
_FOREIGN_KEYS = (
    'SELECT m.name, f.id, f."table", f."from", f."to"'
    + _TABLES.format(join=", pragma_foreign_key_list(m.name) AS f")
    + "ORDER BY m.name, f.id, f.seq"
)


def read(connection: Connection) -> Schema:
    """Return the tables of the main database; how many rows they have is not known."""
    statements = {name: sql or "" for name, sql in rows_of(connection, _NAMES)}
    columns: dict[str, list[Any]] = defaultdict(list)
    for table, *row in rows_of(connection, _COLUMNS):
        columns[table].append(row)
    parts: dict[str, dict[str, list[Any]]] = defaultdict(lambda: defaultdict(list))
    for table, name, *row in rows_of(connection, _INDEXES):
        parts[table][name].append(row)
    referred: dict[str, dict[int, list[Any]]] = defaultdict(lambda: defaultdict(list))
    for table, number, *row in rows_of(connection, _FOREIGN_KEYS):
        referred[table][number].append(row)
    keys = {name: _primary_key(columns[name]) for name in statements}
    tables = []
    for name, sql in statements.items():
        tokens = tokens_of(sql, "sqlite")
        indexes = [_index(key, rows) for key, rows in parts[name].items()]
        if keys[name] and not any(index.primary for index in indexes):
            own = tuple(map(IndexColumn, keys[name]))
            indexes.insert(0, Index("", own, unique=True, primary=True, constraint=True))
        tables.append(
            Table(
                name=name,
                columns=tuple(_columns(columns[name], tokens)),
                indexes=tuple(indexes),
                foreign_keys=tuple(_foreign_key(rows, keys) for rows in referred[name].values()),
                checks=tuple(_checks(tokens)),
            )
        )
    return Schema("sqlite", tuple(tables))


def _primary_key(rows: Sequence[Any]) -> tuple[str, ...]:
    keyed = sorted((row for row in rows if row[3]), key=lambda row: int(row[3]))
    return tuple(str(row[0]) for row in keyed)


def _columns(rows: Sequence[Any], tokens: Sequence[Token]) -> Iterator[Column]:
    """Yield columns; in SQLite a key may be NULL where it does not stand for the rowid."""
    tail = [token.upper for token in tokens[-4:]]
    keyed = [row for row in rows if row[3]]
    is_rowid = len(keyed) == 1 and str(keyed[0][1]).upper() == "INTEGER"
    filled = is_rowid or ("WITHOUT" in tail and "ROWID" in tail)
    for name, kind, not_null, key in rows:
        yield Column(name, kind, nullable=not (not_null or (key and filled)))


def _index(name: str, rows: Sequence[Any]) -> Index:
    unique, origin, sql = rows[0][:3]
    expressions, predicate = _parts(tokens_of(sql or "", "sqlite"))
    columns = []
    for position, (_, _, _, cid, column, descending, collation) in enumerate(rows):
        is_plain = cid >= 0
        expression = "" if is_plain else "rowid" if cid == -1 else expressions[position]
        detail = "" if (collation or "BINARY").upper() == "BINARY" else str(collation)
        columns.append(
            IndexColumn(
                str(column) if is_plain else "",
                expression,
                descending=bool(descending),
                detail=detail,
            )
        )
    return Index(
        name,
        tuple(columns),
        unique=bool(unique),
        primary=origin == "pk",
        constraint=origin in ("pk", "u"),
        predicate=predicate,
    )


def _parts(tokens: Sequence[Token]) -> tuple[list[str], str]:
    """Return the items in the parenthesis of a CREATE INDEX, and the condition behind it."""
    begin = next((at for at, token in enumerate(tokens) if token.text == "("), len(tokens))
    items: list[list[Token]] = [[]]
    depth = 0
    for at in range(begin, len(tokens)):
        text = tokens[at].text
        depth += (text == "(") - (text == ")")
        if not depth:
            rest = tokens[at + 2 :] if at + 1 < len(tokens) else ()
            return [_text(_without_order(item)) for item in items], _text(rest)
        if text == "," and depth == 1:
            items.append([])
        elif at > begin:
            items[-1].append(tokens[at])
    return [], ""


def _without_order(item: Sequence[Token]) -> Sequence[Token]:
    return item[:-1] if item and item[-1].upper in ("ASC", "DESC") else item


def _foreign_key(rows: Sequence[Any], keys: dict[str, tuple[str, ...]]) -> ForeignKey:
    table = str(rows[0][0])
    named = tuple(str(row[2]) for row in rows if row[2] is not None)
    return ForeignKey("", tuple(str(row[1]) for row in rows), table, named or keys.get(table, ()))


def _checks(tokens: Sequence[Token]) -> Iterator[Check]:
    """Yield the CHECKs of a CREATE TABLE."""
    for at, token in enumerate(tokens):
        if token.upper != "CHECK" or at + 1 >= len(tokens) or tokens[at + 1].text != "(":
            continue
        depth, end = 0, at + 1
        while end < len(tokens):
            depth += (tokens[end].text == "(") - (tokens[end].text == ")")
            if not depth:
                break
            end += 1
        named = at >= 2 and tokens[at - 2].upper == "CONSTRAINT"  # noqa: PLR2004 - CONSTRAINT name
        yield Check(unquoted(tokens[at - 1]) if named else "", _text(tokens[at + 2 : end]))


def _text(tokens: Sequence[Token]) -> str:
    return " ".join(
        unquoted(token) if token.kind in ("word", "name") else token.text for token in tokens
    )
