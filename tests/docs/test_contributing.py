"""CONTRIBUTING: its detector is one, and its test passes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

from tests.docs.markdown import ROOT, blocks
from tests.docs.reader import check_target, environment

CONTRIBUTING = ROOT / "CONTRIBUTING.md"
LEFT_OUT = shutil.ignore_patterns("__pycache__")


def test_detector_of_the_page_is_found_and_passes_its_test(tmp_path):
    """Both files, dropped into a copy of the project, are a detector with a full page."""
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=LEFT_OUT)
    (tmp_path / "tests").mkdir()
    for name in ("__init__.py", "builders.py"):
        shutil.copy(ROOT / "tests" / name, tmp_path / "tests" / name)
    shutil.copytree(ROOT / "tests" / "detectors", tmp_path / "tests" / "detectors", ignore=LEFT_OUT)
    titles = []
    for block in blocks(CONTRIBUTING.read_text(encoding="utf-8")):
        if block.title:
            (tmp_path / block.title).write_text(block.text, encoding="utf-8")
            titles.append(block.title)
    detector, test = titles
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-c", os.devnull, "--rootdir", str(tmp_path),
         "--import-mode=importlib", "-p", "no:cacheprovider", "-p", "no:django", "-v",
         test, "tests/detectors/test_pages.py"],
        cwd=tmp_path,
        env=environment() | {"PYTHONPATH": os.pathsep.join([str(tmp_path / "src"), str(tmp_path)])},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count(f"{test}::") == 3
    assert "[QS900]" in done.stdout
    ruff = [sys.executable, "-m", "ruff", "check", "--config", str(ROOT / "pyproject.toml")]
    checked = subprocess.run(
        [*ruff, detector, test], cwd=tmp_path, capture_output=True, encoding="utf-8", check=False
    )
    assert checked.returncode == 0, checked.stdout


def test_make_targets_of_the_page_exist():
    """Every ``make x`` that the page speaks of is there."""
    text = CONTRIBUTING.read_text(encoding="utf-8")
    found = {word.split("`")[0] for word in text.replace("\n", " ").split("make ")[1:]}
    targets = {words.split()[0] for words in found if words.split()} & {
        "test", "demo", "docs", "screenshots", "lint", "format", "types", "imports", "constraints",
    }  # fmt: skip
    assert len(targets) >= 8
    for target in targets:
        check_target(target)
