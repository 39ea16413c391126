"""Serves both example applications under load, bare and recorded, and compares.

    python -m benchmarks.load.run [--seconds 5,60] [--jobs 2] [--memory 100000] [--json FILE]
                                  [--markdown FILE] [--only TEXT]

Every cell is one endpoint of one application under one kind of worker: a bare and a recorded
server side by side, 20 clients that ask both for the same at the same time, then a look at every
Trace. A pass goes over all cells; what a later, longer pass finds stands in place of the shorter
one's. The results are written after each cell: a run that is cut off has lost nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from benchmarks.load import page
from benchmarks.load.judge import Asked, judge
from benchmarks.load.servers import (
    CLIENTS,
    LEGACY_POOL,
    SEEDS,
    WORKERS,
    Server,
    ServerError,
    seed,
    served,
)
from queryscope.store.file import Store

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]
LOCATIONS = 40
RTT_MS = 0.3
"""Round trip of a statement: the moment at which one request gives way to another."""
ROUNDS_ALONE = 3
WARM_UP = 3_000
CHUNKS = 10
"""Readings of the memory."""
MIB = 1024
SETTINGS = {"mode": "production", "store": True, "headers": True, "store_max_mib": 8_192}
"""Queryscope's, but for ``store_path``; the rest are its defaults."""
UNBOUNDED = 10**6

Variant = tuple[str, dict[str, str]]
SMALLEST: Variant = ("/health", {})


class Cell(NamedTuple):
    """What one pair of servers is asked for."""

    application: str
    worker: str
    endpoint: str

    @property
    def name(self) -> str:
        """Its key in the results."""
        return " · ".join(self)


def discovery() -> list[Variant]:
    """Return requests that differ in what they filter, sort and page by."""
    filters = (
        "city=", "date=2026-03-03", "date=2026-03-06", "date=2026-03-03&min_capacity=10",
        "max_price=30", "addons=wifi", "sort=price", "sort=rating", "sort=name",
        "sort=distance&lat=50&lng=8", "page=2", "page=-1",
    )  # fmt: skip
    return [
        (f"/discovery?{chosen}&page_size={3 + number}", {}) for number, chosen in enumerate(filters)
    ]


def detail() -> list[Variant]:
    """Return requests for several locations by several accounts, some of them refused."""
    found: list[Variant] = [
        (f"/items/{number}", {"Authorization": f"Token token-{number % 9 + 1}"})
        for number in range(1, 7)
    ]
    found.append(("/items/1000000", {"Authorization": "Token token-1"}))
    found.append(("/items/7", {}))
    found.append(("/items/7", {"Authorization": "Token nobody"}))
    return found


def board() -> list[Variant]:
    """Return the one request that there is; the query, which nobody reads, makes it several."""
    return [(f"/admin-board/?n={number}", {}) for number in range(5)]


ENDPOINTS = {"discovery": discovery, "detail": detail, "board": board}


def variants_of(endpoint: str) -> list[Variant]:
    """Return the requests to an endpoint, such as ``v2/detail``."""
    prefix, _, kind = endpoint.rpartition("/")
    return [(f"/{prefix}{path}" if prefix else path, sent) for path, sent in ENDPOINTS[kind]()]


def cells() -> list[Cell]:
    """Return all cells; the first few have been under every kind of worker."""
    endpoints = (*(f"v2/{name}" for name in ENDPOINTS), *ENDPOINTS)
    return [
        Cell(application, worker, endpoint)
        for endpoint, worker, application in product(endpoints, WORKERS, SEEDS)
    ]


