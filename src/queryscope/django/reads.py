"""Sees which columns and relations of loaded instances are read, in full recording.

What was read is noted in the ``Reads`` that the instances of one statement share, in their
``_state``.
"""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any

from django.db.models import query as queries
from django.db.models.base import Model, ModelState
from django.db.models.fields.related_descriptors import (
    ForwardManyToOneDescriptor,
    ReverseManyToOneDescriptor,
    ReverseOneToOneDescriptor,
)

from queryscope.django import columns, quiet
from queryscope.django.labels import QUERY_MARK
from queryscope.django.rewritten import refreshing, updating
from queryscope.django.watched import WatchedInstance, put_back, reads_of, watch
from queryscope.trace import guard
from queryscope.trace.facts import next_uid
from queryscope.trace.reads import MAX_DISTINCT, MAX_READS, WATCHED_ROWS, Reads, next_watched

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from queryscope.trace.patches import Patches
    from queryscope.trace.recorder import Recorder


def install(patches: Patches) -> None:
    """Track the models that there are and those to come."""
    # What is read of an instance that no statement loaded goes nowhere: to raise first costs more.
    setattr(ModelState, QUERY_MARK, set())
    patches.later(lambda: delattr(ModelState, QUERY_MARK))
    columns.install(patches)
    patches.replace(ForwardManyToOneDescriptor, "__get__", _noting(lambda d: d.field.name))
    patches.replace(
        ReverseOneToOneDescriptor, "__get__", _noting(lambda d: d.related.accessor_name)
    )
    patches.replace(ReverseManyToOneDescriptor, "__get__", _noting(_manager_name))
    patches.replace(queries.QuerySet, "__iter__", quiet.iterating)
    patches.replace(Model, "_do_update", updating)
    patches.replace(Model, "refresh_from_db", refreshing)
    patches.replace(queries, "get_prefetcher", _unnoted_prefetcher)
    patches.replace(queries, "prefetch_one_level", _unnoted_level)


# -- the instances of one statement ----------------------------------------------------------

_MARKED = frozenset({Reads, int})
"""What the mark of an instance is that some statement loaded."""


class Marks:
    """The marks of one statement's rows: one for its own class, one for each joined relation.

    Args:
        recorder: Where they are noted.
        queryset: The queryset whose rows they are.
        statement: Gives the uid of the statement that selected from a table.
    """

    __slots__ = ("inner", "known", "locks", "queryset", "recorder", "statement", "uid")

    def __init__(self, recorder: Recorder, queryset: Any, statement: Callable[[str], int]) -> None:
        """Make no mark before there is a row."""
        self.recorder = recorder
        self.queryset = queryset
        self.statement = statement
        self.uid = 0
        self.inner: dict[str, Reads] = {}
        # Rows can be locked for their own sake; the statement does not say so on SQLite.
        self.locks = bool(getattr(queryset.query, "select_for_update", False))
        # Set by Django on each row, not loaded by this statement.
        self.known = {
            field.name for field in getattr(queryset, "_known_related_objects", None) or ()
        }

    def marked(self, instances: Iterable[Any], *, related: bool) -> Iterator[Any]:
        """Yield instances, each marked; with ``related``, also what came along with them."""
        own: Reads | None = None
        count = 0
        due = 1
        try:
            for instance in instances:
                try:
                    count += 1
                    instance._state._queryscope_query = own
                    if count == due:
                        if own is None:
                            own = self._first(instance)
                        due = next_watched(count)
                        watch(instance, own, count)
                    if related:
                        self._mark_related(instance._state, "")
                except Exception as error:  # noqa: BLE001 - the guard passes on what is not ours
                    guard.caught(error, "django.ModelIterable")
                yield instance
        finally:
            if own is not None:
                own.rows = count

    def all_of(self, instances: Iterable[Any], *, related: bool) -> list[Any]:
        """Return all instances, each marked before anybody has the first of them."""
        rows = quiet.loaded(self.queryset, instances, related=related)
        try:
            if rows:
                own = self._first(rows[0])
                own.rows = len(rows)
                for instance in rows:
                    instance._state._queryscope_query = own
                due = 1
                while due <= len(rows):
                    watch(rows[due - 1], own, due)
                    due = next_watched(due)
                if related:
                    for instance in rows:
                        self._mark_related(instance._state, "")
        except Exception as error:  # noqa: BLE001 - the guard passes on what is not ours
            guard.caught(error, "django.ModelIterable")
        return rows

    def _first(self, instance: Any) -> Reads:
        self.uid = self.statement(instance._meta.db_table)
        own = self._new(instance, "")
        instance._state._queryscope_query = own
        return own

    def _mark_related(self, state: Any, path: str) -> None:
        for name, other in state.fields_cache.items():
            if other is None or (not path and name in self.known):
                continue
            if type(getattr(other._state, QUERY_MARK, None)) in _MARKED:
                continue
            inner = f"{path}.{name}" if path else name
            reads = self.inner.get(inner)
            if reads is None:
                reads = self.inner[inner] = self._new(other, inner)
                reads.seen = set()
                reads.key = other._meta.pk.attname
            reads.rows = count = reads.rows + 1
            if reads.seen is not None and len(reads.seen) < MAX_DISTINCT:
                reads.seen.add(other.__dict__.get(reads.key))
            other._state._queryscope_query = reads
            if count == reads.due:
                # Whether all or some of them are read nobody asks.
                reads.due += 1 if count < WATCHED_ROWS else count
                watch(other, reads, count)
            self._mark_related(other._state, inner)

    def _new(self, instance: Any, path: str) -> Reads:
        reads = Reads(self.uid, type(instance), path)
        reads.unseen = self.locks
        kept = self.recorder.reads
        if kept is not None and len(kept) < MAX_READS and not self.recorder.closed:
            kept.append(reads)
        else:
            self.recorder.drop("reads", 1)
        quiet.recorded(self.recorder, reads.model)
        return reads


