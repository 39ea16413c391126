"""QS309: some rows are asked for by LIMIT, and no order says which.

## What it does

Finds SELECTs with a LIMIT and without an ORDER BY that handed out several rows, also where the
LIMIT is in a subquery that rows are joined to. As an information it names later pages (OFFSET)
whose order has no key in it: rows that are equal in it may stand on two pages or on none.

## Why it is bad

Without an order the database may hand out any of the rows, others with each plan, after each
vacuum, for each page:

    cost = rows that nobody ever sees, and rows that are shown twice

## Example

    page = Book.objects.filter(genre=genre)[:20]

## Use instead

    page = Book.objects.filter(genre=genre).order_by("title", "pk")[:20]

## Not flagged

- one row: `LIMIT 1`, `.first()` (which orders by the key), `get()` and its `LIMIT 21`, `exists()`,
  a key in the filter, pages that hold one row or none;
- counts, sums and groups; rows that are locked, or whose table is written later: any of them will
  do for a batch of work; scripts and tasks;
- an order with a key in it (`id`, `pk`, `uuid`, `..._id` and such), with an expression, a time
  stamp or the number of a column.

Where fewer rows came than were asked for, it is an `info`: nothing was cut off as yet. A statement
whose clauses cannot be told apart (`WITH`, `UNION`) is judged by its words: the evidence says
"not parsed".

## Settings

None: whether an order is there does not depend on a number.

## Source

PostgreSQL, "LIMIT and OFFSET": "using different LIMIT/OFFSET values to select different subsets
of a query result will give inconsistent results unless you enforce a predictable result ordering
with ORDER BY". https://www.postgresql.org/docs/current/queries-limit.html
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal, NamedTuple

from queryscope.detectors._advice import framework_of, position_of, short
from queryscope.detectors._openers import place
from queryscope.detectors._sets import what
from queryscope.detectors._statements import by_line, finding, times
from queryscope.detectors.finding import Mend
from queryscope.trace.clauses import clauses_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from queryscope.detectors.finding import Confidence, Finding, Severity
    from queryscope.detectors.registry import Case, Threshold
    from queryscope.trace.clauses import Clauses
    from queryscope.trace.events import Query

CODE = "QS309"
NAME = "unordered-page"
THRESHOLDS: Mapping[str, Threshold] = {}

_ONE_ROW = frozenset(
    {"get", "first", "last", "exists", "count", "aggregate", "refresh", "contains"}
)
_BY_KEY = re.compile(r"(?:\w+\.)*(?:id|pk|uuid|guid|\w+_ptr_id) = .*")
_SETTLES = re.compile(
    r"""(?:\w+\.)*(?:id|pk|uuid|guid|slug|email|username|key|code|sku|isbn|number|rowid|ctid
        |\w+_(?:id|pk|uuid|key|code|number|at|time)|created|modified|updated|timestamp)
        (?:\s(?:asc|desc|nulls|first|last))*""",
    re.VERBOSE,
)
_PLAIN = re.compile(r"(?:\w+\.)*[a-z_]\w*(?: (?:asc|desc|nulls|first|last))*")


class _Verdict(NamedTuple):
    lacks: Literal["order", "key"]
    order: tuple[str, ...] = ()
    parsed: bool = True


def detect(case: Case) -> Iterator[Finding]:
    """Yield a finding for each line that fetches some rows in no order."""
    if case.trace.kind in ("script", "task"):
        return
    written: dict[str, int] = {}
    for sent in case.repeats.lines:
        for table in sent[0].shape.writes:
            written[table] = max(sent[-1].number, written.get(table, -1))

    def some_rows(query: Query) -> bool:
        return (query.rows or 0) > 1 and query.limit not in (0, 1)

    for queries in by_line(case, _is_page, each=some_rows):
        last = queries[-1]
        if any(written.get(table, -1) > last.number for table in (*last.shape.reads, "*")):
            continue
        verdict = _verdict(queries)
        if verdict is not None:
            yield _finding(case, queries, verdict)


def _is_page(query: Query) -> bool:
    shape = query.shape
    if not shape.limited or shape.locks or shape.aggregate:
        return False
    return query.operation not in _ONE_ROW


def _verdict(queries: list[Query]) -> _Verdict | None:
    first = queries[0]
    clauses = clauses_of(first.statement, first.vendor)
    if clauses is None:
        # WITH, UNION and such: only an order that stands nowhere is surely none.
        ordered = " ORDER BY " in first.shape.text.upper()
        return None if ordered else _Verdict("order", parsed=False)
    page = _page(clauses)
    if page is None or page.grouping.text or page.probe:
        return None
    if any(_BY_KEY.fullmatch(part.text) for part in page.conjuncts):
        return None
    if not page.order:
        return _Verdict("order")
    later = any(query.offset for query in queries)
    plain = all(map(_PLAIN.fullmatch, page.order))
    if not later or not plain or any(map(_SETTLES.fullmatch, page.order)):
        return None
    if page.distinct and {_column(item) for item in page.columns} <= set(map(_column, page.order)):
        return None
    return _Verdict("key", page.order)


def _page(clauses: Clauses) -> Clauses | None:
    """Return the SELECT that the LIMIT belongs to, where it says which rows there are."""
    if clauses.limited:
        return clauses
    inner = clauses.inner
    return inner if inner is not None and inner.limited and clauses.joins else None


def _column(item: str) -> str:
    return item.partition(" ")[0]


def _finding(case: Case, queries: list[Query], verdict: _Verdict) -> Finding:
    first = queries[0]
    cut = any(query.offset or (query.rows or 0) >= (query.limit or 0) for query in queries)
    sure = verdict.lacks == "order" and cut and verdict.parsed
    severity: Severity = "warning" if sure else "info"
    confidence: Confidence = "low" if verdict.lacks == "key" else "high" if sure else "medium"
    if verdict.lacks == "order":
        says = f"{place(first.origin)} fetches some rows of {what(first)} with LIMIT and no order"
    else:
        says = (
            f"{place(first.origin)} pages through rows of {what(first)} by "
            f"{', '.join(verdict.order)}, which may be equal for several of them"
        )
    key = "pk"
    write = f'.order_by("{key}")'
    if framework_of(case.trace, first) == "sqlalchemy":
        write = f".order_by({short(first.model) or 'Model'}.id)"
    evidence: dict[str, str | int | float] = {"rows": sum(query.rows or 0 for query in queries)}
    if first.limit is not None:
        evidence["limit"] = first.limit
    if verdict.order:
        evidence["order"] = ", ".join(verdict.order)
    if not verdict.parsed:
        evidence["clauses"] = "not parsed"
    return finding(
        case,
        queries,
        code=CODE,
        name=NAME,
        severity=severity,
        confidence=confidence,
        message=f"{says}{times(queries)}.",
        mend=Mend(
            position_of(first),
            write,
            "Order the rows, by the primary key in the last place, so that each has one place.",
        ),
        subject=what(first),
        evidence=evidence,
    )
