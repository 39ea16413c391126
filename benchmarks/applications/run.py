"""Detection in applications that we did not write: two sizes of data, and an oracle of its own.

``make bench-applications`` runs all of it and writes docs/reference/applications.md. A narrow run:
``python -m benchmarks.applications.run --only hyperkitty``. What is wanted: every group of
statements that grows with the rows is found, no warning of repetition without one, and recording
changes no answer. The status is 1 where that is not met.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.applications import page
from benchmarks.applications.environments import ROOT, environment, variables, versions
from benchmarks.applications.outcome import Outcome, outcome
from benchmarks.applications.site import SUBJECTS
from benchmarks.overhead.peers import NotInstalledError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.applications.site import Subject

SIZES = (5, 20)
"""Rows of what a page lists: n and 4 n."""
WATCHES = ("bare", "light", "full")
KEPT = ROOT / ".queryscope" / "applications"
WORKER_TIMEOUT_S = 3_000


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, print, and write the page if one is named; return 1 if what is wanted is not met."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", action="append", choices=[item.name for item in SUBJECTS])
    parser.add_argument("--judge", action="store_true", help="what an earlier run has recorded")
    parser.add_argument("--markdown", type=Path, help="the page to write")
    chosen = parser.parse_args(arguments)
    found: list[Outcome] = []
    left_out: dict[str, str] = {}
    for subject in SUBJECTS:
        if chosen.only and subject.name not in chosen.only:
            continue
        try:
            found.append(_tried(subject, again=not chosen.judge))
        except (NotInstalledError, WorkerError) as error:
            left_out[subject.name] = str(error)
    for item in found:
        print("\n".join(page.told(item)))
    for name, reason in left_out.items():
        print(f"{name}: {reason}")
    if chosen.markdown:
        chosen.markdown.write_text(page.page(found, left_out), encoding="utf-8")
        print(f"{chosen.markdown}: written")
    return int(bool(left_out) or not all(item.is_met for item in found))


class WorkerError(Exception):
    """An application did not run; the text has its last words."""


def _tried(subject: Subject, *, again: bool) -> Outcome:
    """Record an application at both sizes, and judge."""
    python = environment(subject)
    if again:
        shutil.rmtree(KEPT / subject.name, ignore_errors=True)
    lines: dict[tuple[int, str], list[dict[str, Any]]] = {}
    printed: dict[str, list[str]] = {watch: [] for watch in WATCHES}
    for size in SIZES:
        seeded = KEPT / subject.name / str(size)
        if again:
            _work(python, subject, size, "seed", seeded)
        for watch in WATCHES:
            folder = KEPT / subject.name / f"{size}-{watch}"
            if again:
                # Some pages write: each process gets the rows as they were.
                shutil.copytree(seeded, folder)
                _work(python, subject, size, watch, folder)
            text = (folder / "lines.jsonl").read_text(encoding="utf-8")
            lines[size, watch] = [json.loads(line) for line in text.splitlines()]
            printed[watch] += (folder / "printed.txt").read_text(encoding="utf-8").splitlines()
    return outcome(subject, versions(python, subject), lines, printed, SIZES)


def _work(python: Path, subject: Subject, size: int, watch: str, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    order = {
        "site": subject.name, "size": size, "watch": watch, "folder": str(folder),
        "output": str(folder / "lines.jsonl"),
    }  # fmt: skip
    print(f"{subject.name} with {size} rows: {watch}", file=sys.stderr, flush=True)
    done = subprocess.run(
        [python, "-m", "benchmarks.applications.worker", json.dumps(order)],
        capture_output=True,
        text=True,
        check=False,
        env=variables(),
        cwd=folder,
        timeout=WORKER_TIMEOUT_S,
    )
    printed = (done.stdout + done.stderr).replace(str(folder), "FOLDER")
    (folder / "printed.txt").write_text(printed, encoding="utf-8")
    if done.returncode:
        words = done.stderr.strip().splitlines()[-1:] or [f"status {done.returncode}"]
        raise WorkerError(f"{watch} with {size} rows: {words[0]}")


if __name__ == "__main__":
    raise SystemExit(main())
