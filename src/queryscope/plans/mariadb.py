"""Plans of MariaDB and MySQL: what EXPLAIN FORMAT=JSON says."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from queryscope.plans.connection import rows_of
from queryscope.plans.plan import Node
from queryscope.trace.tokens import without_literals

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from queryscope.plans.connection import Connection
    from queryscope.plans.plan import NodeKind
    from queryscope.plans.statement import Source

_KINDS: Mapping[str, NodeKind] = {
    "filesort": "sort",
    "read_sorted_file": "sort",
    "ordering_operation": "sort",
    "temporary_table": "temporary",
    "materialized": "temporary",
    "materialized_from_subquery": "temporary",
    "duplicates_removal": "temporary",
    "grouping_operation": "group",
    "nested_loop": "join",
    "block-nl-join": "join",
    "subqueries": "subquery",
    "union_result": "temporary",
}
_WRITES = ("insert", "update", "delete", "replace")


def explained(
    connection: Connection,
    text: str,
    values: Sequence[Any],
    sources: Mapping[str, Source],
    *,
    analyze: bool = False,
    mariadb: bool = True,
) -> tuple[str, tuple[Node, ...], float | None]:
    """Return what MariaDB or MySQL writes about a statement, its steps and its cost.

    Args:
        connection: A connection of ours, in a transaction.
        text: The statement, with ``%s`` for its parameters and each other ``%`` doubled, if it has
            any.
        values: One for each of them.
        sources: Its tables by alias: what is read is named by that.
        analyze: Run it.
        mariadb: It is MariaDB, which has an ``ANALYZE`` that writes JSON.
    """
    asked = "ANALYZE FORMAT=JSON" if analyze and mariadb else "EXPLAIN FORMAT=JSON"
    raw = str(rows_of(connection, f"{asked} {text}", tuple(values))[0][0])
    document = json.loads(raw)
    cost = document.get("query_block", {}).get("cost_info", {}).get("query_cost")
    if cost is None and not analyze:
        found = rows_of(connection, "SHOW SESSION STATUS LIKE 'Last_query_cost'")
        cost = found[0][1] if found else None
    return raw, tuple(_nodes(document, sources)), float(cost) if cost and float(cost) else None


def _nodes(part: Any, sources: Mapping[str, Source]) -> Iterator[Node]:
    """Yield the steps that a part of the document has, the outermost first."""
    if isinstance(part, list):
        for item in part:
            yield from _nodes(item, sources)
        return
    if not isinstance(part, dict):
        return
    for name, inner in part.items():
        if name == "table" and isinstance(inner, dict):
            yield _table(inner, sources)
        elif isinstance(inner, (dict, list)):
            children = tuple(_nodes(inner, sources))
            kind = _KINDS.get(name)
            if kind is None or (kind == "join" and len(children) == 1):
                yield from children
            else:
                key = inner.get("sort_key", "") if isinstance(inner, dict) else ""
                yield Node(kind=kind, condition=str(key), children=children, raw=name)


def _table(table: Mapping[str, Any], sources: Mapping[str, Source]) -> Node:
    called = str(table.get("table_name", "")).lower()
    source = sources.get(called)
    access = str(table.get("access_type", ""))
    rows = table.get("rows", table.get("rows_examined_per_scan"))
    conditions = [table[key] for key in ("index_condition", "attached_condition") if key in table]
    node = Node(
        kind=_access(access, table),
        table=called if source is None else source.name,
        alias=called,
        index=str(table.get("key", "")),
        columns=tuple(map(str, table.get("used_key_parts", ()))),
        condition=without_literals(" and ".join(map(str, conditions)), "mysql"),
        rows=None if rows is None else float(rows),
        actual_rows=table.get("r_rows"),
        loops=table.get("r_loops"),
        children=tuple(
            node
            for key, inner in table.items()
            if isinstance(inner, (dict, list))
            for node in _nodes({key: inner}, sources)
        ),
        raw=f"{access} {called}".strip(),
    )
    if any(table.get(word) for word in _WRITES):
        return Node(kind="write", table=node.table, alias=called, children=(node,), raw="write")
    return node


def _access(access: str, table: Mapping[str, Any]) -> NodeKind:
    covering = bool(table.get("using_index"))
    if access in ("ALL", "hash_ALL"):
        return "table scan"
    if access in ("index", "hash_index"):
        # InnoDB's rows lie in their primary key: to walk along it is to read the table.
        return "table scan" if table.get("key") == "PRIMARY" else "index scan"
    if not access:
        return "other"
    return "index only" if covering else "index search"


def size_of(connection: Connection, table: str, most: int) -> int:
    """Return how many rows a table is thought to have; counted up to a number if nobody knows."""
    schema, _, name = table.replace("`", "").rpartition(".")
    where = "DATABASE()" if not schema else "%s"
    found = rows_of(
        connection,
        "SELECT table_rows FROM information_schema.tables "  # noqa: S608 - a constant in the text
        f"WHERE table_schema = {where} AND table_name = %s",
        (schema, name) if schema else (name,),
    )
    if found and found[0][0]:
        return int(found[0][0])
    text = f"SELECT count(*) FROM (SELECT 1 FROM {table} LIMIT {most}) counted"  # noqa: S608 - quoted as it stands in the statement
    return int(rows_of(connection, text)[0][0])
