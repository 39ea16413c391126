"""Measures how right the pool prophet is, and writes the page: ``make bench-prophet``."""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import sqlalchemy
from sqlalchemy import create_engine
from sqlalchemy.exc import SQLAlchemyError

from benchmarks.prophet import deadlocks
from benchmarks.prophet.load import (
    Run,
    Workload,
    engine_for,
    loaded,
    nested_sessions,
    one_session,
)
from queryscope.prophet.forecast import Forecast, Options, Rate, forecast

URL = os.environ.get(
    "QUERYSCOPE_POSTGRESQL_URL", "postgresql://postgres@127.0.0.1:5432/postgres"
).replace("postgresql:", "postgresql+psycopg:")
CASES = (
    (Workload("one session", 8, one_session), (0.8, 0.6)),
    (Workload("nested sessions", 12, nested_sessions), (0.6,)),
)
MEAN_WITHIN, P95_WITHIN = 0.20, 0.35
FIRST = 300
"""Requests from which the rate of a workload is found, before any run."""
SIMULATED = 60_000


PAGE = """\
# How right the pool prophet is

Written by `make bench-prophet`; do not edit. [The pool prophet](../explanation/pool.md) says what
it does.

Measured on {day} on {database}, SQLAlchemy {version}, a real `QueuePool`, on a machine with
{cores} cores that did other work too: {busy} programs were ready to run on average while it was measured.

## Waits

{arrivals} requests come at random, each in a thread of its own, and are recorded; {runs} times over, after
one such run that is only recorded. The waits of each run are foretold from the holding times of the
run before it, and from nothing else of it; what counts is the median of the {runs} forecasts beside the
median of the {runs} runs. Holding times are those of this machine at that time, which is why they are
taken anew before each run; the waits are what the pool's queue made the requests wait. Times are
milliseconds. Wanted up to a utilisation of 0.8: the mean within {mean}, the 95th percentile within
{p95}.

| workload | utilisation | requests/s | mean foretold | measured | off | p95 foretold | measured | off | mean of M/M/c | within |
|---|---|---|---|---|---|---|---|---|---|---|
{rows}

The workload of one session holds its connection 30 to 80 ms, in one of five requests 200 to 300 ms.
That of nested sessions holds one for 30 to 100 ms, and in one of three requests a second one beside
it. M/M/c, the textbook's bound, knows neither how holding times really differ nor that a request
may hold two.

Each run, foretold and seen:

{each}

## Deadlocks

For {points} points (T requests at once, C connections each, a pool of S) one request was recorded,
and the prophet asked whether T of them can deadlock. Then T real threads took connections of a real
pool in the worst order: whether one of them gave up. **{right} of {points} verdicts were right.**
"""  # noqa: E501 - a row of a table is one line


class Row(NamedTuple):
    """One utilisation of one workload: what was foretold of each run, and what it showed."""

    workload: str
    size: int
    foretold: tuple[Rate, ...]
    runs: tuple[Run, ...]

    def told(self, name: str) -> float:
        """Return the median of what was foretold: ``mean_s`` or ``p95_s``."""
        return statistics.median(getattr(rate.waits, name) for rate in self.foretold)

    def seen(self, name: str) -> float:
        """Return the median of what the runs showed."""
        return statistics.median(getattr(run.waits, name) for run in self.runs)

    def off(self, name: str) -> float:
        """Return how far the forecast is off, as a share of what was seen."""
        return abs(self.told(name) - self.seen(name)) / self.seen(name)

    @property
    def utilisation(self) -> float:
        """How much of the pool was used, in the middle one of the runs."""
        return statistics.median(rate.utilisation for rate in self.foretold)