class Load:
    """One pair of servers and what they were asked for."""

    _last = 0
    _lock = threading.Lock()

    def __init__(self, bare: Server, recorded: Server) -> None:
        """Take two running servers."""
        self.bare = bare
        self.recorded = recorded

    def ask(
        self, variants: list[Variant], *, clients: int, seconds: float, requests: int
    ) -> dict[str, Any]:
        """Let clients ask for the variants and return what they found."""
        with Load._lock:
            Load._last += 1
            number = Load._last
        plan = {
            "bare": self.bare.port,
            "recorded": self.recorded.port,
            "run": number,
            "variants": variants,
            "clients": clients,
            "seconds": seconds,
            "requests": requests,
        }
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.load.client"],
            input=json.dumps(plan), cwd=ROOT, capture_output=True, text=True, check=False,
            timeout=seconds + 400,
        )  # fmt: skip
        if done.returncode:
            raise ServerError(done.stderr)
        return json.loads(done.stdout)

    def pids(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Return the processes of both servers."""
        return tuple(sorted(self.bare.counters())), tuple(sorted(self.recorded.counters()))


def databases(folder: Path) -> dict[str, str]:
    """Return the URL of a filled SQLite file for each application."""
    found = {}
    for application in SEEDS:
        found[application] = f"sqlite:///{folder / application}.sqlite3"
        seed(application, found[application], LOCATIONS)
    return found


def pair(cell: Cell, folder: Path, url: str, **more: Any) -> Any:
    """Return context managers of the bare and the recorded server of a cell, and the store.

    Args:
        cell: Which application and worker.
        folder: For what they write.
        url: The database.
        more: Settings of queryscope that are not those of the load run.
    """
    store = folder / "traces.db"
    settings = {**SETTINGS, "store_path": str(store), **more}
    common = {"legacy": not cell.endpoint.startswith("v2/"), "rtt_ms": RTT_MS}
    bare = served(cell.application, cell.worker, folder, url, settings=None, **common)
    recorded = served(cell.application, cell.worker, folder, url, settings=settings, **common)
    return bare, recorded, store


def measure(cell: Cell, url: str, seconds: float) -> dict[str, Any]:
    """Return what came out of one cell."""
    variants = variants_of(cell.endpoint)
    with tempfile.TemporaryDirectory(prefix="queryscope-load-") as name:
        bare, recorded, store = pair(cell, Path(name), url)
        with bare as one, recorded as other:
            load = Load(one, other)
            rounds = [
                load.ask(variants, clients=1, seconds=UNBOUNDED, requests=len(variants))
                for _ in range(ROUNDS_ALONE)
            ]
            loaded = load.ask(variants, clients=CLIENTS, seconds=seconds, requests=UNBOUNDED)
            counters = list(other.counters().values())
        every = [*rounds, loaded]
        judged = judge(
            store,
            variants,
            [[_asked(one) for one in some["asked"]] for some in rounds],
            [_asked(one) for one in loaded["asked"]],
            sum(item["dropped"] for item in counters),
        )
        logs = {path.name: path.read_text(errors="replace") for path in Path(name).glob("*.log")}
    return {
        **cell._asdict(),
        "planned": round(seconds),
        "seconds": round(loaded["seconds"], 1),
        "requests": len(loaded["asked"]) + loaded["broken"],
        "alone": sum(len(some["asked"]) for some in rounds),
        "different": sum(some["different"] for some in every),
        "broken": sum(some["broken"] for some in every),
        "texts": [text for some in every for text in some["texts"]][:10],
        "failures": [failure for item in counters for failure in item["failures"]],
        "unflushed": sum(not item["flushed"] for item in counters),
        "tracebacks": sum(
            log.count("Traceback") for name, log in logs.items() if name.startswith("recorded.")
        ),
        **asdict(judged),
    }


def _asked(item: list[Any]) -> Asked:
    index, mark, trace_id, status = item
    return index, mark, trace_id, status


def grow(application: str, worker: str, url: str, requests: int) -> dict[str, Any]:
    """Return the memory of a bare and a recorded server over many requests.

    Of 20 requests 19 go to the smallest endpoint, one to the repaired discovery.
    """
    mixed = [item for one in variants_of("v2/discovery") for item in (*[SMALLEST] * 19, one)]
    cell = Cell(application, worker, "v2/discovery")
    with tempfile.TemporaryDirectory(prefix="queryscope-load-") as name:
        bare, recorded, store = pair(cell, Path(name), url)
        with bare as one, recorded as other:
            load = Load(one, other)
            pids = load.pids()
            results = [load.ask(mixed, clients=CLIENTS, seconds=UNBOUNDED, requests=WARM_UP)]
            readings = [(one.rss_kib(pids[0]), other.rss_kib(pids[1]))]
            started = time.monotonic()
            for _ in range(CHUNKS):
                results.append(
                    load.ask(mixed, clients=CLIENTS, seconds=UNBOUNDED, requests=requests // CHUNKS)
                )
                readings.append((one.rss_kib(pids[0]), other.rss_kib(pids[1])))
            seconds = time.monotonic() - started
            counters = other.counters().values()
            if load.pids() != pids:
                raise ServerError("a worker was replaced while its memory was measured")
        judged = counted(store, results, sum(item["dropped"] for item in counters))
    bare_kib, recorded_kib = (readings[-1][n] - readings[0][n] for n in (0, 1))
    return {
        "application": application,
        "worker": worker,
        "seconds": round(seconds, 1),
        "requests": sum(len(some["asked"]) + some["broken"] for some in results[1:]),
        "different": sum(some["different"] for some in results),
        "broken": sum(some["broken"] for some in results),
        "readings_kib": readings,
        "bare_mib": round(bare_kib / MIB, 1),
        "recorded_mib": round(recorded_kib / MIB, 1),
        **judged,
    }


def counted(path: Path, results: list[dict[str, Any]], dropped: int) -> dict[str, int]:
    """Return how many Traces were stored, dropped or lost, without a look into them."""
    known = {trace_id for some in results for _, _, trace_id, _ in some["asked"]}
    store = Store(path, max_mib=UNBOUNDED)
    try:
        there = {summary.id for summary in store.list(limit=2**31)}
    finally:
        store.close()
    return {
        "recorded": len(known),
        "stored": len(known & there),
        "dropped": dropped,
        "lost": len(known) - len(known & there) - dropped,
        "strange": len(there - known),
    }


class Results:
    """What came out so far, in a file that is whole at any time."""

    def __init__(self, path: Path, markdown: Path | None) -> None:
        """Go on from a file that is there."""
        self._path = path
        self._markdown = markdown
        self._lock = threading.Lock()
        self.data: dict[str, Any] = {"cells": {}, "memory": {}, "errors": {}}
        if path.exists():
            self.data = json.loads(path.read_text())
        self.data["about"] = about()

    def add(self, kind: str, name: str, found: Any) -> None:
        """Put a result in place of an earlier one, and write everything."""
        with self._lock:
            if kind != "errors":
                self.data["errors"].pop(name, None)
            self.data[kind][name] = found
            self._path.parent.mkdir(parents=True, exist_ok=True)
            draft = self._path.with_suffix(".draft")
            draft.write_text(json.dumps(self.data, indent=1))
            draft.replace(self._path)
            if self._markdown is not None:
                self._markdown.write_text(page.markdown(self.data))
        print(f"{datetime.now(UTC):%H:%M:%S} {name}: {page.short(found)}", flush=True)


def about() -> dict[str, Any]:
    """Return what the page says of the circumstances."""
    names = ("Django", "SQLAlchemy", "gunicorn", "gevent", "uvicorn")
    return {
        "day": f"{datetime.now(UTC):%Y-%m-%d}",
        "python": platform.python_version(),
        "versions": {name: version(name) for name in names},
        "cores": os.cpu_count(),
        "clients": CLIENTS,
        "locations": LOCATIONS,
        "rtt_ms": RTT_MS,
        "settings": SETTINGS,
        "pool": LEGACY_POOL,
        "commit": commit(),
        "all": [cell.name for cell in cells()],
    }


def commit() -> str:
    """Return the commit that is measured, as the environment or git says."""
    named = os.environ.get("LOAD_COMMIT")
    if named:
        return named
    command = ["git", "rev-parse", "--short", "HEAD"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip()


def one_pass(results: Results, chosen: list[Cell], urls: dict[str, str], options: Any) -> None:
    """Measure cells, several at a time, and write down each."""

    def one(cell: Cell) -> None:
        try:
            results.add("cells", cell.name, measure(cell, urls[cell.application], options.seconds))
        except Exception as error:  # noqa: BLE001 - the other cells run all the same
            results.add("errors", cell.name, f"{type(error).__name__}: {error}"[-4_000:])

    each(one, chosen, options.jobs)


def each(call: Callable[[Any], None], items: list[Any], jobs: int) -> None:
    """Call a function for each item, several at a time; interrupted, end those under way."""
    with ThreadPoolExecutor(jobs) as workers:
        try:
            list(workers.map(call, items))
        except BaseException:
            workers.shutdown(wait=False, cancel_futures=True)
            raise


def main() -> None:
    """Run the passes and the memory runs that were asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--seconds", default="5,60", help="seconds of each pass over all cells")
    parser.add_argument("--jobs", type=int, default=1, help="cells at a time")
    parser.add_argument("--memory", type=int, default=100_000, help="requests of a memory run")
    parser.add_argument("--memory-workers", default=",".join(WORKERS), help="worker kinds of it")
    parser.add_argument("--json", type=Path, default=ROOT / ".queryscope" / "load.json")
    parser.add_argument("--markdown", type=Path)
    parser.add_argument("--only", default="", help="only cells whose name contains this")
    options = parser.parse_args()
    results = Results(options.json, options.markdown)
    passes = [float(text) for text in options.seconds.split(",") if text]
    with tempfile.TemporaryDirectory(prefix="queryscope-load-data-") as name:
        urls = databases(Path(name))
        chosen = [cell for cell in cells() if options.only in cell.name]
        for seconds in passes:
            options.seconds = seconds
            one_pass(results, chosen, urls, options)
        if options.memory:
            runs = list(product(options.memory_workers.split(","), SEEDS))

            def one(run: tuple[str, str]) -> None:
                worker, application = run
                key = f"{application} · {worker} · memory"
                try:
                    found = grow(application, worker, urls[application], options.memory)
                    results.add("memory", key, found)
                except Exception as error:  # noqa: BLE001 - the other runs go on
                    results.add("errors", key, f"{type(error).__name__}: {error}"[-4_000:])

            each(one, runs, options.jobs)


if __name__ == "__main__":
    main()
