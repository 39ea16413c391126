"""How often the judge is right: rewrites that break something, and rewrites that do not.

``make bench-verifier`` runs all of it and writes docs/reference/verifier.md. A narrow run:
``python -m benchmarks.verifier.run --project flask-sqlite --only lost --keep results.jsonl``.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.verifier import page
from benchmarks.verifier.projects import ASKED, PROJECTS, REQUESTS
from benchmarks.verifier.rewrites import Rewrite, rewrites

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from benchmarks.verifier.projects import Project

JOBS = int(os.environ.get("VERIFIER_JOBS", "2"))
"""Verifications at a time."""
LIMIT_S = 300.0
OUTCOMES = {0: "proved", 1: "refused", 2: "usage", 3: "inconclusive"}
ANSWERS = {
    "sqlalchemy": "import models, views\n"
    "call = lambda view, who, asked: getattr(views, view)(models.Session(), who, asked)\n",
    "django": "import django\ndjango.setup()\nfrom shop import views\n"
    "call = lambda view, who, asked: getattr(views, view)(who, asked)\n",
}
"""What makes a view callable by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What was said of one rewrite.

    Attributes:
        key: Of the project, the rewrite and its text.
        project: Its name.
        view: Which.
        name: Of the rewrite.
        kind: What is wrong, ``""`` for a right one.
        outcome: The verdict, ``usage`` where there was none.
        reason: Of the verdict.
        counterexample: Whether a request with both answers is shown.
        got: The beginning of what the patched code answered to it.
        seconds: Until the verdict.
    """

    key: str
    project: str
    view: str
    name: str
    kind: str
    outcome: str
    reason: str
    counterexample: bool
    got: str
    seconds: float

    @property
    def good(self) -> bool:
        """Whether the verdict is the right one; a wrong rewrite that crashes may stay open."""
        if not self.kind:
            return self.outcome == "proved"
        return self.outcome in ("refused", "inconclusive")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, print, and write the page if one is named; return 1 if a wrong rewrite was proved."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--project", action="append", choices=[one.name for one in PROJECTS])
    parser.add_argument("--only", default="", help="a part of the name or of the kind")
    parser.add_argument("--share", type=int, default=1, help="one rewrite of so many")
    parser.add_argument("--keep", type=Path, help="results; those in it are not run again")
    parser.add_argument("--markdown", type=Path, help="the page to write")
    chosen = parser.parse_args(arguments)
    names = chosen.project or [one.name for one in PROJECTS]
    kept = _kept(chosen.keep)
    with tempfile.TemporaryDirectory(prefix="verifier-") as scratch:
        work = list(_work(names, Path(scratch), chosen.only, chosen.share))
        with ThreadPoolExecutor(JOBS) as pool:
            found = list(
                pool.map(lambda one: _judged(*one, Path(scratch), kept, chosen.keep), work)
            )
    wrong = [one for one in found if one.kind and not one.good]
    for one in found:
        if not one.good:
            print(f"{one.project} {one.name} ({one.kind or 'right'}): {one.outcome}: {one.reason}")
    right = [one for one in found if not one.kind]
    print(
        f"{len(found) - len(right) - len(wrong)} of {len(found) - len(right)} wrong rewrites not "
        f"proved, {sum(one.good for one in right)} of {len(right)} right ones proved"
    )
    if chosen.markdown:
        chosen.markdown.write_text(page.page(found), encoding="utf-8")
        print(f"{chosen.markdown}: written")
    return int(bool(wrong))


def _work(
    names: Sequence[str], scratch: Path, only: str, share: int
) -> Iterator[tuple[Project, Path, Rewrite]]:
    """Yield what is to be judged: right rewrites in every project, wrong ones in one of its ORM."""
    for project in PROJECTS:
        if project.name not in names:
            continue
        folder = project.make(scratch / project.name)
        original = (folder / project.views).read_text(encoding="utf-8")
        same = [one for one in PROJECTS if one.orm == project.orm]
        for at, rewrite in enumerate(rewrites(project.orm, original, answers(project, folder))):
            if not rewrite.right and same[at % len(same)] is not project:
                continue
            number = int(hashlib.sha256(f"{project.name} {rewrite.name}".encode()).hexdigest(), 16)
            if (only in rewrite.name or only in rewrite.kind) and number % share == 0:
                yield project, folder, rewrite


def answers(project: Project, folder: Path) -> dict[str, tuple[str, str]]:
    """Return what the original answers to the first recorded request of each view."""
    found = {}
    for view, (condition, asked, who) in ASKED.items():
        if view == "pay":  # it writes: what it answers the first time
            found[view] = (condition, "200, {'status': 'paid', 'left': {}}")
            continue
        call = f"print(repr(call({view!r}, {who!r}, {asked!r})))"
        done = subprocess.run(
            [sys.executable, "-c", ANSWERS[project.orm] + call],
            cwd=folder,
            env={**os.environ, "DJANGO_SETTINGS_MODULE": "settings", **_told(folder)},
            capture_output=True,
            text=True,
            check=True,
        )  # fmt: skip
        found[view] = (condition, done.stdout.strip())
    return found


def _told(folder: Path) -> dict[str, str]:
    """Return the variable that names the database of a project."""
    text = (folder / "pyproject.toml").read_text(encoding="utf-8")
    return {"SHOP_DATABASE": text.partition('database = "')[2].partition('"')[0]}


def _judged(
    project: Project,
    folder: Path,
    rewrite: Rewrite,
    scratch: Path,
    kept: dict[str, Result],
    keep: Path | None,
) -> Result:
    """Return the verdict of ``queryscope verify`` on a rewrite."""
    original = (folder / project.views).read_text(encoding="utf-8")
    diff = rewrite.diff(original, project.views)
    key = hashlib.sha256(f"{project.name}\n{rewrite.name}\n{diff}".encode()).hexdigest()[:16]
    if key in kept:
        return kept[key]
    patch = scratch / f"{key}.diff"
    patch.write_text(diff, encoding="utf-8")
    report = scratch / f"{key}.json"
    store = scratch / f"{project.name}-kept" / "traces.db"
    command = [
        sys.executable, "-m", "queryscope", "--store", str(store), "verify",
        "--project", str(folder), "--patch", str(patch),
        "--format", "json", "--output", str(report),
    ]  # fmt: skip
    for request in REQUESTS[rewrite.view]:
        command += ["--request", request]
    started = time.monotonic()
    try:
        code = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False)
        said = code.stderr.strip().splitlines()[-1:]
        plain = json.loads(report.read_text(encoding="utf-8")) if report.exists() else {}
        outcome = OUTCOMES.get(code.returncode, f"exit code {code.returncode}")
    except subprocess.TimeoutExpired:
        plain, said, outcome = {}, [], "no end"
    result = Result(
        key=key,
        project=project.name,
        view=rewrite.view,
        name=rewrite.name,
        kind=rewrite.kind,
        outcome=outcome,
        reason=plain.get("reason") or " ".join(said),
        got=json.dumps((plain.get("counterexample") or {}).get("got"))[:500],
        counterexample=bool(plain.get("counterexample")),
        seconds=round(time.monotonic() - started, 1),
    )
    if keep is not None:
        with keep.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(asdict(result)) + "\n")
    return result


def _kept(file: Path | None) -> dict[str, Result]:
    if file is None or not file.exists():
        return {}
    lines = file.read_text(encoding="utf-8").splitlines()
    found = [Result(**json.loads(line)) for line in lines]
    return {one.key: one for one in found}


if __name__ == "__main__":
    raise SystemExit(main())