def main() -> None:
    """Run everything and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--markdown", type=Path, help="where to write the page")
    parser.add_argument("--arrivals", type=int, default=5_000, help="requests of a run")
    parser.add_argument("--runs", type=int, default=5, help="runs at each utilisation")
    parser.add_argument("--rows", type=int, help="only so many rows of the table")
    options = parser.parse_args()
    points = deadlocks.grid()
    foretold, seen = deadlocks.foretold(points), deadlocks.happened(points)
    right = sum(foretold[point] == seen[point] for point in points)
    print(f"deadlocks: {right} of {len(points)} right", flush=True)
    rows: list[Row] = []
    cases = [(workload, share) for workload, shares in CASES for share in shares]
    with tempfile.TemporaryDirectory() as folder:
        url, database = _database(Path(folder))
        for workload, utilisation in cases[: options.rows]:
            rows.append(_row(url, workload, utilisation, options.arrivals, options.runs))
            print(_line(rows[-1]), flush=True)
    page = _page(rows, right, len(points), database, options)
    if options.markdown is not None:
        options.markdown.write_text(page, encoding="utf-8")
    else:
        print(page)


def _database(folder: Path) -> tuple[str, str]:
    """Return (URL, name) of PostgreSQL where it answers, else of a SQLite file."""
    try:
        engine = create_engine(URL, connect_args={"connect_timeout": 3})
        with engine.connect() as connection:
            version = ".".join(map(str, connection.dialect.server_version_info or ()))
        engine.dispose()
    except SQLAlchemyError:
        return f"sqlite:///{folder / 'load.db'}", "SQLite in a file"
    return URL, f"PostgreSQL {version} on loopback"


def _row(url: str, workload: Workload, utilisation: float, arrivals: int, runs: int) -> Row:
    engine = engine_for(url, workload.size)
    try:
        # The rate from a short run at little load, and again from a whole one at that load.
        first = loaded(engine, workload, 20.0, FIRST, 99)
        rate = utilisation * _forecast(first).admitted_per_second
        before = loaded(engine, workload, rate, arrivals, 98)
        rate = utilisation * _forecast(before).admitted_per_second
        foretold, done = [], []
        for seed in range(1, runs + 1):
            foretold.append(_forecast(before, rate).rates[0])
            before = loaded(engine, workload, rate, arrivals, seed)
            done.append(before)
            told, seen = foretold[-1].waits, before.waits
            print(
                f"  {workload.name} {foretold[-1].utilisation:.2f}: mean {told.mean_s * 1e3:.1f} / "
                f"{seen.mean_s * 1e3:.1f}, p95 {told.p95_s * 1e3:.1f} / {seen.p95_s * 1e3:.1f}, "
                f"late {before.late_s * 1e3:.0f} ms",
                flush=True,
            )
    finally:
        engine.dispose()
    return Row(workload.name, workload.size, tuple(foretold), tuple(done))


def _forecast(run: Run, *rates: float) -> Forecast:
    found = forecast(run.history, Options(rates=rates, arrivals=SIMULATED if rates else 1))
    if found is None:
        raise SystemExit("The pool has no bound.")
    return found


def _line(row: Row) -> str:
    textbook = statistics.median(rate.textbook.mean_s for rate in row.foretold)
    return " | ".join(
        [
            f"| {row.workload}, {row.size} connections",
            f"{row.utilisation:.2f}",
            f"{row.foretold[0].per_second:.0f}",
            f"{row.told('mean_s') * 1e3:.1f}",
            f"{row.seen('mean_s') * 1e3:.1f}",
            f"{row.off('mean_s'):.0%}",
            f"{row.told('p95_s') * 1e3:.1f}",
            f"{row.seen('p95_s') * 1e3:.1f}",
            f"{row.off('p95_s'):.0%}",
            f"{textbook * 1e3:.1f}",
            f"{_verdict(row)} |",
        ]
    )


def _verdict(row: Row) -> str:
    right = row.off("mean_s") <= MEAN_WITHIN and row.off("p95_s") <= P95_WITHIN
    return "yes" if right else "no"


def _runs(row: Row) -> str:
    pairs = [
        f"{rate.waits.mean_s * 1e3:.1f} / {run.waits.mean_s * 1e3:.1f}"
        for rate, run in zip(row.foretold, row.runs, strict=True)
    ]
    tails = [
        f"{rate.waits.p95_s * 1e3:.1f} / {run.waits.p95_s * 1e3:.1f}"
        for rate, run in zip(row.foretold, row.runs, strict=True)
    ]
    late = max(run.late_s for run in row.runs) * 1e3
    return (
        f"- {row.workload} at {row.utilisation:.2f}: mean {', '.join(pairs)}; p95 "
        f"{', '.join(tails)}; the latest request came {late:.0f} ms late"
    )


def _page(
    rows: list[Row], right: int, points: int, database: str, options: argparse.Namespace
) -> str:
    return PAGE.format(
        day=f"{datetime.now(UTC):%Y-%m-%d}",
        database=database,
        cores=os.cpu_count(),
        busy=f"{os.getloadavg()[2]:.0f}",
        version=sqlalchemy.__version__,
        arrivals=f"{options.arrivals:,}",
        runs=options.runs,
        mean=f"{MEAN_WITHIN:.0%}",
        p95=f"{P95_WITHIN:.0%}",
        rows="\n".join(map(_line, rows)),
        each="\n".join(map(_runs, rows)),
        points=points,
        right=right,
    )


if __name__ == "__main__":
    main()
