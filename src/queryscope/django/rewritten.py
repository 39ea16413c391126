"""Rows that are written back as they were, and rows that are refreshed."""

from __future__ import annotations

from functools import wraps
from threading import get_ident
from typing import TYPE_CHECKING, Any

from queryscope.django.columns import MISSING
from queryscope.django.labels import QUERY_MARK
from queryscope.django.watched import WatchedInstance, put_back, reads_of
from queryscope.trace import guard
from queryscope.trace.parameters import PLAIN
from queryscope.trace.reads import Reads
from queryscope.trace.scope import recording

if TYPE_CHECKING:
    from collections.abc import Callable

    from queryscope.trace.recorder import Recorder


def updating(original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap ``Model._do_update``, by which ``save()`` updates the row of one table."""

    @wraps(original)
    def _do_update(
        self: Any, base_qs: Any, using: Any, pk_val: Any, values: Any, *args: Any, **kwargs: Any
    ) -> Any:
        recorder = recording()
        if recorder is None or recorder.reads is None:
            return original(self, base_qs, using, pk_val, values, *args, **kwargs)
        before = len(recorder.statements)
        result = original(self, base_qs, using, pk_val, values, *args, **kwargs)
        try:
            data = self.__dict__
            if result and values and type(data) is WatchedInstance and data.loaded is not None:
                if _is_unchanged(self, data.loaded, values):
                    _note_unchanged(recorder, before, self)
                else:
                    data.loaded = None  # what the row holds is not known any more: it may roll back
        except Exception as error:  # noqa: BLE001 - the guard passes on what is not ours
            guard.caught(error, "django.reads")
        return result

    return _do_update


def _is_unchanged(instance: Any, loaded: dict[str, Any], values: Any) -> bool:
    if instance._meta.parents:
        return False  # a row in each of several tables: one of them may have changed
    for field, _, value in values:
        before = loaded.get(field.attname, MISSING)
        if type(value) is not type(before) or type(value) not in PLAIN or value != before:
            return False
    return True


def _note_unchanged(recorder: Recorder, before: int, instance: Any) -> None:
    thread = get_ident()
    reads = getattr(instance._state, QUERY_MARK, None)
    for raw in reversed(recorder.statements.since(before)):
        if raw[10] == thread and type(reads) is Reads:
            recorder.unchanged.append((raw[0], reads.uid))
            return


def refreshing(original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap ``Model.refresh_from_db``: what is read of a row from then on is its statement's."""

    @wraps(original)
    def refresh_from_db(
        self: Any, using: Any = None, fields: Any = None, *args: Any, **kwargs: Any
    ) -> Any:
        recorder = recording()
        kept = None if recorder is None else recorder.reads
        if kept is None or fields is not None:
            return original(self, using, fields, *args, **kwargs)
        known = reads_of((self,))
        untouched = _is_as_loaded(self)
        count = len(kept)
        try:
            return original(self, using, fields, *args, **kwargs)
        finally:
            put_back(known)
            try:
                _refreshed(self, kept[count:], [reads for reads, _ in known if untouched])
            except Exception as error:  # noqa: BLE001 - the guard passes on what is not ours
                guard.caught(error, "django.reads")

    return refresh_from_db


def _is_as_loaded(instance: Any) -> bool:
    """Tell whether nothing was set on an instance since it was loaded, as far as it is watched."""
    data = instance.__dict__
    return (
        type(data) is WatchedInstance
        and data.loaded is not None
        and all(dict.get(data, name, MISSING) is value for name, value in data.loaded.items())
    )


def _refreshed(instance: Any, made: list[Any], known: list[Reads]) -> None:
    """Let what is read of an instance be noted for the statement that has just refreshed it."""
    for reads in reversed(made):
        if type(reads) is not Reads or reads.path or reads.model is not type(instance):
            continue
        values = WatchedInstance(instance.__dict__)
        values.loaded = {name: dict.get(values, name) for name in reads.columns}
        reads.reread(values)
        reads.before = known[0].uid if known else 0
        instance.__dict__ = values
        instance._state._queryscope_query = reads
        return
