"""Columns that note nothing for a while, because nothing would be learnt.

A column costs a call in Python for each value that is set and read. Once it is known of every
statement's rows that they are read by it, the call tells no more, and the column steps aside: its
descriptor takes the class that Django's own has, which is one step in C and leaves the model's
class as it is. The interpreter never caches attributes behind a descriptor of a class that can
change, so that it sees each step.

A column may be quiet only while all records of open Recorders have it. So whoever makes a record
lets the columns of its class note again before anybody has an instance. Rows that are watched have
every read noted, see ``trace.reads``.
"""

from __future__ import annotations

from functools import partial, wraps
from itertools import chain
from typing import TYPE_CHECKING, Any
from weakref import ref

from django.db.models.base import Model

from queryscope.django.columns import columns_of
from queryscope.django.labels import QUERY_MARK
from queryscope.trace import guard
from queryscope.trace.reads import WATCHED_ROWS, Reads, next_watched
from queryscope.trace.scope import recording

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from queryscope.django.columns import Column
    from queryscope.trace.recorder import Recorder

MIN_ROWS = 32
"""Rows of one result from which on it pays to let columns be quiet between those watched."""
MAX_RECORDS = 64
"""Records looked through for one that a column is missing in; with more no column is quiet."""

_recorders: dict[int, ref[Recorder]] = {}
"""The Recorders that have records."""
_made = 0
"""Records made so far, by which it is told whether there is one more."""


def recorded(recorder: Recorder, model: Any) -> None:
    """Let all columns of a class note, since there is a new record of its rows."""
    global _made
    key = id(recorder)
    known = _recorders.get(key)
    if known is None or known() is not recorder:
        _recorders[key] = ref(recorder, partial(_recorders.pop, key))
    _made += 1
    wake(columns_of(model))


def wake(columns: tuple[Column, ...]) -> None:
    """Let columns note what is read."""
    for column in columns:
        column.__class__ = column.noting


def hush(columns: tuple[Column, ...]) -> None:
    """Let those columns be quiet whose reading tells nothing about any record."""
    made = _made
    records = _records()
    if records is None:
        return
    for column in columns:
        name, owner, kind = column.name, column.field.model, type(column.original)
        for record in records:
            if name not in record and issubclass(record.model, owner):
                break
        else:
            # No call from the look to the change: no other thread makes a record in between.
            if made == _made:
                column.__class__ = kind


def _records() -> list[Reads] | None:
    """Return the records of all open Recorders, None for too many."""
    found: list[Reads] = []
    for known in list(_recorders.values()):
        recorder = known()
        if recorder is None or recorder.closed or recorder.reads is None:
            continue
        if len(recorder.reads) + len(found) > MAX_RECORDS:
            return None
        found += [record for record in recorder.reads if type(record) is Reads]
    return found


# -- where columns are quiet -----------------------------------------------------------------


def loaded(queryset: Any, instances: Iterable[Any], *, related: bool) -> list[Any]:
    """Return the instances of a queryset, made in quiet: nobody has one of them yet."""
    columns: tuple[Column, ...] = ()
    try:
        columns = _columns_of(queryset, related=related)
        hush(columns)
    except Exception as error:  # noqa: BLE001 - the guard passes on what is not ours
        guard.caught(error, "django.reads")
    try:
        return list(instances)
    finally:
        wake(columns)


def _columns_of(queryset: Any, *, related: bool) -> tuple[Column, ...]:
    """Return the columns of a queryset's class, and of those that it names to be joined."""
    found = columns_of(queryset.model)
    named = queryset.query.select_related if related else None
    waiting = [(queryset.model, named)] if isinstance(named, dict) else []
    while waiting:
        model, named = waiting.pop()
        fields = model._meta.fields_map | {field.name: field for field in model._meta.fields}
        for name, inner in named.items():
            other = fields[name].related_model if name in fields else None
            if other is not None:
                found += columns_of(other)
                waiting.append((other, inner))
    return found


def iterating(original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap ``QuerySet.__iter__``: of many rows, columns are quiet between those watched."""

    @wraps(original)
    def __iter__(self: Any) -> Iterator[Any]:
        found: Iterator[Any] = original(self)
        recorder = recording()
        if recorder is None or recorder.reads is None:
            return found
        try:
            rows = self._result_cache
            if type(rows) is list and len(rows) >= MIN_ROWS:
                columns = _columns_with(rows[0])
                if columns:
                    return chain.from_iterable(_in_turn(rows, columns))
        except Exception as error:  # noqa: BLE001 - the guard passes on what is not ours
            guard.caught(error, "django.reads")
        return found

    return __iter__


def _in_turn(rows: list[Any], columns: tuple[Column, ...]) -> Iterator[list[Any]]:
    """Yield rows a few at a time: those watched while all columns note, others in quiet.

    The caller hands them out in C. Rows that are appended meanwhile come, too, as a list's own
    iterator has it.
    """
    start, stop = 0, WATCHED_ROWS
    due = next_watched(stop)
    try:
        while start < len(rows):
            wake(columns)
            part = rows[start:stop]
            start, stop = start + len(part), due - 1
            yield part
            try:
                hush(columns)
            except Exception as error:  # noqa: BLE001 - the guard passes on what is not ours
                guard.caught(error, "django.reads")
            part = rows[start:stop]
            start, stop = start + len(part), due
            due = next_watched(due)
            yield part
    finally:
        wake(columns)


def _columns_with(instance: Any) -> tuple[Column, ...]:
    """Return the columns of an instance that is tracked and of those that came along with it."""
    if (
        not isinstance(instance, Model)
        or type(getattr(instance._state, QUERY_MARK, 0)) is not Reads
    ):
        return ()  # of values(), or loaded outside every Recorder
    found = columns_of(type(instance))
    for other in instance._state.fields_cache.values():
        if other is not None and other is not instance:
            found += columns_of(type(other))
    return found
