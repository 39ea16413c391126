"""What the detectors that judge plans share: large tables, places, and what hinders an index."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from queryscope.detectors._advice import own_step
from queryscope.detectors._loops import in_migration
from queryscope.detectors.finding import Cost, Finding
from queryscope.detectors.registry import Threshold
from queryscope.plans.candidates import scanned_tables
from queryscope.plans.conditions import HINDERED, conditions_of
from queryscope.plans.words import meaning_of, values_in

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from queryscope.detectors.finding import Confidence, Mend, Severity
    from queryscope.detectors.planned import Planned
    from queryscope.plans.conditions import Condition
    from queryscope.plans.plan import Plan
    from queryscope.plans.schema import Index, Schema
    from queryscope.plans.study import Sent, Studied

PLAN_MIN_ROWS: Mapping[str, Threshold] = {
    "plan_min_rows": Threshold(1_000, "rows of a table from which on its plan is judged"),
}
MOST = 0.2
"""The share of a table from which on reading all of it is as well as any index: about where
databases themselves begin to prefer it."""
MAX_PLAN_CHARS = 400
_TEXTS = ("char", "varchar", "text", "tinytext", "mediumtext", "longtext", "enum")
_CAST = re.compile(r'\((?:"?\w+"?\.)?"?(\w+)"?\)::(\w[\w ]*\w)')
_TO_TEXT = {"text", "character varying", "bpchar", "regclass", "citext"}


class Hindrance(NamedTuple):
    """A condition on a column that no plain index of that column answers.

    Attributes:
        table: The table, which is read from one end to the other.
        column: The column.
        form: ``wrapped``, ``wildcard``, ``cast`` or ``or``.
        how: What stands around the column, or what is wrong with the condition.
        existing: An index that begins with the column, None without one.
    """

    table: str
    column: str
    form: str
    how: str
    existing: Index | None


def by_place(planned: Planned) -> Iterator[tuple[Studied, list[Sent]]]:
    """Yield each statement that was studied, once for each line of the user's that sends it."""
    for studied in planned.study.statements:
        places: dict[object, list[Sent]] = defaultdict(list)
        for sent in studied.sent:
            steps = sent.query.origin.steps
            if not in_migration(steps):
                places[own_step(steps)].append(sent)
        for group in places.values():
            yield studied, group


def finding(
    studied: Studied,
    group: list[Sent],
    *,
    code: str,
    name: str,
    severity: Severity,
    confidence: Confidence,
    message: str,
    mend: Mend | None,
    subject: str,
    evidence: Mapping[str, str | int | float],
) -> Finding:
    """Return a Finding about a statement of one line, with its plan in the evidence."""
    first = group[0]
    known: dict[str, str | int | float] = dict(evidence)
    if studied.plan is not None:
        known["plan"] = _cut(meaning_of(studied.plan))
        known["planned with"] = values_in(studied.plan)
    elif studied.refusal:
        known["no plan"] = _cut(studied.refusal)
    return Finding(
        code=code,
        name=name,
        severity=severity,
        confidence=confidence,
        message=message,
        count=len(group),
        cost=Cost(
            statements=len(group),
            rows=sum(one.query.rows or 0 for one in group),
            duration_ns=sum(one.query.duration_ns for one in group),
        ),
        origin=first.query.origin,
        mend=mend,
        queries=tuple(one.query.number for one in group if one.part.id == first.part.id),
        subject=subject,
        evidence=known,
        trace_id=first.part.id,
    )


def hindrances(planned: Planned, studied: Studied) -> Iterator[Hindrance]:
    """Yield the conditions because of which a large table is read from one end to the other."""
    plan, query = studied.plan, studied.query
    if plan is None or query.shape.kind != "select":
        return
    scanned = scanned_tables(plan, planned.threshold("plan_min_rows"))
    found = set()
    for table in scanned:
        if asks_for_most(studied, plan, table):
            continue
        for one in _hindered(studied, plan, table):
            if (one.table, one.column, one.form) not in found:
                found.add((one.table, one.column, one.form))
                yield one


def asks_for_most(studied: Studied, plan: Plan, table: str) -> bool:
    """Tell whether so many rows come of it that an index would not help."""
    query = studied.query
    return not query.shape.aggregate and (query.rows or 0) >= MOST * plan.rows_in(table)


def index_on(schema: Schema | None, table: str, column: str) -> Index | None:
    """Return an index that is searched by a column first, None without one."""
    known = schema.table(table) if schema is not None else None
    for index in known.indexes if known is not None else ():
        usable = index.valid and index.method == "btree" and not index.predicate
        if usable and index.names and index.names[0].lower() == column:
            return index
    return None


def _hindered(studied: Studied, plan: Plan, table: str) -> Iterator[Hindrance]:
    for condition in conditions_of(studied.statement):
        if condition.form == "or":
            yield from _alternatives(studied, condition, table)
        elif condition.table != table or not condition.column:
            continue
        elif condition.form in HINDERED:
            yield _hindrance(studied, condition, condition.form, condition.how)
        elif condition.form in ("equal", "range"):
            cast = _cast_of(studied, plan, condition)
            if cast:
                yield _hindrance(studied, condition, "cast", cast)


def _hindrance(studied: Studied, condition: Condition, form: str, how: str) -> Hindrance:
    index = index_on(studied.schema, condition.table, condition.column)
    return Hindrance(condition.table, condition.column, form, how, index)


def _alternatives(studied: Studied, condition: Condition, table: str) -> Iterator[Hindrance]:
    """Yield an OR of several columns of a table, or of several tables, that is not served."""
    columns = {(one.table, one.column) for one in condition.others}
    forms = {one.form for one in condition.others}
    if len(columns) < 2 or not forms <= {"equal", "range"} or ("", "") in columns:  # noqa: PLR2004 - several columns
        return
    lacking = [
        (one, column) for one, column in columns if index_on(studied.schema, one, column) is None
    ]
    mine = sorted(column for one, column in columns if one == table)
    # With an index on each column of one table a database joins what they find, or knows better.
    if mine and (lacking or len({one for one, _ in columns}) > 1):
        yield Hindrance(table, " or ".join(mine), "or", "an OR of several columns", None)


def _cast_of(studied: Studied, plan: Plan, condition: Condition) -> str:
    """Return the cast that the database puts around a column by itself, ``""`` for none."""
    if plan.vendor == "postgresql":
        nodes = [node for node in plan.nodes() if node.table == condition.table]
        casts = [cast for node in nodes for cast in _CAST.findall(node.condition)]
        targets = [to for name, to in casts if name == condition.column and to not in _TO_TEXT]
        return f"an implicit cast to {targets[0]}" if targets else ""
    table = studied.schema.table(condition.table) if studied.schema is not None else None
    known = table.column(condition.column) if table is not None else None
    is_text = known is not None and known.type.lower().startswith(_TEXTS)
    if plan.vendor == "mysql" and is_text and condition.numeric:
        return "an implicit cast to a number"
    return ""


def _cut(text: str) -> str:
    return text if len(text) <= MAX_PLAN_CHARS else f"{text[: MAX_PLAN_CHARS - 1]}…"