# -- relations -------------------------------------------------------------------------------


def _manager_name(descriptor: Any) -> str:
    """Return the attribute that a manager of many rows is read by."""
    rel = descriptor.rel
    # A many-to-many has one descriptor on either side, and says which this is.
    own = not descriptor.reverse if hasattr(descriptor, "reverse") else rel.field.one_to_many
    return str(rel.field.name if own else rel.accessor_name)


def _noting(name: Callable[[Any], str]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return a maker of wrappers that note which relation of a row is read."""

    def make(original: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(original)
        def __get__(self: Any, instance: Any, cls: Any = None) -> Any:
            if instance is not None:
                try:
                    reads = getattr(instance._state, QUERY_MARK, None)
                    if type(reads) is Reads:
                        named = name(self)
                        reads.add(named)
                        data = instance.__dict__
                        if type(data) is WatchedInstance:
                            data.note(named)
                except Exception as error:  # noqa: BLE001 - the guard passes on what is not ours
                    guard.caught(error, "django.reads")
            return original(self, instance, cls)

        return __get__

    return make


def _unnoted_prefetcher(original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap ``get_prefetcher``, which reads the relation of the first row to look at it."""

    @wraps(original)
    def get_prefetcher(instance: Any, *args: Any, **kwargs: Any) -> Any:
        before = reads_of((instance,))
        try:
            return original(instance, *args, **kwargs)
        finally:
            put_back(before)

    return get_prefetcher


def _unnoted_level(original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap ``prefetch_one_level``, which reads keys and relations of all rows to join them."""

    @wraps(original)
    def prefetch_one_level(instances: Any, prefetcher: Any, lookup: Any, level: Any) -> Any:
        before = reads_of(instances)
        start = next_uid()
        try:
            result = original(instances, prefetcher, lookup, level)
        finally:
            put_back(before)
        try:
            for reads, _ in reads_of(result[0]):
                if reads.uid > start:
                    reads.clear()
            if lookup.get_current_to_attr(level)[1]:
                # A plain list on each row: whether somebody looks at it is not seen.
                name = lookup.prefetch_through.split("__")[level]
                for reads, _ in before:
                    reads.add(name)
        except Exception as error:  # noqa: BLE001 - the guard passes on what is not ours
            guard.caught(error, "django.reads")
        return result

    return prefetch_one_level
