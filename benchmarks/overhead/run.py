"""What queryscope costs a request and a query, as ratios to the same request without it.

    python benchmarks/overhead/run.py [--database URL] [--queries 10,100,1000] [--processes 12]
                                      [--rounds 12] [--sets 6] [--no-idle] [--no-peers]
                                      [--no-reads]
                                      [--strict | --guard] [--json FILE]

One interpreter and one database; ``publish.py`` runs several and writes the page. Five
measurements, all in CPU time of the process and in wall time:

1. bare, bare again and recorded in one process, one request of each a round, in shuffled order.
   The hooks are in for the whole time: a class that is patched between rounds loses what the
   interpreter has learnt about it, and the bare request pays for that. Bare is the application
   without our middleware: the hooks call through. Each process has its objects laid out by
   chance, and what is reported is the middle of several processes: see ``serve.shift``.
2. "installed but idle": bare requests of one process, with the hooks in and with them out.
3. the peers beside "not installed": processes that answer in turn, several sets of fresh ones.
4. read tracking: processes without queryscope, with full recording, and with read tracking, too.
5. memory, in processes of their own, since tracing it slows everything.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import sys
import tempfile
from datetime import UTC, datetime
from importlib.metadata import version as version_of
from pathlib import Path
from statistics import median
from typing import Any

import databases
import page
import peers
import reads
from pairs import Middle, added, middle, ratio
from processes import CPU, OFF, WALL, Process, ProcessError, Samples, lockstep, paired, started

HERE = Path(__file__).parent
OURS = ("django-light", "django-full", "sqlalchemy-light", "sqlalchemy-full")
AT = 100
"""Queries of the request that the targets and the peers are about."""
BURST = 25
"""Requests in a row of which the fixed cost of one is taken."""

Figures = dict[str, float]


def _column(samples: Samples, name: str, what: int) -> list[float]:
    return [float(row[what]) for row in samples[name]]


def _rounds(queries: int, rounds: int) -> int:
    """Return how many rounds a size gets: fewer of the long ones, more of the short ones."""
    if queries > AT:
        return max(rounds * AT // queries, 3)
    return rounds if queries == AT else 2 * rounds


def one_size(process: Process, path: str, rounds: int) -> Figures:
    """Return what recording costs at one size in one process, from its pairs."""
    samples = paired(process, path, rounds)
    bare = _column(samples, "bare", CPU)
    recorded = _column(samples, "recorded", CPU)
    off = added(_column(samples, "recorded", OFF), _column(samples, "bare", OFF))
    return {
        "bare_us": median(bare) / 1e3,
        "cpu": ratio(recorded, bare),
        "wall": ratio(_column(samples, "recorded", WALL), _column(samples, "bare", WALL)),
        "noise": ratio(_column(samples, "bare2", CPU), bare),
        "added_us": added(recorded, bare) / 1e3,
        "off_us": off / 1e3,
        "off_share": off / median(bare),
    }


def burst(process: Process) -> float:
    """Return the microseconds that recording adds to a request without queries, all included."""
    cost = {
        variant: median(
            process.ask(do="burst", path="/books/0", variant=variant, count=BURST) for _ in range(3)
        )
        for variant in ("bare", "recorded")
    }
    return float(cost["recorded"] - cost["bare"]) / 1e3


def in_process(
    python: Path, subject: str, folder: Path, sizes: list[int], rounds: int, processes: int
) -> dict[str, Any]:
    """Measure what recording adds at each size; the middle of several processes.

    Returns:
        ``sizes``: for each, ``queries`` and the Middle of each figure of ``one_size``, and of
        ``query_us``, what a query adds without what the request adds by itself; ``lazy``: the
        same for lazy loads; ``fixed_us``: what a request adds, see ``burst``.
    """
    paths = {f"/books/{size}": size for size in [0, *sizes]} | {f"/shelves/{AT}": AT}
    found: dict[str, list[Figures]] = {path: [] for path in paths}
    fixed = []
    for layout in range(1, processes + 1):
        _say(f"{subject}: process {layout} of {processes}")
        with started(python, subject, folder, layout) as process:
            for path, size in paths.items():
                found[path].append(one_size(process, path, _rounds(size, rounds)))
            fixed.append(burst(process))
    for path, size in paths.items():
        for figures, empty in zip(found[path], found["/books/0"], strict=True):
            if size:
                figures["query_us"] = (figures["added_us"] - empty["added_us"]) / size
    *plain, lazy = ({"queries": size, **_middles(found[path])} for path, size in paths.items())
    return {"sizes": plain, "lazy": lazy, "fixed_us": middle(fixed)}


def _middles(rows: list[Figures]) -> dict[str, Middle]:
    return {name: middle([row[name] for row in rows]) for name in rows[0]}


def memory(process: Process, queries: int) -> dict[str, float]:
    """Return the peak bytes a query that recording adds, in the request and up to its sinks."""
    found = process.ask(do="memory", path=f"/books/{queries}")
    (bare, _), (during, after) = found["bare"], found["recorded"]
    return {"request": (during - bare) / queries, "frozen": (after - bare) / queries}


def ours(folder: Path, sizes: list[int], rounds: int, processes: int) -> dict[str, Any]:
    """Measure light and full recording of both frameworks."""
    python = Path(sys.executable)
    found: dict[str, Any] = {}
    for subject in OURS:
        found[subject] = in_process(python, subject, folder, sizes, rounds, processes)
        with started(python, subject, folder) as process:
            found[subject]["memory"] = memory(process, max(sizes))
    return found


def idle(folder: Path, processes: int, rounds: int) -> dict[str, Any]:
    """Measure bare requests with the hooks in, by those of the same process without them."""
    found: dict[str, Any] = {}
    for subject in OURS:
        known: list[Figures] = []
        for layout in range(1, processes + 1):
            _say(f"{subject}: installed but idle, process {layout} of {processes}")
            with started(Path(sys.executable), subject, folder, layout) as process:
                known.append(_idle_in(process, rounds))
        found[subject] = _middles(known)
    return found


def _idle_in(process: Process, rounds: int) -> Figures:
    """Return the ratio of one process, and that of the same state by itself: the noise."""
    path = f"/books/{AT}"
    pairs = [
        process.ask(do="idle", path=path, order=random.sample([True, False], 2))
        for _ in range(rounds)
    ]
    again = [process.ask(do="idle", path=path, order=[False])["out"] for _ in range(2 * rounds)]
    return {
        "cpu": ratio([pair["in"] for pair in pairs], [pair["out"] for pair in pairs]),
        "noise": ratio(again[::2], again[1::2]),
    }


def _layout(number: int, place: int) -> int:
    """Return a layout that no other process has."""
    return 1000 * (number + 1) + place


def beside_peers(folder: Path, rounds: int, sets: int) -> dict[str, Any]:
    """Measure the peers that can be installed."""
    rows: dict[str, Any] = {}
    missing: dict[str, str] = {}
    for peer in peers.PEERS:
        _say(f"{peer.subject}: installing")
        try:
            python = peers.environment(peer)
            row = _beside_plain(peer, python, folder, rounds, sets)
            rows[peer.subject] = {**row, "version": peers.version(python, peer.shown)}
        except (peers.NotInstalledError, ProcessError) as error:
            missing[peer.subject] = str(error)
    return {"rows": rows, "missing": missing}


def _beside_plain(
    peer: peers.Peer, python: Path, folder: Path, rounds: int, sets: int
) -> dict[str, Middle]:
    """Measure a peer beside a process without it.

    In its own process there is no bare request: silk compiles each statement twice and formats the
    stack, zeal and OpenTelemetry run their wrappers, with and without their middleware.
    """
    plain = f"{peer.framework}-plain"
    rows: list[Figures] = []
    for number in range(sets):
        _say(f"{peer.subject}: set {number + 1} of {sets}")
        with (
            started(
                Path(sys.executable), plain, _own(folder, plain), _layout(number, 0)
            ) as without,
            started(python, peer.subject, _own(folder, peer.subject), _layout(number, 1)) as tool,
        ):
            asked = {"plain": (without, "bare"), "tool": (tool, "recorded")}
            empty = lockstep(asked, "/books/0", 2 * rounds)
            loaded = lockstep(asked, f"/books/{AT}", rounds)
        request, total = (
            added(_column(samples, "tool", CPU), _column(samples, "plain", CPU)) / 1e3
            for samples in (empty, loaded)
        )
        rows.append(
            {
                "cpu": ratio(_column(loaded, "tool", CPU), _column(loaded, "plain", CPU)),
                "added_us": total,
                "query_us": (total - request) / AT,
                "request_us": request,
            }
        )
    return _middles(rows)


def _own(folder: Path, name: str) -> Path:
    """Return a folder, and so a database, of its own: silk puts tables into it."""
    found = folder / name
    found.mkdir(exist_ok=True)
    return found


def _machine() -> dict[str, Any]:
    return {
        "cores": os.cpu_count(),
        "system": platform.system(),
        "architecture": platform.machine(),
        "python": platform.python_version(),
        "django": version_of("django"),
        "sqlalchemy": version_of("sqlalchemy"),
    }


def _say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--database", default="", help="a PostgreSQL server, instead of SQLite")
    parser.add_argument("--queries", default="10,100,1000", help="sizes, 100 always among them")
    parser.add_argument("--processes", type=int, default=12, help="processes a subject")
    parser.add_argument("--rounds", type=int, default=12, help="rounds of 100 queries in each")
    parser.add_argument("--sets", type=int, default=6, help="processes: idle, and beside each peer")
    parser.add_argument("--no-idle", action="store_true", help="without 'installed but idle'")
    parser.add_argument("--no-peers", action="store_true", help="queryscope alone")
    parser.add_argument("--no-reads", action="store_true", help="without read tracking")
    parser.add_argument("--strict", action="store_true", help="fail when a target is missed")
    parser.add_argument("--guard", action="store_true", help="fail when a ratio is missed")
    parser.add_argument("--json", type=Path, help="write the results as JSON")
    return parser.parse_args()


def main() -> int:
    """Measure, print, write; 1 when a target that is checked is missed for certain."""
    chosen = _arguments()
    if chosen.database:
        os.environ[databases.VARIABLE] = chosen.database
    sizes = sorted({AT, *(int(size) for size in chosen.queries.split(",") if int(size) > 0)})
    with tempfile.TemporaryDirectory(prefix="queryscope-overhead-") as name:
        folder = Path(name)
        try:
            result: dict[str, Any] = {
                "date": datetime.now(UTC).date().isoformat(),
                "machine": _machine(),
                "database": "PostgreSQL" if chosen.database else "SQLite",
                "processes": chosen.processes,
                "rounds": chosen.rounds,
                "sets": chosen.sets,
                "ours": ours(_own(folder, "ours"), sizes, chosen.rounds, chosen.processes),
            }
            if not chosen.no_idle:
                result["idle"] = idle(_own(folder, "idle"), chosen.processes, chosen.rounds)
            if not chosen.no_reads:
                folder_of_reads = _own(folder, "reads")
                result["reads"] = reads.measure(folder_of_reads, chosen.sets, chosen.rounds)
            if not chosen.no_peers:
                result["peers"] = beside_peers(_own(folder, "peers"), chosen.rounds, chosen.sets)
        finally:
            if chosen.database:
                databases.drop_all(chosen.database)
    targets = page.targets(result)
    page.show(result, targets)
    if chosen.json is not None:
        chosen.json.parent.mkdir(parents=True, exist_ok=True)
        chosen.json.write_text(json.dumps(_plain(result), indent=1) + "\n", encoding="utf-8")
    checked = targets if chosen.strict else page.ratios(result) if chosen.guard else []
    return int(any(item.met is False for item in checked))


def _plain(value: Any) -> Any:
    """Return a result as JSON: a median becomes an object, ``page.read`` makes one of it again."""
    if isinstance(value, Middle):
        return value._asdict()
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value


if __name__ == "__main__":
    sys.exit(main())
