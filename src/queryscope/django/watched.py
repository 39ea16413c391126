"""Instances whose values are watched, and what was read of them so far."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from queryscope.django import columns
from queryscope.django.columns import facts_of
from queryscope.django.labels import QUERY_MARK
from queryscope.trace import guard
from queryscope.trace.reads import SAMPLED_ROWS, Reads, Watched

if TYPE_CHECKING:
    from collections.abc import Iterable


class WatchedInstance(Watched):
    """The ``__dict__`` of a model instance, with the values that it was loaded with."""

    __slots__ = ("loaded",)
    own = vars(columns)

    loaded: dict[str, Any] | None

    def _seen(self) -> None:
        reads = getattr(dict.get(self, "_state"), QUERY_MARK, None)
        if type(reads) is Reads:
            reads.unseen = True


def watch(instance: Any, reads: Reads, row: int) -> None:
    """Watch the values of the row with a number, and measure those of the first few."""
    names, keys, more = facts_of(instance)
    data = instance.__dict__
    if row <= SAMPLED_ROWS:
        reads.keys |= keys
        reads.measure(data, names)
    reads.opaque = reads.opaque or more
    if type(data) is dict:
        watched = WatchedInstance(data)
        # Who locks a row means to write it, come what may.
        watched.loaded = None if reads.unseen or more else {name: data[name] for name in names}
        reads.watch(watched, row)
        instance.__dict__ = watched


def reads_of(instances: Iterable[Any]) -> list[tuple[Reads, set[str]]]:
    """Return what was read so far of some rows, each record once."""
    found: dict[int, tuple[Reads, set[str]]] = {}
    try:
        for instance in instances:
            reads = getattr(instance._state, QUERY_MARK, None)
            if type(reads) is Reads and id(reads) not in found:
                found[id(reads)] = (reads, set(reads))
    except Exception as error:  # noqa: BLE001 - the guard passes on what is not ours
        guard.caught(error, "django.reads")
    return list(found.values())


def put_back(before: list[tuple[Reads, set[str]]]) -> None:
    """Forget what was read since ``reads_of`` looked: the ORM read it for itself."""
    for reads, names in before:
        reads.intersection_update(names)
