"""What ``queryscope verify`` is given: the working tree, a branch; and what a killed run leaves."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from queryscope.cli.main import main
from tests.verify.shop import GOOD, IMPORT, a_diff, bytes_of, make_shop
from tests.verify.test_changes import git

WAIT_S = 120


@pytest.fixture
def shop(tmp_path, monkeypatch):
    """Return the shop in a repository with one commit; runs put their folders beside it."""
    runs = tmp_path / "runs"
    runs.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(runs))
    root = make_shop(tmp_path / "shop")
    git(root, "init", "-q", "-b", "main")
    (root / ".gitignore").write_text("*.db\n__pycache__/\n", encoding="utf-8")
    git(root, "add", ".")
    git(root, "commit", "-q", "-m", "a shop")
    return root


def verify(shop, *words, requests=("/items",)):
    """Judge a change and return the exit code and the report for programs."""
    report = shop.parent / "report.json"
    words = [*words, "--project", str(shop), "--output", str(report), "--variants", "3"]
    for one in requests:
        words += ["--request", one]
    store = str(shop.parent / "store" / "traces.db")
    code = main(["--store", store, "verify", *words, "--format", "json"])
    return code, json.loads(report.read_text(encoding="utf-8")) if report.exists() else None


def mend(shop, *changes):
    """Make changes in the tree itself."""
    file = shop / "shop.py"
    text = file.read_text(encoding="utf-8")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    file.write_text(text, encoding="utf-8")


def test_working_tree_is_proved_against_head(shop, capsys):
    """Without a patch the change is what is not committed; the tree stays as it is."""
    mend(shop, GOOD, IMPORT)
    (shop / "notes.txt").write_text("mine", encoding="utf-8")
    before = bytes_of(shop)
    code, found = verify(shop)
    assert (code, found["outcome"]) == (0, "proved"), found["reason"]
    assert found["proposal"]["origin"].startswith("working tree against HEAD ")
    assert found["before"]["GET /items"]["statements"] == 4
    assert found["after"]["GET /items"]["statements"] == 1
    assert "untracked, so on both sides: notes.txt" in capsys.readouterr().err
    assert bytes_of(shop) == before


def test_branch_is_refused_in_a_dirty_tree(shop):
    """What the branch changed is judged on the tree as it is, which stays so."""
    git(shop, "checkout", "-q", "-b", "worse")
    mend(shop, ('"stock": item.stock or 0', '"stock": item.stock'), GOOD, IMPORT)
    git(shop, "commit", "-q", "-a", "-m", "worse")
    git(shop, "checkout", "-q", "main")
    mend(shop, ('"""A shop."""', '"""My shop."""'))
    before = bytes_of(shop)
    code, found = verify(shop, "--branch", "worse")
    assert (code, found["outcome"]) == (1, "refused")
    assert found["counterexample"]["differences"][0]["path"].endswith(".stock")
    assert bytes_of(shop) == before


def test_branch_that_does_not_fit_the_tree_is_wrong_use(shop, capsys):
    """Somebody changed the same line, and did not commit it."""
    git(shop, "checkout", "-q", "-b", "fix")
    mend(shop, GOOD, IMPORT)
    git(shop, "commit", "-q", "-a", "-m", "fix")
    git(shop, "checkout", "-q", "main")
    mend(shop, (GOOD[0], "select(Item)"))
    assert verify(shop, "--branch", "fix") == (2, None)
    assert "branch fix" in (said := capsys.readouterr().err)
    assert "does not fit" in said


def test_nothing_to_verify_is_wrong_use(shop, capsys):
    """A clean tree, an unknown branch: exit code 2, with the reason."""
    assert verify(shop) == (2, None)
    assert "no change to verify" in capsys.readouterr().err
    assert verify(shop, "--branch", "fxi") == (2, None)
    assert "no branch or commit 'fxi'" in capsys.readouterr().err
    with pytest.raises(SystemExit) as stop:
        verify(shop, "--branch", "fix", "--patch", "fix.diff")
    assert stop.value.code == 2


def test_killed_run_leaves_the_tree_and_is_swept(shop):
    """SIGKILL while both sides are asked: nothing of the user's has changed, nothing goes on."""
    mend(shop, GOOD, IMPORT)
    before = bytes_of(shop)
    runs = shop.parent / "runs"
    words = ["verify", "--project", str(shop), "--request", "/items", "--variants", "200"]
    run = subprocess.Popen(
        [sys.executable, "-m", "queryscope", "--store", str(shop.parent / "s" / "t.db"), *words],
        env={**os.environ, "TMPDIR": str(runs)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        waited(lambda: any(file.stat().st_size > 100 for file in runs.glob("*/*.results")))
    finally:
        run.send_signal(signal.SIGKILL)
        run.wait()
    assert bytes_of(shop) == before
    (left,) = runs.iterdir()
    waited(lambda: not working_in(left))
    long_ago = time.time() - 60
    os.utime(left, (long_ago, long_ago))
    code, _ = verify(shop, "--patch", written(shop, a_diff(shop, ("def ann", "# she\ndef ann"))))
    assert code == 1
    assert list(runs.iterdir()) == []
    assert bytes_of(shop) == before
    ledger = (shop.parent / "s" / "ledger.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["state"] for line in ledger] == ["begun"]


def written(shop, diff):
    """Write a diff beside the shop and return its name."""
    patch = shop.parent / "change.diff"
    patch.write_text(diff, encoding="utf-8")
    return str(patch)


def waited(ready):
    """Wait until something is so."""
    end = time.monotonic() + WAIT_S
    while not ready():
        assert time.monotonic() < end
        time.sleep(0.05)


def working_in(folder):
    """Return the processes that were started for a run."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes()
        except OSError:
            continue
        if os.fsencode(folder) in words:
            found.append(int(process.name))
    return found
