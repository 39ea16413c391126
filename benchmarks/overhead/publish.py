"""Measure with each interpreter and each database, and write the page and its picture.

    python benchmarks/overhead/publish.py PAGE [--python PATH ...] [--postgresql URL]
                                          [--results FOLDER] [--write-only] [OPTIONS OF run.py]

The first combination, this interpreter with SQLite, is measured and shown in full; the others with
half of the processes, without "installed but idle" and read tracking. What was measured stays in
the folder of results, one JSON file a combination, so that a run that is cut off loses only what it
was at; with ``--write-only`` the page is written from what is there.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

import chart
import databases
import page

HERE = Path(__file__).parent
FULL, PART = ("--processes", "12"), ("--processes", "6", "--no-idle", "--no-reads")


def combinations(pythons: list[Path], postgresql: str) -> dict[str, list[str]]:
    """Return the command of each combination by the name of its result."""
    found = {}
    for place, python in enumerate(pythons):
        for database in ("", postgresql) if postgresql else ("",):
            first = not place and not database
            command = [str(python), str(HERE / "run.py"), *(FULL if first else PART)]
            if database:
                command += ["--database", database]
            found[f"{place}-{'postgresql' if database else 'sqlite'}"] = command
    return found


def main() -> None:
    """Measure what was asked for, then write both files from all results."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("page", type=Path)
    parser.add_argument("--python", type=Path, action="append", default=[], help="another one")
    parser.add_argument("--postgresql", default=databases.SERVER, help="URL of a server")
    parser.add_argument("--results", type=Path, default=HERE / "results")
    parser.add_argument("--write-only", action="store_true", help="measure nothing")
    chosen, options = parser.parse_known_args()
    if not databases.answers(chosen.postgresql):
        print(f"no PostgreSQL answers at {chosen.postgresql}: SQLite alone")
        chosen.postgresql = ""
    wanted = combinations([Path(sys.executable), *chosen.python], chosen.postgresql)
    if not chosen.write_only:
        chosen.results.mkdir(parents=True, exist_ok=True)
        for name, command in wanted.items():
            result = chosen.results / f"{name}.json"
            result.unlink(missing_ok=True)
            print(f"== {name}", flush=True)
            subprocess.run([*command, "--json", str(result), *options], check=True)
    paths = [chosen.results / f"{name}.json" for name in wanted]  # the one shown in full first
    results = [page.read(path) for path in paths if path.exists()]
    picture = chosen.page.with_suffix(".svg")
    picture.write_text(chart.svg(results[0]), encoding="utf-8")
    chosen.page.write_text(page.markdown(results, picture.name), encoding="utf-8")
    print(f"wrote {chosen.page} and {picture}")


if __name__ == "__main__":
    main()
