"""QS512: the pools of all processes together may open more connections than the server admits.

## What it does

Multiplies what one process may have out of a pool (`pool_size + max_overflow`) by the number of
processes, and compares it with what the database server admits. Neither number is in a Trace: it
speaks only where both are set, or where `queryscope pool --processes N --database URL` asks the
server for its limit, on a connection of its own.

## Why it is bad

It goes well until all processes are busy at a time. Then the server refuses connections
(`sorry, too many clients already`, `Too many connections`), to this application and to every other
one, and to who wants to look what is wrong.

    connections = processes x (pool_size + max_overflow) > max_connections - reserved ones

## Example

    create_engine(url, pool_size=20, max_overflow=10)    # 8 processes: 240; PostgreSQL admits 100

## Use instead

    create_engine(url, pool_size=8, max_overflow=4)      # 8 processes: 96

Or put a pooler between them, such as PgBouncer.

## Not flagged

Pools without a bound, whose size says nothing. Where one of the two numbers is not set, nothing is
said. Several pools of one process are judged each by itself here; `queryscope pool` adds them up.

## Settings

- `pool_processes` (processes that have such a pool, on all machines; default 0: not known).
- `server_max_connections` (connections that the server admits to them; default 0: not known).

## Source

PostgreSQL, `max_connections` and `superuser_reserved_connections`:
https://www.postgresql.org/docs/current/runtime-config-connection.html.
MariaDB, `max_connections`: https://mariadb.com/kb/en/server-system-variables/#max_connections
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from queryscope.detectors.finding import Cost, Finding, Mend
from queryscope.detectors.registry import Threshold
from queryscope.trace.pool import pools

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from queryscope.detectors.registry import Case

CODE = "QS512"
NAME = "pool-larger-than-server"
LOOKS_AT = ("checkouts",)
THRESHOLDS: Mapping[str, Threshold] = {
    "pool_processes": Threshold(0, "Processes that have such a pool, on all machines; 0: unknown."),
    "server_max_connections": Threshold(
        0, "Connections that the database server admits to them; 0: unknown."
    ),
}


def detect(case: Case) -> Iterator[Finding]:
    """Yield a finding for each pool that all processes together could make too large."""
    processes = int(case.threshold("pool_processes"))
    admitted = int(case.threshold("server_max_connections"))
    if not processes or not admitted or case.trace.kind in ("test", "script"):
        return
    for pool in pools(case.trace):
        wanted = wanted_connections(processes, pool.capacity)
        if wanted is None or wanted <= admitted:
            continue
        yield Finding(
            code=CODE,
            name=NAME,
            severity="warning",
            confidence="high",
            message=(
                f"{processes} processes with {pool.capacity} connections each of the pool "
                f"{pool.name} may open {wanted}; the server admits {admitted}."
            ),
            count=1,
            cost=Cost(),
            mend=Mend(None, "", advice(processes, admitted)),
            subject=pool.name,
            evidence={
                "pool": pool.name,
                "processes": processes,
                "capacity": pool.capacity or 0,
                "connections": wanted,
                "admitted": admitted,
            },
        )


def wanted_connections(processes: int, capacity: int | None) -> int | None:
    """Return what all processes together may open; None for a pool without a bound.

    Example:
        >>> wanted_connections(8, 30), wanted_connections(8, None)
        (240, None)
    """
    return None if capacity is None else processes * capacity


def advice(processes: int, admitted: int) -> str:
    """Return what to set the pool to."""
    each = admitted // processes
    if each < 1:
        return (
            f"{processes} processes cannot have a connection each of {admitted}: put a pooler "
            "between them and the server."
        )
    return (
        f"Let pool_size + max_overflow be {each} at most, or put a pooler between the processes "
        "and the server."
    )
