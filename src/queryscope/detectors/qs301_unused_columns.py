"""QS301: columns are fetched for every row and nobody reads them.

## What it does

Adds up the bytes of columns that came with the rows of a statement and whose attribute was not read
on a single one of them. Sizes are those of the first rows' values. Full recording only.

## Why it is bad

    cost = rows x bytes of the column (read from disk, sent, decoded, kept)

A long text or a JSON document often lies outside of its row: it is fetched for each row apart.

## Example

```python
for post in Post.objects.all():                      # brings the whole text along
    print(post.title)
```

## Use instead

```python
for post in Post.objects.defer("body"): ...          # Django
session.scalars(select(Post).options(defer(Post.body)))      # SQLAlchemy
```

## Not flagged

- fewer bytes than `unused_columns_min_bytes`, and columns that are less than half of the result: a
  few small columns more cost nothing;
- keys, which the ORM itself needs;
- rows that nobody read at all (QS206, QS112);
- columns that one of several runs of the same line read; rows that were saved;
- what is not seen: `values()`, Core rows, raw cursors, `vars()`, `__dict__`, pickles, files, and
  rows that were still there when their block was judged;
- requests that failed, data migrations.

## Settings

- `unused_columns_min_bytes` (bytes of one line's unread columns in one Trace, 65,536).
- `unused_columns_warning_bytes` (bytes, 1,048,576): from here on it is a warning, before an info.

## Source

Django, `defer()`: https://docs.djangoproject.com/en/5.2/ref/models/querysets/#defer. PostgreSQL
keeps values beyond 2 kB outside of the row and fetches them apart:
https://www.postgresql.org/docs/current/storage-toast.html.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from queryscope.detectors._advice import framework_of, placed, position_of, short
from queryscope.detectors._results import by_place, results, size_text
from queryscope.detectors.finding import Cost, Finding, Mend
from queryscope.detectors.registry import Threshold
from queryscope.trace.reads import USED

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from queryscope.detectors._results import Result
    from queryscope.detectors.registry import Case

CODE = "QS301"
NAME = "unused-columns"
THRESHOLDS: Mapping[str, Threshold] = {
    "unused_columns_min_bytes": Threshold(
        65_536, "bytes of unread columns of one line in one Trace, from which on they are named"
    ),
    "unused_columns_warning_bytes": Threshold(
        1_048_576, "bytes of unread columns from which on it is a warning"
    ),
}
MIN_SHARE = 0.5
"""Share of the result that nobody read."""
MIN_NAMED_SHARE = 0.05
"""Share of the unread bytes from which on a column is worth naming."""


class _Column(NamedTuple):
    model: str
    path: str
    name: str


def detect(case: Case) -> Iterator[Finding]:
    """Yield a finding for each line whose rows bring many bytes that nobody reads."""
    for group in by_place([result for result in results(case) if result.is_read]):
        unread, total = _unread(group)
        size = sum(unread.values())
        if size >= case.threshold("unused_columns_min_bytes") and size >= MIN_SHARE * total:
            yield _finding(case, group, unread, total)


def _unread(group: list[Result]) -> tuple[dict[_Column, int], int]:
    """Return the bytes of each column that no run of the line read, and those of all columns."""
    sizes: dict[_Column, int] = {}
    used: set[_Column] = set()
    for result in group:
        for read in result.reads:
            # An eager load that nobody read is QS112's: its columns are not what to leave out.
            # Rows that are written or deleted are used as they are.
            whole = (bool(read.path) and not read.read) or USED in read.read
            for name, size in zip(read.columns, read.sizes, strict=False):
                column = _Column(read.model, read.path, name)
                sizes[column] = sizes.get(column, 0) + size * read.rows
                if whole or name in read.read or name in read.keys:
                    used.add(column)
    return {column: n for column, n in sizes.items() if column not in used}, sum(sizes.values())


def _finding(case: Case, group: list[Result], unread: dict[_Column, int], total: int) -> Finding:
    size = sum(unread.values())
    large = [
        column
        for column, n in sorted(unread.items(), key=lambda item: -item[1])
        if n >= MIN_NAMED_SHARE * size
    ]
    first = group[0].query
    rows = sum(read.rows for result in group for read in result.own)
    names = " and ".join(
        ", ".join(column.name for column in large if column.model == model)
        + f" of {short(model) or 'a class'}"
        for model in dict.fromkeys(column.model for column in large)
    )
    severe = size >= case.threshold("unused_columns_warning_bytes")
    return Finding(
        code=CODE,
        name=NAME,
        severity="warning" if severe else "info",
        confidence="medium",
        message=(
            f"{names}: {size_text(size)} came with {rows:,} rows and nobody read them, "
            f"{size / total:.0%} of the result."
        ),
        count=len(group),
        cost=Cost(
            statements=len(group),
            rows=rows,
            duration_ns=sum(result.query.duration_ns for result in group),
        ),
        origin=first.origin,
        mend=_mend(case, group[0], large),
        queries=tuple(result.query.number for result in group),
        subject=", ".join(sorted({f"{column.model}.{column.name}" for column in large})),
        evidence={
            "unread": ", ".join(column.name for column in unread),
            "unread bytes, about": size,
            "bytes of all columns, about": total,
            "rows": rows,
        },
    )


def _mend(case: Case, result: Result, large: list[_Column]) -> Mend:
    query = result.query
    load = query.load
    if load is not None and (not load.batched or load.parent_query is None):
        load = None
    root = query
    if load is not None and load.parent_query is not None:
        root = case.trace.queries[load.parent_query]
    at = position_of(root)
    how = "Leave out what is not shown here; a column that is read after all is loaded by itself"
    if framework_of(case.trace, query) == "sqlalchemy":
        columns = ", ".join(f"{short(column.model)}.{column.name}" for column in large)
        after = f"the loader of {load.attribute}, as .defer()" if load else ".options()"
        return Mend(at, f"defer({columns})", f"{how}: pass it to {after}.")
    names = ", ".join(
        '"' + "__".join([*column.path.split("."), column.name]).lstrip("_") + '"'
        for column in large
    )
    write = f".defer({names})"
    if load is not None:
        model = short(query.model or large[0].model) or "Related"
        write = f'Prefetch("{load.attribute}", queryset={model}.objects{write})'
    at, words = placed(case.trace, at, short(root.model), write)
    return Mend(at, write, f"{how}{words}.")
