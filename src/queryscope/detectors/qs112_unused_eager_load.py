"""QS112: a relation is loaded along with its rows and nobody reads it.

## What it does

Finds relations that a join, a prefetch or a select-in load brought along and that were not read on
a single row: neither the relation nor a column of the rows that came. Full recording only. One
Trace alone gives an info: another path may read it. Over all Traces of a test run,
`unused_in_all()` tells the loads that none of them read.

## Why it is bad

    cost = a prefetch: a statement and its rows; a join: the width of the joined row, once a row

## Example

```python
books = Book.objects.select_related("publisher").prefetch_related("reviews")
return render(request, "titles.html", {"books": books})      # shows titles only
```

## Use instead

```python
books = Book.objects.all()
```

Where several views share a queryset, let each add the relations that it shows.

## Not flagged

- a relation that is only tested (`if book.editor`), counted, or walked for a further one;
- an eager load that found no rows: whether it is needed shows where there are some;
- `Prefetch(..., to_attr=...)`: a plain list, whose reading is not seen;
- rows that nobody read at all (QS206), that went out whole (`vars()`, a pickle), or that were still
  there when their block was judged;
- requests that failed, data migrations.

## Settings

None.

## Source

Django, `select_related()` and `prefetch_related()`:
https://docs.djangoproject.com/en/5.2/ref/models/querysets/#select-related. SQLAlchemy,
"Relationship Loading Techniques": https://docs.sqlalchemy.org/en/20/orm/queryguide/relationships.html.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from queryscope.detectors._advice import TO_ONE, framework_of, placed, position_of, short
from queryscope.detectors._results import results
from queryscope.detectors.finding import Cost, Finding, Mend
from queryscope.detectors.registry import Case
from queryscope.trace.repeats import Repeats

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from queryscope.detectors._results import Result
    from queryscope.detectors.registry import Threshold
    from queryscope.trace.events import Frame, Query, TemplateNode, Trace

CODE = "QS112"
NAME = "unused-eager-load"
THRESHOLDS: Mapping[str, Threshold] = {}


class Eager(NamedTuple):
    """A relation that a statement loaded along.

    Attributes:
        root: The statement whose rows the relation belongs to.
        query: The statement that loaded it: the same for a join.
        owner: The class that has the relation.
        path: The relations from the root's class to this one, joined by dots.
        rows: Rows that came.
        used: Whether it was read; None where that is not certain.
    """

    root: Query
    query: Query
    owner: str
    path: str
    rows: int
    used: bool | None

    @property
    def relation(self) -> str:
        """The relation as people say it: ``library.Book.publisher``."""
        return f"{self.owner}.{self.path.rpartition('.')[2]}"


Place = tuple["Frame | TemplateNode | None", str]
"""The line that made a queryset or select, and the relation that it loads along."""


def detect(case: Case) -> Iterator[Finding]:
    """Yield an info for each relation that a line loaded along and nobody read in this Trace."""
    groups: dict[Place, list[Eager]] = {}
    for eager in eager_loads(case):
        groups.setdefault(
            (eager.root.created or eager.root.origin.first, eager.relation), []
        ).append(eager)
    for group in groups.values():
        if all(eager.used is False for eager in group):
            yield _finding(case.trace, group)


def unused_in_all(traces: Iterable[Trace]) -> list[Finding]:
    """Return a warning for each eager load that none of several Traces read.

    A line that loads a relation along is judged by all Traces in which it ran: one that read it, or
    of which that is not certain, is enough to say nothing.

    Args:
        traces: Finished Traces of one run, with full recording; nested ones are looked at, too.
    """
    groups: dict[Place, list[Eager]] = {}
    first: dict[Place, Trace] = {}
    ran: dict[Place, int] = {}
    for trace in traces:
        for item, loads in _by_place(trace):
            for key, group in loads.items():
                groups.setdefault(key, []).extend(group)
                first.setdefault(key, item)
                ran[key] = ran.get(key, 0) + 1
    found = []
    for key, group in groups.items():
        if any(eager.used is not False for eager in group):
            continue
        one = _finding(first[key], group)
        message = f"{one.message.removesuffix('.')}, in none of the {ran[key]} Traces that ran it."
        found.append(
            replace(
                one,
                severity="warning",
                confidence="high",
                message=message if ran[key] > 1 else one.message,
                queries=(),
                trace_id=first[key].id,
                evidence={**one.evidence, "traces": ran[key]},
            )
        )
    return sorted(found, key=lambda item: -item.cost.rows)


def loads_of(trace: Trace) -> dict[Place, Finding | None]:
    """Return the eager loads of one Trace: a warning for each that nobody read, else None.

    For who adds up Traces of several processes: what any of them read, or may have read, is used.
    """
    groups: dict[Place, list[Eager]] = {}
    first: dict[Place, Trace] = {}
    for item, loads in _by_place(trace):
        for key, group in loads.items():
            groups.setdefault(key, []).extend(group)
            first.setdefault(key, item)
    found: dict[Place, Finding | None] = {}
    for key, group in groups.items():
        found[key] = None
        if all(eager.used is False for eager in group):
            one = _finding(first[key], group)
            found[key] = replace(one, severity="warning", confidence="high", trace_id=first[key].id)
    return found


def _by_place(trace: Trace) -> Iterator[tuple[Trace, dict[Place, list[Eager]]]]:
    """Yield a Trace and those nested in it, each with its loads by line and relation."""
    for item in trace.subtree():
        found: dict[Place, list[Eager]] = {}
        for eager in eager_loads(Case(item, Repeats())):
            place = eager.root.created or eager.root.origin.first
            if place is not None:
                found.setdefault((place, eager.relation), []).append(eager)
        yield item, found


def eager_loads(case: Case) -> Iterator[Eager]:
    """Yield the relations that statements of a Trace loaded along, and whether they were read."""
    certain = {result.query.number: result for result in results(case)}
    for result in certain.values():
        if result.is_read:
            yield from _joined(result)
    for query in case.trace.queries:
        load = query.load
        if load is not None and load.batched and load.relation not in ("column", "expired"):
            yield from _batched(case, query, certain)


def _joined(result: Result) -> Iterator[Eager]:
    """Yield the relations of a join, without those behind one that is not read either."""
    read_paths = {read.path for read in result.joined if read.read}
    unread: list[str] = []
    for read in sorted(result.joined, key=lambda read: read.path):
        path = read.path
        outer, _, name = path.rpartition(".")
        parents = [parent for parent in result.reads if parent.path == outer]
        behind = any(path.startswith(f"{one}.") for one in unread)
        used: bool | None = any(one == path or one.startswith(f"{path}.") for one in read_paths)
        used = used or any(name in parent.read for parent in parents)
        if behind and not used:
            continue
        if not used:
            unread.append(path)
        owner = parents[0].model if parents else ""
        yield Eager(result.query, result.query, owner, path, read.rows, used if parents else None)


def _batched(case: Case, query: Query, certain: Mapping[int, Result]) -> Iterator[Eager]:
    load = query.load
    if load is None or load.parent_query is None:
        return
    root = case.trace.queries[load.parent_query]
    parent, children = certain.get(load.parent_query), certain.get(query.number)
    used: bool | None = None
    if parent is not None and children is not None and parent.is_read:
        used = children.is_read or _is_named(case, query, parent)
    elif children is None and not query.rows:
        return  # nothing came: whether it is needed shows where something does
    rows = 0 if children is None else sum(read.rows for read in children.own)
    yield Eager(root, query, load.owner, load.attribute, rows, used)


def _is_named(case: Case, query: Query, parent: Result) -> bool:
    """Tell whether the relation of a batch was read on a row of its parents."""
    load = query.load
    assert load is not None  # noqa: S101 - the caller has looked
    name = load.attribute
    if any(name in read.read for read in parent.reads):
        return True
    # An identity map gives rows of earlier statements: their reading counts for the batch.
    return framework_of(case.trace, query) == "sqlalchemy" and any(
        name in read.read for read in case.trace.reads
    )


def _finding(trace: Trace, group: list[Eager]) -> Finding:
    eager = group[0]
    rows = sum(one.rows for one in group)
    batch = eager.query is not eager.root
    how = "in a statement of its own" if batch else "by a join"
    queries = tuple(dict.fromkeys(one.query.number for one in group))
    return Finding(
        code=CODE,
        name=NAME,
        severity="info",
        confidence="medium",
        message=(
            f"{eager.relation} is loaded along, {how}, with {rows:,} rows, and nobody reads it."
        ),
        count=len(group),
        cost=Cost(
            statements=len(group),
            avoidable=len(group) if batch else 0,
            rows=rows,
            duration_ns=sum(one.query.duration_ns for one in group) if batch else 0,
        ),
        origin=eager.root.origin,
        mend=_mend(trace, eager, batch=batch),
        queries=queries,
        subject=eager.relation,
        evidence={"rows": rows, "loaded by": "batch" if batch else "join"},
    )


def _mend(trace: Trace, eager: Eager, *, batch: bool) -> Mend:
    at = position_of(eager.root)
    if framework_of(trace, eager.root) == "sqlalchemy":
        name = eager.path.rpartition(".")[2]
        return Mend(
            at,
            f"lazyload({short(eager.owner)}.{name})",
            f"Take the loader of {eager.relation} out of .options(); where the mapping itself "
            'loads it along, pass this instead, or make it lazy="select" there.',
        )
    path = eager.path.replace(".", "__")
    load = eager.query.load
    joins = load is None or load.relation in TO_ONE
    verb = "prefetch_related" if batch or not joins else "select_related"
    write = f'.{verb}("{path}")'
    at, words = placed(trace, at, short(eager.root.model), write)
    return Mend(at, write, f'Take "{path}" out of {verb}(){words}.')
