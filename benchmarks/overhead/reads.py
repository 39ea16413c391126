"""What read tracking costs a request that serialises many instances of one query.

    python benchmarks/overhead/reads.py [--rows 1000] [--processes 5] [--rounds 20]

Processes without queryscope, with full recording, and with full recording and read tracking answer
in turn, in shuffled order: where reads are tracked the classes themselves are changed, so that the
bare request has to come from a process of its own. The ratios are of CPU time, each the median of
its pairs; what is printed is the middle of several sets of fresh processes.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any

from pairs import middle, ratio
from processes import CPU, lockstep, started

VARIANTS = {"bare": ("plain", "bare"), "full": ("full", "recorded"), "reads": ("reads", "recorded")}
REQUESTS = (
    ("django", "rows"),
    ("django", "serialized"),
    ("django", "books"),
    ("sqlalchemy", "rows"),
    ("sqlalchemy", "books"),
)
BOOKS = 100
"""Statements of the request that asks for each row apart."""
ROWS = 1_000
"""Instances of a request that asks for many at once."""


def one_set(framework: str, path: str, folder: Path, rounds: int, layout: int) -> dict[str, float]:
    """Return the ratios of full recording without and with read tracking to the bare request."""
    with ExitStack() as stack:
        python = Path(sys.executable)
        processes = {
            name: (
                stack.enter_context(started(python, f"{framework}-{kind}", folder, layout)),
                what,
            )
            for name, (kind, what) in VARIANTS.items()
        }
        samples = lockstep(processes, path, rounds)
    columns = {name: [float(row[CPU]) for row in samples[name]] for name in VARIANTS}
    return {
        "bare_us": median(columns["bare"]) / 1e3,
        "full": ratio(columns["full"], columns["bare"]),
        "reads": ratio(columns["reads"], columns["bare"]),
    }


def measure(folder: Path, sets: int, rounds: int, rows: int = ROWS) -> dict[str, Any]:
    """Return for each request, such as ``django /rows/1000``, the Middle of each ratio."""
    found: dict[str, Any] = {}
    for framework, view in REQUESTS:
        path = f"/{view}/{BOOKS if view == 'books' else rows}"
        print(f"{framework} {path}: reads tracked", file=sys.stderr, flush=True)
        known = [one_set(framework, path, folder, rounds, layout) for layout in range(1, sets + 1)]
        found[f"{framework} {path}"] = {
            name: middle([row[name] for row in known]) for name in known[0]
        }
    return found


def main() -> int:
    """Measure, and print a line for each request."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rows", type=int, default=ROWS, help="instances of one request")
    parser.add_argument("--processes", type=int, default=5, help="sets of fresh processes")
    parser.add_argument("--rounds", type=int, default=20, help="requests of each process")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = measure(Path(folder), chosen.processes, chosen.rounds, chosen.rows)
    for request, row in found.items():
        shown = (
            f"{name} {value.show(0 if name == 'bare_us' else 3)}" for name, value in row.items()
        )
        print(f"{request:30}", *shown, sep="  ")
    return 0


if __name__ == "__main__":
    sys.exit(main())
