"""Single statements of a Trace, as columns for programs and as rows for readers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from queryscope.report.text import error_text, visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from queryscope.report.views.reading import Reading

Column = tuple[int, ...]


class Execution(NamedTuple):
    """One statement of a group. ``values`` is None where they were not kept."""

    number: int
    start_ns: int
    duration_ns: int
    rows: int | None
    parameter_set: int
    values: str | None
    thread: int
    connection: int
    session: int | None
    transaction: int | None
    stage: str
    many: int
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Executions:
    """Every statement as columns, one entry each, in the order of ``Trace.queries``.

    Times are microseconds. -1 stands for none; ``rows`` counts from -1 for unknown. ``values``
    holds the text of ``(group, parameter set)`` where parameters were kept.
    """

    group: Column = ()
    start_us: Column = ()
    duration_us: Column = ()
    rows: Column = ()
    parameter_set: Column = ()
    thread: Column = ()
    connection: Column = ()
    session: Column = ()
    transaction: Column = ()
    stage: Column = ()
    many: Column = ()
    error: Column = ()
    kinds: tuple[str, ...] = ()
    heads: tuple[str, ...] = ()
    stages: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()
    values: tuple[tuple[tuple[int, str], ...], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Grouping:
    """What the groups of statements say of single ones.

    Attributes:
        group: The group of each statement, -1 for one beyond the cap.
        sets: The number of each statement's parameters within its group, -1 for none.
        kinds: Class of the mark, of each group.
        heads: The short line of each group.
        values: Texts of kept parameters by the number of their set, of each group.
    """

    group: Column
    sets: Column
    kinds: tuple[str, ...]
    heads: tuple[str, ...]
    values: Sequence[Mapping[int, str]]


def executions_of(reading: Reading, grouping: Grouping) -> Executions:
    """Return every statement of a Trace as columns."""
    queries = reading.trace.queries
    threads, connections = reading.threads, reading.connections
    stages = tuple(visible(stage.name, limit=80) for stage in reading.trace.stages)
    errors: dict[str, int] = {}
    with_values = reading.material.values_kept
    return Executions(
        group=grouping.group,
        start_us=tuple(query.start_ns // 1_000 for query in queries),
        duration_us=tuple(-(-query.duration_ns // 1_000) for query in queries),
        rows=tuple(-1 if query.rows is None else query.rows for query in queries),
        parameter_set=grouping.sets,
        thread=tuple(threads[query.thread] for query in queries),
        connection=tuple(connections[query.connection] for query in queries),
        session=_or_none(query.session for query in queries),
        transaction=_or_none(query.transaction for query in queries),
        stage=tuple(query.stage if query.stage < len(stages) else -1 for query in queries),
        many=tuple(query.many for query in queries),
        error=tuple(
            -1 if query.error is None else errors.setdefault(query.error, len(errors))
            for query in queries
        ),
        kinds=grouping.kinds,
        heads=grouping.heads,
        stages=stages,
        errors=tuple(error_text(text, with_values=with_values) for text in errors),
        values=tuple(tuple(texts.items()) for texts in grouping.values),
    )


def execution(number: int, columns: Executions, texts: Mapping[int, str]) -> Execution:
    """Return one row of the columns; ``texts`` are the kept parameters of its group."""
    stage = columns.stage[number]
    error = columns.error[number]
    chosen = columns.parameter_set[number]
    return Execution(
        number=number,
        start_ns=columns.start_us[number] * 1_000,
        duration_ns=columns.duration_us[number] * 1_000,
        rows=None if columns.rows[number] < 0 else columns.rows[number],
        parameter_set=chosen,
        values=texts.get(chosen),
        thread=columns.thread[number],
        connection=columns.connection[number],
        session=None if columns.session[number] < 0 else columns.session[number],
        transaction=None if columns.transaction[number] < 0 else columns.transaction[number],
        stage=columns.stages[stage] if stage >= 0 else "",
        many=columns.many[number],
        error=columns.errors[error] if error >= 0 else "",
    )


def _or_none(items: Iterable[int | None]) -> Column:
    return tuple(-1 if item is None else item for item in items)
