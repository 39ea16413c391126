"""The results of a Trace's statements with what was read of their rows, where that is certain.

Only full recording knows. What is not seen is never called unread: ``values()``, Core rows, raw
cursors have no record; rows that went out whole (``vars()``, a pickle), rows that were still there
when their Trace was judged, and the work of a request that failed, are passed over.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from queryscope.detectors._loops import in_migration

if TYPE_CHECKING:
    from collections.abc import Iterator

    from queryscope.detectors.registry import Case
    from queryscope.trace.events import Origin, Query, Read, Trace

_ENDED = frozenset({"request", "task"})
"""Kinds of Traces after which nobody reads on: what is still there was put by."""


class Result(NamedTuple):
    """A statement and what was read of the rows it loaded.

    Attributes:
        query: The statement.
        own: The rows of its own classes.
        joined: The rows that came along by joins.
    """

    query: Query
    own: tuple[Read, ...]
    joined: tuple[Read, ...]

    @property
    def reads(self) -> tuple[Read, ...]:
        """All of them."""
        return self.own + self.joined

    @property
    def is_read(self) -> bool:
        """Whether any column or relation of any row was read."""
        return any(read.read for read in self.reads)


def results(case: Case) -> Iterator[Result]:
    """Yield the results of a Trace of which it is certain what was read, in order."""
    trace = case.trace
    if not trace.reads or trace.recording != "full" or _failed(trace):
        return
    by_query: dict[int, list[Read]] = {}
    for read in trace.reads:
        by_query.setdefault(read.query, []).append(read)
    for number, reads in sorted(by_query.items()):
        if not 0 <= number < len(trace.queries):
            continue
        query = trace.queries[number]
        if query.error is not None or query.shape.is_write or query.shape.locks:
            continue
        if not all(_is_certain(read, trace) for read in reads):
            continue
        if in_migration(query.origin.steps):
            continue
        yield Result(
            query,
            tuple(read for read in reads if not read.path),
            tuple(read for read in reads if read.path),
        )


def by_place(found: list[Result]) -> list[list[Result]]:
    """Return results grouped by statement shape and the line that asked, in order."""
    groups: dict[tuple[str, Origin], list[Result]] = {}
    for result in found:
        groups.setdefault((result.query.shape.text, result.query.origin), []).append(result)
    return list(groups.values())


def _failed(trace: Trace) -> bool:
    """Tell whether the work was cut short: what it had loaded, it could not use."""
    status = trace.attributes.get("status", "")
    return trace.error is not None or (status.isdigit() and int(status) >= 400)  # noqa: PLR2004 - HTTP's errors


def _is_certain(read: Read, trace: Trace) -> bool:
    return read.known and not (read.alive and trace.kind not in _ENDED)


def size_text(size_bytes: int) -> str:
    """Return a size as people say it: ``160 KB``."""
    if size_bytes < 10_000:  # noqa: PLR2004 - four digits are read at a glance
        return f"{size_bytes:,} bytes"
    if size_bytes < 10_000_000:  # noqa: PLR2004 - as above
        return f"{size_bytes / 1_000:,.0f} KB"
    return f"{size_bytes / 1_000_000:,.1f} MB"
