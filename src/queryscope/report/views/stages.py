"""The stages of a Trace as the rows of their table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from queryscope.report.text import visible

if TYPE_CHECKING:
    from queryscope.report.views.reading import Reading

MAX_ROWS = 200
MAX_DEPTH = 8
"""Deeper stages are indented no further."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageView:
    """One stage; ``depth`` is how many stages it is in."""

    name: str
    kind: str
    depth: int
    thread: int
    start_ns: int
    duration_ns: int
    database_ns: int
    pool_wait_ns: int
    own_ns: int
    queries: int


def stages_of(reading: Reading) -> tuple[StageView, ...]:
    """Return the first stages of a Trace."""
    depths: dict[int, int] = {}
    found = []
    for stage in reading.trace.stages[:MAX_ROWS]:
        depths[stage.number] = depth = depths.get(stage.parent, -1) + 1
        found.append(
            StageView(
                name=visible(stage.name),
                kind=visible(stage.kind, limit=30),
                depth=min(depth, MAX_DEPTH),
                thread=reading.threads[stage.thread],
                start_ns=stage.start_ns,
                duration_ns=stage.duration_ns,
                database_ns=stage.database_ns,
                pool_wait_ns=stage.pool_wait_ns,
                own_ns=stage.own_ns,
                queries=stage.queries,
            )
        )
    return tuple(found)
