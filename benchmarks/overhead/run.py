"""What queryscope costs a request and a query, as ratios to the same request without it.

    python benchmarks/overhead/run.py [--queries 10,100,1000] [--rounds 200] [--sets 12]
                                      [--no-peers] [--strict] [--json FILE] [--markdown FILE]

Three measurements, all in CPU time of the process and in wall time:

1. bare, bare again and recorded in one process, one request of each a round, in shuffled order.
   The hooks are in for the whole time: a class that is patched between rounds loses what the
   interpreter has learnt about it, and the bare request pays for that. Bare is the application
   without our middleware: the hooks call through.
2. "installed but idle" beside "not installed", and the peers beside "not installed": processes
   that answer in turn, several sets of fresh ones.
3. memory, in processes of their own, since tracing it slows everything.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
from datetime import UTC, datetime
from importlib.metadata import version as version_of
from pathlib import Path
from typing import Any

import page
import peers
from pairs import Middle, added, middle, ratio
from processes import CPU, OFF, WALL, Process, ProcessError, Samples, lockstep, paired, started

HERE = Path(__file__).parent
OURS = ("django-light", "django-full", "sqlalchemy-light", "sqlalchemy-full")
AT = 100
"""Queries of the request that the targets and the peers are about."""


def _column(samples: Samples, name: str, what: int) -> list[float]:
    return [float(row[what]) for row in samples[name]]


def _rounds(queries: int, rounds: int) -> int:
    """Return how many rounds a size gets: fewer of the long ones, more of the short ones."""
    if queries > AT:
        return max(rounds * AT // queries, 20)
    return rounds if queries == AT else 2 * rounds


def one_process(process: Process, path: str, queries: int, rounds: int) -> dict[str, Any]:
    """Return what recording costs at one size, from pairs within a process."""
    samples = paired(process, path, _rounds(queries, rounds))
    bare = _column(samples, "bare", CPU)
    recorded = _column(samples, "recorded", CPU)
    off = added(_column(samples, "recorded", OFF), _column(samples, "bare", OFF))
    return {
        "queries": queries,
        "rounds": len(bare),
        "bare_us": middle(bare).times(1e-3),
        "cpu": ratio(recorded, bare),
        "wall": ratio(_column(samples, "recorded", WALL), _column(samples, "bare", WALL)),
        "noise": ratio(_column(samples, "bare2", CPU), bare),
        "added_us": added(recorded, bare).times(1e-3),
        "off_us": off.times(1e-3),
        "off_share": off.value / middle(bare).value,
    }


def memory(process: Process, path: str, queries: int) -> dict[str, float]:
    """Return the peak bytes a query that recording adds, in the request and up to its sinks."""
    found = process.ask(do="memory", path=path)
    (bare, _), (during, after) = found["bare"], found["recorded"]
    return {"request": (during - bare) / queries, "frozen": (after - bare) / queries}


def ours(folder: Path, sizes: list[int], rounds: int) -> dict[str, Any]:
    """Measure light and full recording of both frameworks."""
    python = Path(sys.executable)
    found: dict[str, Any] = {}
    for subject in OURS:
        with started(python, subject, folder) as process:
            by_size = []
            for queries in [0, *sizes]:
                _say(f"{subject}: {queries} queries")
                by_size.append(one_process(process, f"/books/{queries}", queries, rounds))
            _say(f"{subject}: {AT} lazy loads, and without the garbage collector")
            lazy = one_process(process, f"/shelves/{AT}", AT, rounds)
            quiet = paired(process, f"/books/{AT}", rounds // 2, gc=False)
        with started(python, subject, folder) as process:
            top = max(sizes)
            found[subject] = {
                "sizes": by_size,
                "lazy": lazy,
                "without_gc": ratio(_column(quiet, "recorded", CPU), _column(quiet, "bare", CPU)),
                "memory": memory(process, f"/books/{top}", top),
            }
    return found


def idle(folder: Path, sets: int, rounds: int) -> dict[str, Any]:
    """Measure bare requests where the hooks are in, beside processes without queryscope."""
    python = Path(sys.executable)
    found: dict[str, Any] = {}
    for framework in ("django", "sqlalchemy"):
        plain, again = f"{framework}-plain", f"{framework}-noise"
        # Of each row: what runs, and whether it has never recorded.
        names = {plain: (plain, True), again: (plain, True)}
        for recording in ("light", "full"):
            subject = f"{framework}-{recording}"
            names[subject] = (subject, True)
            names[f"{subject}{page.AFTER}"] = (subject, False)
        ratios: dict[str, list[float]] = {name: [] for name in names if name != plain}
        for number in range(sets):
            _say(f"{framework}: installed but idle, set {number + 1} of {sets}")
            running = {
                name: Process(python, subject, folder, idle=never)
                for name, (subject, never) in names.items()
            }
            try:
                samples = lockstep(
                    {name: (process, "bare") for name, process in running.items()},
                    f"/books/{AT}",
                    rounds,
                )
            finally:
                for process in running.values():
                    process.close()
            for name, known in ratios.items():
                pair = ratio(_column(samples, name, CPU), _column(samples, plain, CPU))
                known.append(pair.value)
        found.update({name: middle(known) for name, known in ratios.items()})
    return found


def beside_peers(folder: Path, sets: int, rounds: int, *, with_peers: bool) -> dict[str, Any]:
    """Measure queryscope and its peers, each in its own process, beside one without anything."""
    rows: dict[str, Any] = {}
    missing: dict[str, str] = {}
    for framework in ("django", "sqlalchemy"):
        ready: list[tuple[str, Path]] = [
            (f"{framework}-{recording}", Path(sys.executable)) for recording in ("light", "full")
        ]
        for peer in peers.PEERS if with_peers else ():
            if peer.framework == framework:
                _say(f"{peer.subject}: installing")
                try:
                    python = peers.environment(peer)
                    with started(python, peer.subject, _own(folder, peer.subject)):
                        ready.append((peer.subject, python))
                except (peers.NotInstalledError, ProcessError) as error:
                    missing[peer.subject] = str(error)
        costs: dict[str, dict[str, list[float]]] = {
            name: {"ratio": [], "query_us": [], "request_us": []} for name, _ in ready
        }
        for number in range(sets):
            _say(f"{framework}: peers, set {number + 1} of {sets}")
            _one_set(folder, framework, ready, rounds, costs)
        for name, cost in costs.items():
            rows[name] = {what: middle(values) for what, values in cost.items()}
    for peer in peers.PEERS:
        if peer.subject in rows:
            python = peers.environment(peer)
            rows[peer.subject]["version"] = peers.version(python, peer.shown)
    return {"rows": rows, "missing": missing}


def _one_set(
    folder: Path,
    framework: str,
    ready: list[tuple[str, Path]],
    rounds: int,
    costs: dict[str, dict[str, list[float]]],
) -> None:
    plain = "plain"
    running = {plain: Process(Path(sys.executable), f"{framework}-plain", _own(folder, plain))}
    try:
        for name, python in ready:
            running[name] = Process(python, name, _own(folder, name))
        asked = {
            name: (process, "bare" if name == plain else "recorded")
            for name, process in running.items()
        }
        empty = lockstep(asked, "/books/0", 2 * rounds)
        loaded = lockstep(asked, f"/books/{AT}", rounds)
    finally:
        for process in running.values():
            process.close()
    for name, cost in costs.items():
        request = added(_column(empty, name, CPU), _column(empty, plain, CPU)).value
        total = added(_column(loaded, name, CPU), _column(loaded, plain, CPU)).value
        cost["ratio"].append(ratio(_column(loaded, name, CPU), _column(loaded, plain, CPU)).value)
        cost["request_us"].append(request / 1e3)
        cost["query_us"].append((total - request) / AT / 1e3)


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


def _plain(value: Any) -> Any:
    """Return a result as JSON: a median becomes an object."""
    if isinstance(value, Middle):
        return value._asdict()
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value


def main() -> int:
    """Measure, print, write; with ``--strict`` 1 when a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--queries", default="10,100,1000", help="sizes, 100 always among them")
    parser.add_argument("--rounds", type=int, default=200, help="rounds of 100 queries")
    parser.add_argument("--sets", type=int, default=12, help="sets of fresh processes")
    parser.add_argument("--no-peers", action="store_true", help="queryscope alone")
    parser.add_argument("--strict", action="store_true", help="fail when a target is missed")
    parser.add_argument("--json", type=Path, help="write the results as JSON")
    parser.add_argument("--markdown", type=Path, help="write the results as a page")
    chosen = parser.parse_args()
    sizes = sorted({AT, *(int(size) for size in chosen.queries.split(",") if int(size) > 0)})
    with tempfile.TemporaryDirectory(prefix="queryscope-overhead-") as name:
        folder = Path(name)
        result = {
            "date": datetime.now(UTC).date().isoformat(),
            "machine": _machine(),
            "rounds": chosen.rounds,
            "sets": chosen.sets,
            "ours": ours(_own(folder, "ours"), sizes, chosen.rounds),
            "idle": idle(_own(folder, "idle"), chosen.sets, max(chosen.rounds // 10, 3)),
            "peers": beside_peers(
                _own(folder, "peers"),
                max(chosen.sets // 4, 1),
                max(chosen.rounds // 5, 3),
                with_peers=not chosen.no_peers,
            ),
        }
    targets = page.targets(result)
    page.show(result, targets)
    if chosen.json is not None:
        document = {**_plain(result), "targets": [item._asdict() for item in targets]}
        chosen.json.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    if chosen.markdown is not None:
        chosen.markdown.parent.mkdir(parents=True, exist_ok=True)
        chosen.markdown.write_text(page.markdown(result, targets), encoding="utf-8")
    return int(chosen.strict and any(item.met is False for item in targets))


if __name__ == "__main__":
    sys.exit(main())
