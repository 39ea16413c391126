"""How often the detectors are right: every scenario, at each size, on each database.

``make bench-detection`` runs all of it and writes docs/reference/detection.md. A narrow run:
``python -m benchmarks.detection.run --orm django --database sqlite --size 6 --only NAME``.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.detection import page, peers, runs
from benchmarks.detection.scenario import SIZES
from benchmarks.detection.verdicts import counted, verdicts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.detection.verdicts import Verdict

ORMS = ("django", "sqlalchemy")
WORKERS = int(os.environ.get("DETECTION_WORKERS", "2"))
"""Processes at a time."""
DATABASES = ("sqlite", "postgresql", "mariadb")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, print, and write the page if one is named; return 1 if a scenario did not run."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--orm", action="append", choices=ORMS)
    parser.add_argument("--database", action="append", choices=DATABASES)
    parser.add_argument("--size", action="append", type=int, choices=SIZES)
    parser.add_argument("--only", action="append", default=[], help="a scenario; all that is said")
    parser.add_argument(
        "--keep", type=Path, help="folder of results; those in it are not run again"
    )
    parser.add_argument("--markdown", type=Path, help="the page to write")
    parser.add_argument("--peers", type=Path, help="where the peers' results are kept, as JSON")
    parser.add_argument("--run-peers", action="store_true", help="install and run the peers first")
    chosen = parser.parse_args(arguments)
    found, missing = everything(
        chosen.orm or ORMS, chosen.database or DATABASES, chosen.size or SIZES, chosen.only,
        chosen.keep,
    )  # fmt: skip
    _print(found, missing)
    kept = chosen.peers or peers.KEPT
    if chosen.run_peers:
        kept.write_text(json.dumps(peers.all_results(), indent=1) + "\n", encoding="utf-8")
    if chosen.markdown:
        others = json.loads(kept.read_text(encoding="utf-8")) if kept.exists() else []
        chosen.markdown.write_text(page.page(found, missing, others), encoding="utf-8")
        print(f"{chosen.markdown}: written")
    return int(any(item.error for item in found))


def everything(
    orms: Sequence[str],
    databases: Sequence[str],
    sizes: Sequence[int],
    only: Sequence[str] = (),
    keep: Path | None = None,
) -> tuple[list[Verdict], list[str]]:
    """Return all verdicts, and which databases did not answer.

    Args:
        orms: Which.
        databases: Which.
        sizes: Rows.
        only: Names of scenarios; empty for all.
        keep: Where each worker's result is written, and read if it is there.
    """

    def work(what: tuple[str, str]) -> list[runs.Worked | str]:
        # One after the other: all sizes of an ORM share a database.
        database, orm = what
        try:
            return [_worked(orm, database, size, only, keep) for size in sizes]
        except runs.NotThereError as error:
            return [str(error)]
        finally:
            print(f"{orm} on {database}: done", file=sys.stderr, flush=True)

    with ThreadPoolExecutor(WORKERS) as pool:
        pairs = [(database, orm) for database in databases for orm in orms]
        results = [one for found in pool.map(work, pairs) for one in found]
    worked = [one for one in results if not isinstance(one, str)]
    for one in worked if only else ():
        _show(one)
    missing = dict.fromkeys(one for one in results if isinstance(one, str))
    return [item for one in worked for item in verdicts(one)], list(missing)


def _worked(
    orm: str, database: str, size: int, only: Sequence[str], keep: Path | None
) -> runs.Worked:
    kept = keep and keep / f"{orm}-{database}-{size}.json"
    if kept and kept.exists():
        return runs.Worked.of(json.loads(kept.read_text(encoding="utf-8")))
    worked = runs.work(orm, database, [size], only=only)
    if kept:
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(json.dumps(worked.written()), encoding="utf-8")
    return worked


def _show(worked: runs.Worked) -> None:
    """Print all that was said about each scenario."""
    for line in worked.lines:
        print(f"\n{worked.orm}.{line['name']} with {line['size']} rows on {worked.database}")
        for code, severity, text, places in line["reports"]:
            at = ", ".join(f"{Path(file).name}:{first}" for file, first, _ in places)
            print(f"  {code} {severity}: {text} [{at}]")
        if line["error"]:
            print(line["error"])


def _print(found: Sequence[Verdict], missing: Sequence[str]) -> None:
    total, codes = counted(found)
    for cells in (page.HEAD, *page.rows(codes), page.row("all", total)):
        columns = zip(cells, page.WIDTHS, strict=True)
        print("  ".join(cell.ljust(width) for cell, width in columns))
    for item in found:
        if item.losses and (item.found is not False or page.has_detector(item.scenario.code)):
            scenario, lost = item.scenario, ", ".join(item.losses)
            where = f"{item.size} rows, {item.database}"
            print(f"{scenario.key} ({scenario.kind} {scenario.code}), {where}: {lost} {item.error}")
    for reason in missing:
        print(f"left out: {reason}")


if __name__ == "__main__":
    raise SystemExit(main())
