"""QS315: more is asked of the database than the code wants to know.

## What it does

Finds, by the source of the line that asked and the statement that came of it: a COUNT of which only
matters whether it is zero; whole rows of which only matters how many or whether there are any; and
objects of which one attribute is taken.

## Why it is bad

EXISTS stops at the first row, COUNT reads all that match, and a SELECT sends them:

    cost = rows counted, or rows x (transfer + making an object), for one bit, number or column

## Example

    if Order.objects.filter(shop=shop).count() > 0: ...
    total = len(Order.objects.filter(shop=shop))
    names = [user.name for user in User.objects.all()]

## Use instead

    if Order.objects.filter(shop=shop).exists(): ...
    total = Order.objects.filter(shop=shop).count()
    names = User.objects.values_list("name", flat=True)

## Not flagged

A count that is shown, compared with another number or used a second time; `len(rows)` where the
rows are used, too; results that are returned or handed on, for who knows what is read there; rows
of SQLAlchemy that have a name, which fill the identity map for others; attributes that are no
column of the statement (relations, properties), and statements of one or two columns; what the
source does not show (templates, lambdas of libraries). A count beside the rows is QS207's, one in
a loop QS103's. It is an `info`, and a
warning where a hundred rows or more were fetched for a number or a yes.

## Settings

None: what is asked and what is wanted do not depend on a number.

## Source

Django, "Don't retrieve things you don't need":
https://docs.djangoproject.com/en/5.2/topics/db/optimization/#don-t-retrieve-things-you-don-t-need
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from queryscope.detectors._advice import framework_of, short
from queryscope.detectors._openers import place
from queryscope.detectors._sets import what
from queryscope.detectors._statements import by_line, finding, times
from queryscope.detectors.finding import Mend
from queryscope.trace.clauses import clauses_of
from queryscope.trace.events import Frame
from queryscope.trace.usage import use_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from queryscope.detectors.finding import Finding, Severity
    from queryscope.detectors.registry import Case, Threshold
    from queryscope.trace.events import Query
    from queryscope.trace.usage import Use

CODE = "QS315"
NAME = "wrong-question"
THRESHOLDS: Mapping[str, Threshold] = {}

MANY_ROWS = 100
"""Rows fetched for the sake of one number or a yes from which on it is a warning: the default of
Django's ``GET_ITERATOR_CHUNK_SIZE``, so that fewer come in one fetch."""

_MIN_COLUMNS = 3
"""Columns from which on a SELECT of objects is wider than one field."""


class _Wrong(NamedTuple):
    asked: str
    wanted: str
    django: str
    sqlalchemy: str


_EXISTS = "select(exists().where(...))"
_COUNT_FOR_TRUTH = _Wrong("counts rows", "whether there is one", ".exists()", _EXISTS)
_ROWS_FOR_TRUTH = _Wrong("fetches rows", "whether there is one", ".exists()", _EXISTS)
_ROWS_FOR_LENGTH = _Wrong("fetches rows", "how many there are", ".count()", "select(func.count())")


def detect(case: Case) -> Iterator[Finding]:
    """Yield a finding for each line that asks for more than it wants."""
    for queries in by_line(case, lambda query: query.load is None or not query.load.batched):
        wrong = _judge(queries[0], framework_of(case.trace, queries[0]))
        if wrong is not None:
            yield _finding(case, queries, wrong)


def _judge(query: Query, framework: str) -> _Wrong | None:
    at = query.origin.first
    if not isinstance(at, Frame):
        return None
    use = use_of(at)
    if use is None:
        return None
    aggregate = query.shape.aggregate
    if aggregate == "count":
        return _COUNT_FOR_TRUTH if use.kind == "truth" else None
    if aggregate or query.shape.limited or query.shape.locks:
        return None
    if query.operation in ("get", "exists", "aggregate", "values", "in_bulk"):
        return None
    if use.named and framework == "sqlalchemy":
        return None  # while they have a name, the identity map hands the rows to other queries
    if use.kind == "truth":
        # A row that was asked for by its key is its own answer, and None is no empty list.
        return _ROWS_FOR_TRUTH if (query.rows or 0) > 1 else None
    if use.kind == "length":
        return _ROWS_FOR_LENGTH
    return _one_field(query, use) if use.kind == "field" else None


def _one_field(query: Query, use: Use) -> _Wrong | None:
    """Return the verdict where the attribute is a column among several, of more than one row."""
    clauses = clauses_of(query.statement, query.vendor)
    if clauses is None or len(clauses.columns) < _MIN_COLUMNS or (query.rows or 0) <= 1:
        return None
    names = {column.partition(" ")[0].rpartition(".")[2] for column in clauses.columns}
    if use.name.lower() not in names:
        return None
    return _Wrong(
        f"fetches {len(clauses.columns)} columns a row",
        f"the {use.name} of each",
        f'.values_list("{use.name}", flat=True)',
        f"select({short(query.model) or 'Model'}.{use.name})",
    )


def _finding(case: Case, queries: list[Query], wrong: _Wrong) -> Finding:
    first = queries[0]
    rows = sum(query.rows or 0 for query in queries)
    severity: Severity = "info"
    if rows >= MANY_ROWS and wrong in (_ROWS_FOR_TRUTH, _ROWS_FOR_LENGTH):
        severity = "warning"
    is_sqlalchemy = framework_of(case.trace, first) == "sqlalchemy"
    return finding(
        case,
        queries,
        code=CODE,
        name=NAME,
        severity=severity,
        confidence="high",
        message=(
            f"{place(first.origin)} {wrong.asked} of {what(first)}, and only wants to know "
            f"{wrong.wanted}{times(queries)}."
        ),
        mend=Mend(
            first.origin.first,
            wrong.sqlalchemy if is_sqlalchemy else wrong.django,
            f"Ask only {wrong.wanted}.",
        ),
        subject=what(first),
        evidence={"wanted": wrong.wanted, "rows": rows},
    )
