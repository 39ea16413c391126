"""QS313: values are written into the text of a statement, another text for each value.

## What it does

Finds statements that are the same but for values in their text, where parameters belong: compared
with a column, in a list, assigned or inserted. One such statement proves nothing, for constants
stand in a text rightly; several that differ at the same place do.

## Why it is bad

Each text is parsed and planned anew, and pushes others out of the caches of driver and server:

    cost = statements x (parsing + planning)

And where a value comes from outside, it can bring SQL along (injection).

## Example

    cursor.execute(f"SELECT total FROM orders WHERE id = {order_id}")

## Use instead

    cursor.execute("SELECT total FROM orders WHERE id = %s", [order_id])

With SQLAlchemy `text("... WHERE id = :id")` and `{"id": order_id}`.

## Not flagged

- a text that is sent with the same values each time;
- constants of the select list (`SELECT 1 AS a`), `LIMIT` and `OFFSET`, intervals, types, arguments
  of functions, booleans and NULL;
- few words or small numbers that a column has to choose from (`status = 'open'`): columns called
  like keys are taken at two values, words and numbers from `literal_values_min_values` on;
- schema, transaction and catalogue statements, data migrations, statements over 16 KB.

The finding shows the shape, never the values.

## Settings

- `literal_values_min_values` (different words or numbers in one place, 5).

## Source

PostgreSQL, "PREPARE": planned once, executed often.
https://www.postgresql.org/docs/current/sql-prepare.html; Django, "SQL injection protection":
https://docs.djangoproject.com/en/5.2/topics/security/#sql-injection-protection
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from queryscope.detectors._advice import framework_of, own_step
from queryscope.detectors._loops import in_migration
from queryscope.detectors._openers import place
from queryscope.detectors._statements import finding
from queryscope.detectors.finding import Mend
from queryscope.detectors.registry import Threshold
from queryscope.trace.literals import literals_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from queryscope.detectors.finding import Finding
    from queryscope.detectors.registry import Case
    from queryscope.trace.events import Query

CODE = "QS313"
NAME = "literal-values"
THRESHOLDS: Mapping[str, Threshold] = {
    "literal_values_min_values": Threshold(
        5, "different words or numbers in one place of a text from which they are data"
    ),
}
MAX_READ = 50
"""Texts of one shape that are compared."""
_KINDS = frozenset({"select", "insert", "update", "delete"})
_PERHAPS = re.compile(r"['\"\s=<>(,]-?\d|'[^']")
_KEY = re.compile(r"(?:\w+_)?(?:id|pk|uuid|guid|key|email|token|slug)")
_WORD = re.compile(r"'[A-Za-z_]{0,30}'|\"[A-Za-z_]{0,30}\"|-?\d+(?:\.\d+)?")


def detect(case: Case) -> Iterator[Finding]:
    """Yield a finding for each place that sends texts which differ in their values."""
    alike: dict[object, dict[str, list[Query]]] = {}
    for sent in case.repeats.lines:
        first = sent[0]
        if first.many or _PERHAPS.search(first.statement) is None:
            continue
        shape = first.shape
        if shape.kind in _KINDS:
            key = shape.text, first.database, own_step(first.origin.steps)
            alike.setdefault(key, {}).setdefault(first.statement, []).extend(sent)
    least = case.threshold("literal_values_min_values")
    for texts in alike.values():
        if len(texts) < 2:  # noqa: PLR2004 - two texts differ
            continue
        columns = _differing(texts, least)
        queries = [query for found in texts.values() for query in found]
        if columns and not in_migration(queries[0].origin.steps):
            queries.sort(key=lambda query: query.number)
            yield _finding(case, queries, len(texts), columns)


def _differing(texts: Mapping[str, list[Query]], least: float) -> list[str]:
    """Return the columns whose values differ from text to text and are data, sorted."""
    read = [
        literals_of(statement, queries[0].vendor)
        for statement, queries in list(texts.items())[:MAX_READ]
    ]
    found: set[str] = set()
    # Lists of IN may be of other lengths: compared is what texts of one number of values share.
    by_length: dict[int, list[tuple[tuple[str, str], ...]]] = {}
    for literals in read:
        by_length.setdefault(len(literals), []).append(literals)
    for group in by_length.values():
        for values in zip(*group, strict=True):
            different = {text for _, text in values}
            if len(different) > 1 and _are_data(values[0][0], different, least):
                found.add(values[0][0])
    return sorted(found)


def _are_data(column: str, values: set[str], least: float) -> bool:
    """Tell whether values come from the data, not from the few that a program chooses from."""
    if column and _KEY.fullmatch(column):
        return True
    few = {value for value in values if _WORD.fullmatch(value)}
    return len(values - few) > 1 or len(values) >= least


def _finding(case: Case, queries: list[Query], texts: int, columns: list[str]) -> Finding:
    first = queries[0]
    named = ", ".join(filter(None, columns)) or "the inserted columns"
    if framework_of(case.trace, first) == "sqlalchemy":
        write = 'text("... = :value"), {"value": value}'
    else:
        write = 'cursor.execute("... = %s", [value])'
    return finding(
        case,
        queries,
        code=CODE,
        name=NAME,
        severity="warning",
        confidence="high",
        message=(
            f"{place(first.origin)} writes values of {named} into the text: {texts} texts for one "
            "statement."
        ),
        mend=Mend(
            own_step(first.origin.steps),
            write,
            "Hand the values over as parameters, and leave placeholders in the text.",
        ),
        subject=first.shape.text,
        evidence={"texts": texts, "columns": named, "shape": first.shape.text[:200]},
    )
