"""QS316: SQL is sent while the answer is rendered.

## What it does

Names SELECTs that a template, a serializer, a response model, the default resolver of a schema, or
`__str__` and `__repr__` ask for: by code that rendering calls (a tag, a property, a method field),
or by lazy reads of relations and columns.

## Why it is bad

Nobody expects SQL there. The template that shows one book today shows a list tomorrow, and the
statement is then sent for each row (QS101 to QS105); an error of the database breaks a page that is
half sent; `repr()` in a log line, or in a debugger, asks the database.

## Example

```python
@register.simple_tag
def open_orders():
    return Order.objects.filter(open=True).count()

def __str__(self):
    return f"{self.title} ({self.publisher.name})"        # loads the publisher
```

## Use instead

```python
context = {"open_orders": Order.objects.filter(open=True).count(), "book": book}

def __str__(self):
    return self.title
```

Load what the template shows where the rows are selected (`select_related`, `joinedload`).

## Not flagged

- a queryset that the view has made and the template evaluates, its count, and its page;
- a few lazy reads, as on the page of one object;
- what repeats: QS101 to QS105 speak, with the line to mend;
- writes, transactions and the catalogue.

It is always an `info`.

## Settings

- `query_in_rendering_min_lazy_reads` (lazy reads of one template, serializer or response, 5).

## Source

Django, "Template tags and filters should not do much": querysets are lazy, and templates evaluate
them: https://docs.djangoproject.com/en/5.2/topics/db/optimization/#understand-queryset-evaluation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

from queryscope.detectors._advice import position_of, short
from queryscope.detectors._openers import bare, place
from queryscope.detectors.finding import Cost, Finding, Mend
from queryscope.detectors.registry import Threshold
from queryscope.trace.endpoint import endpoint_of
from queryscope.trace.events import Frame, Origin, TemplateNode

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from queryscope.detectors.registry import Case
    from queryscope.trace.events import Query, Trace

CODE = "QS316"
NAME = "query-in-rendering"
THRESHOLDS: Mapping[str, Threshold] = {
    "query_in_rendering_min_lazy_reads": Threshold(
        5, "lazy reads of one template, serializer or response"
    ),
}
_TEXT_METHODS = frozenset({"__str__", "__repr__", "__html__", "__format__"})
_MADE_OUTSIDE = frozenset({"iterate", "values", "count"})
"""Verbs of a queryset that the view may have made for the template to evaluate."""


class _Rendered(NamedTuple):
    """A layer that renders, where it asked, and whether its own code asked or an attribute did."""

    layer: str
    where: str
    how: Literal["asked", "read"]


def detect(case: Case) -> Iterator[Finding]:
    """Yield one finding a place in rendering code that asks, and one a layer that reads lazily."""
    least = case.threshold("query_in_rendering_min_lazy_reads")
    found: dict[_Rendered, list[Query]] = {}
    for query in case.trace.queries:
        if query.shape.kind != "select" or case.repeats.repeat_of(query) is not None:
            continue
        rendered = _rendered(case.trace, query)
        if rendered is not None:
            found.setdefault(rendered, []).append(query)
    for rendered, queries in found.items():
        if rendered.how == "asked" or len(queries) >= least:
            yield _finding(case, rendered, queries)


def _rendered(trace: Trace, query: Query) -> _Rendered | None:
    """Return what was being rendered when a statement was sent, None for nothing."""
    steps = query.origin.steps
    for step in steps:
        if isinstance(step, Frame) and bare(step.function) in _TEXT_METHODS:
            return _Rendered(f"{bare(step.function)}()", f"{step.function}", "asked")
    lazy = query.load is not None and not query.load.batched
    node = query.origin.node
    if node is not None:
        inner = steps[0]
        if isinstance(inner, Frame) and query.operation != "lazy":
            return _asked(query, "template's code", f"{place(inner)} {inner.function}")
        return _Rendered("template", node.template, "read") if lazy else None
    serializer = _serializer(trace, query)
    if serializer:
        inner_frame = query.origin.frame
        if lazy:
            return _Rendered("serializer", serializer, "read")
        within = inner_frame is not None and "serializer" in inner_frame.function.lower()
        return _asked(query, "serializer", serializer) if within else None
    if not steps and lazy and trace.kind == "request":
        return _Rendered("response", trace.name, "read")
    return None


def _asked(query: Query, layer: str, where: str) -> _Rendered | None:
    """Return a statement that rendering's own code asked for, None where it may only evaluate."""
    if query.load is None and query.operation in _MADE_OUTSIDE:
        inner = query.origin.frame
        if query.created is None or inner is None or query.created.function != inner.function:
            return None
    return _Rendered(layer, where, "asked")


def _serializer(trace: Trace, query: Query) -> str:
    """Return the name of the serializer's stage around a statement, ``""`` for none."""
    number = query.stage
    for _ in range(len(trace.stages)):
        if not 0 <= number < len(trace.stages):
            break
        stage = trace.stages[number]
        if stage.kind == "render" and stage.name.startswith("serialize "):
            return stage.name.removeprefix("serialize ")
        number = stage.parent
    return ""


def _finding(case: Case, rendered: _Rendered, queries: Sequence[Query]) -> Finding:
    first = queries[0]
    names = dict.fromkeys(
        f"{short(query.load.owner)}.{query.load.attribute}"
        if query.load is not None
        else short(query.model) or ", ".join(sorted(query.shape.reads)) or "a statement"
        for query in queries
    )
    what = ", ".join(names)
    endpoint = endpoint_of(case.trace) if not first.origin.steps else None
    statements = "statement" if len(queries) == 1 else "statements"
    return Finding(
        code=CODE,
        name=NAME,
        severity="info",
        confidence="high",
        message=(
            f"The {rendered.layer} {rendered.where} sends {len(queries)} {statements} ({what})."
            if not rendered.layer.endswith("()")
            else f"{rendered.where}() sends {len(queries)} {statements} ({what})."
        ),
        count=len(queries),
        cost=Cost(
            statements=len(queries),
            rows=sum(query.rows or 0 for query in queries),
            duration_ns=sum(query.duration_ns for query in queries),
        ),
        origin=first.origin if endpoint is None else Origin((endpoint,)),
        mend=_mend(case, rendered, queries),
        queries=tuple(query.number for query in queries),
        subject=f"{rendered.layer} {rendered.where.rpartition(' ')[2]}",
        evidence={"layer": rendered.layer, "at": place(first.origin)},
    )


def _mend(case: Case, rendered: _Rendered, queries: Sequence[Query]) -> Mend:
    first = queries[0]
    parent = case.repeats.parent_of(first)
    at: Frame | TemplateNode | None = first.origin.first
    if parent is not None:
        at = position_of(parent.query) or at
        return Mend(at, "", "Load what is shown together with the rows, where they are selected.")
    if rendered.layer.endswith("()"):
        return Mend(at, "", "Show columns of the object itself only.")
    return Mend(at, "", "Ask in the view, and hand the answer over.")
