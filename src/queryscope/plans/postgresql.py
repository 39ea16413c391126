"""Plans of PostgreSQL: what EXPLAIN (FORMAT JSON) says."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from queryscope.plans.connection import rows_of
from queryscope.plans.plan import Node
from queryscope.trace.tokens import without_literals

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from queryscope.plans.connection import Connection
    from queryscope.plans.plan import NodeKind

PREPARED = "queryscope_plan"
_KINDS: Mapping[str, NodeKind] = {
    "Seq Scan": "table scan",
    "Sample Scan": "table scan",
    "Index Scan": "index search",
    "Index Only Scan": "index only",
    "Bitmap Heap Scan": "index search",
    "Tid Scan": "index search",
    "Sort": "sort",
    "Incremental Sort": "sort",
    "Materialize": "temporary",
    "CTE Scan": "temporary",
    "WorkTable Scan": "temporary",
    "Nested Loop": "join",
    "Hash Join": "join",
    "Merge Join": "join",
    "Aggregate": "group",
    "Group": "group",
    "WindowAgg": "group",
    "Unique": "group",
    "Limit": "limit",
    "Subquery Scan": "subquery",
    "ModifyTable": "write",
}
_CONDITIONS = ("Filter", "Join Filter", "Hash Cond", "Merge Cond", "Recheck Cond")
_COMPARED = re.compile(r'\(?(?:"?\w+"?\.)?"?(\w+)"?\)?(?:::[\w ]+?)?\s(?:=|<=|>=|<|>|~|IS)')


def explained(
    connection: Connection, text: str, values: Sequence[Any], *, analyze: bool = False
) -> tuple[str, tuple[Node, ...], float | None]:
    """Return what PostgreSQL writes about a statement, its steps and its cost.

    Args:
        connection: A connection of ours, in a transaction.
        text: The statement, with ``%s`` for its parameters and each other ``%`` doubled, if it has
            any.
        values: One for each of them.
        analyze: Run it.
    """
    asked = "ANALYZE, BUFFERS, FORMAT JSON" if analyze else "FORMAT JSON"
    return _read(rows_of(connection, f"EXPLAIN ({asked}) {text}", tuple(values)))


def generic(
    connection: Connection, text: str, slots: int
) -> tuple[str, tuple[Node, ...], float | None]:
    """Return the plan that PostgreSQL has for any values.

    Args:
        connection: As for ``explained``.
        text: The statement, with ``$1``, ``$2`` ... for its parameters.
        slots: How many they are.
    """
    rows_of(connection, "SET LOCAL plan_cache_mode = force_generic_plan")
    rows_of(connection, f"PREPARE {PREPARED} AS {text}")
    nulls = f"({', '.join(['NULL'] * slots)})" if slots else ""
    found = rows_of(connection, f"EXPLAIN (FORMAT JSON) EXECUTE {PREPARED}{nulls}")
    rows_of(connection, f"DEALLOCATE {PREPARED}")
    return _read(found)


def _read(rows: Sequence[Any]) -> tuple[str, tuple[Node, ...], float | None]:
    document = rows[0][0]
    if isinstance(document, str):
        document = json.loads(document)
    plan = document[0]["Plan"]
    return json.dumps(document, indent=1), (_node(plan),), plan.get("Total Cost")


def _node(plan: Mapping[str, Any]) -> Node:
    name = str(plan.get("Node Type", ""))
    children = tuple(map(_node, plan.get("Plans", ())))
    search = str(plan.get("Index Cond", ""))
    kind = _KINDS.get(name, "other")
    index = str(plan.get("Index Name", ""))
    if name in ("Index Scan", "Index Only Scan") and not search:
        kind = "index scan"
    elif name == "Bitmap Heap Scan":
        found = [node for child in children for node in child.walk() if node.index]
        index = found[0].index if found else ""
        search = str(plan.get("Recheck Cond", ""))
    elif name == "Seq Scan" and "Subplan Name" in plan:
        kind = "table scan"
    table = str(plan.get("Relation Name", ""))
    return Node(
        kind=kind,
        table=table,
        alias=str(plan.get("Alias", table)).lower() if table else "",
        index=index,
        columns=tuple(dict.fromkeys(_COMPARED.findall(search))),
        condition=without_literals(
            " AND ".join(str(plan[key]) for key in _CONDITIONS if key in plan), "postgresql"
        ),
        rows=plan.get("Plan Rows"),
        cost=plan.get("Total Cost"),
        actual_rows=plan.get("Actual Rows"),
        loops=plan.get("Actual Loops"),
        children=children,
        raw=f"{name} on {table}" if table else name,
    )


def size_of(connection: Connection, table: str, most: int) -> int:
    """Return how many rows a table is thought to have; counted up to a number if nobody knows."""
    found = rows_of(
        connection, "SELECT reltuples FROM pg_class WHERE oid = to_regclass(%s)", (table,)
    )
    if found and found[0][0] > 0:
        return int(found[0][0])
    text = f"SELECT count(*) FROM (SELECT 1 FROM {table} LIMIT {most}) counted"  # noqa: S608 - quoted as it stands in the statement
    return int(rows_of(connection, text)[0][0])
