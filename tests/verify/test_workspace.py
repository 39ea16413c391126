"""Copies of the tree, and what dead runs leave."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from queryscope.verify.workspace import PREFIX, RunFolder, copy_tree, files_of, sweep, tree_digest


def names(root, **more):
    """Return the files of a tree as text."""
    return [str(path) for path in files_of(root, **more)]


@pytest.fixture
def tree(tmp_path):
    """Return a tree with caches, an environment and a database."""
    root = tmp_path / "tree"
    for name in ("a.py", "app/b.py", "app/__pycache__/b.pyc", ".git/HEAD", "env/pyvenv.cfg",
                 "env/lib/x.py", "shop.db", "shop.db-wal", "node_modules/x.js"):  # fmt: skip
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name, encoding="utf-8")
    return root


def git(root, *words):
    """Run git in a tree."""
    subprocess.run(["git", *words], cwd=root, check=True, capture_output=True)


def test_caches_and_environments_stay_behind(tree):
    """Without git, what no application needs is left out, and so is the database."""
    (tree / ".git" / "HEAD").unlink()
    (tree / ".git").rmdir()
    assert names(tree, without=[tree / "shop.db"]) == ["a.py", "app/b.py"]


def test_untracked_and_changed_files_come_along(tree):
    """In a repository ignored and deleted files stay behind, what is not committed does not."""
    (tree / ".git" / "HEAD").unlink()
    git(tree, "init", "-q")
    (tree / ".gitignore").write_text("env/\nnode_modules/\n__pycache__/\n*.db*\n.env\n", "utf-8")
    git(tree, "add", "a.py", "app/b.py")
    (tree / "app" / "b.py").unlink()
    (tree / "new.py").write_text("", encoding="utf-8")
    (tree / ".env").write_text("A=1", encoding="utf-8")
    assert names(tree) == [".gitignore", "a.py", "new.py"]
    assert ".env" in names(tree, extra=[".env"])


def test_copy_is_no_link_to_the_original(tree, tmp_path):
    """Writing into the copy does not change the original, also not through a link."""
    (tree / "absolute").symlink_to(tree / "a.py")
    (tree / "relative").symlink_to("app/b.py")
    copy = tmp_path / "copy"
    files = [Path(name) for name in ("a.py", "app/b.py", "absolute", "relative")]
    before = tree_digest(tree, files)
    copy_tree(tree, files, copy)
    for name in ("a.py", "absolute", "relative"):
        with (copy / name).open("w") as file:
            file.write("changed")
    assert tree_digest(tree, files) == before
    assert (copy / "app" / "b.py").read_text(encoding="utf-8") == "changed"


def test_run_folder_goes_with_its_run(tmp_path):
    """Nothing is left after a run."""
    with RunFolder(tmp_path) as folder:
        (folder.path / "x").mkdir()
        assert folder.path.is_dir()
    assert list(tmp_path.iterdir()) == []


def test_killed_run_is_swept_and_a_living_one_is_not(tmp_path):
    """The next run removes what a killed one left, and leaves those alone that go on."""
    code = (
        "import sys, time; from pathlib import Path;"
        "from queryscope.verify.workspace import RunFolder;"
        "folder = RunFolder(Path(sys.argv[1])); print(folder.path, flush=True); time.sleep(600)"
    )
    runs = [
        subprocess.Popen([sys.executable, "-c", code, tmp_path], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    dead, alive = (Path(run.stdout.readline().strip()) for run in runs)
    runs[0].kill()
    runs[0].wait()
    long_ago = time.time() - 60
    for folder in (dead, alive):
        os.utime(folder, (long_ago, long_ago))
    try:
        assert sweep(tmp_path) == [dead]
        assert [path.name for path in tmp_path.glob(f"{PREFIX}*")] == [alive.name]
    finally:
        runs[1].kill()
        for run in runs:
            run.wait()
            run.stdout.close()
