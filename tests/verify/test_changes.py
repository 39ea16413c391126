"""Changes that git knows: the working tree against HEAD, and what a branch changed."""

from __future__ import annotations

import os
import subprocess

import pytest

from queryscope.verify import patch
from queryscope.verify.changes import ChangeError, of_branch, of_working_tree
from queryscope.verify.workspace import copy_tree, files_of, put_back
from tests.verify.shop import bytes_of


def git(root, *words):
    """Run git in a repository whose commits have an author."""
    who = (
        "-c",
        "user.name=a",
        "-c",
        "user.email=a@example.com",
        "-c",
        "commit.gpgsign=false",
        "-c",
        "maintenance.auto=false",
    )  # it goes on behind a commit, and writes
    subprocess.run(["git", *who, *words], cwd=root, check=True, capture_output=True)


@pytest.fixture
def root(tmp_path):
    """Return a repository with one commit, in which the project is a folder."""
    root = tmp_path / "repository" / "project"
    root.mkdir(parents=True)
    for name, text in {"a.py": "a = 1\n", "b.py": "b = 1\n", "gone.py": "c = 1\n"}.items():
        (root / name).write_text(text, encoding="utf-8")
    (root.parent / "README").write_text("read\n", encoding="utf-8")
    git(root.parent, "init", "-q", "-b", "main")
    git(root.parent, "add", ".")
    git(root.parent, "commit", "-q", "-m", "one")
    return root


def write(root, **files):
    """Write Python files."""
    for name, text in files.items():
        (root / f"{name}.py").write_text(text, encoding="utf-8")


def before_and_after(root, change, tmp_path):
    """Return the Python files of both sides: the source of a change, and with it applied."""
    sides = []
    tree = tmp_path / "copy"
    copy_tree(root, files_of(root), tree)
    put_back(change.base, tree)
    proposal = patch.from_diff(change.diff, tree, origin="change")
    for _ in range(2):
        sides.append({file.stem: file.read_text("utf-8") for file in sorted(tree.glob("*.py"))})
        if len(sides) == 1:
            patch.apply(proposal, tree)
    return sides


def test_working_tree_without_a_change_is_said(root):
    """There is nothing to verify, and untracked files are named."""
    with pytest.raises(ChangeError, match="as HEAD has it"):
        of_working_tree(root)
    write(root, new="n = 1\n")
    with pytest.raises(ChangeError, match=r"does not track: new\.py"):
        of_working_tree(root)


def test_change_outside_the_project_is_none(root):
    """The repository may hold more than the project."""
    (root.parent / "README").write_text("changed\n", encoding="utf-8")
    with pytest.raises(ChangeError, match="as HEAD has it"):
        of_working_tree(root)


def test_working_tree_is_a_change_of_head(root, tmp_path):
    """Changed, made, deleted, staged or not; what is not tracked is on both sides, and said."""
    write(root, a="a = 2\n", made="m = 1\n", untracked="u = 1\n")
    (root / "gone.py").unlink()
    git(root, "add", "made.py")
    before = bytes_of(root.parent)
    change = of_working_tree(root)
    both = before_and_after(root, change, tmp_path)
    assert both == [
        {"a": "a = 1\n", "b": "b = 1\n", "gone": "c = 1\n", "untracked": "u = 1\n"},
        {"a": "a = 2\n", "b": "b = 1\n", "made": "m = 1\n", "untracked": "u = 1\n"},
    ]
    assert change.notes[0].startswith("untracked, so on both sides: untracked.py;")
    assert bytes_of(root.parent) == before


def test_git_is_asked_without_a_write(root):
    """Files of another time would let git refresh its index: it does not."""
    write(root, a="a = 2\n")
    os.utime(root / "b.py", (1_000_000_000, 1_000_000_000))
    before = bytes_of(root.parent)
    of_working_tree(root)
    assert bytes_of(root.parent) == before


def test_branch_is_a_change_of_the_tree_as_it_is(root, tmp_path):
    """What main changed since is no part of it, and neither is what is not committed."""
    git(root, "checkout", "-q", "-b", "fix")
    write(root, a="a = 2\n")
    (root.parent / "README").write_text("fixed\n", encoding="utf-8")
    git(root, "commit", "-q", "-a", "-m", "two")
    git(root, "checkout", "-q", "main")
    write(root, b="b = 2\n")
    git(root, "commit", "-q", "-a", "-m", "three")
    write(root, gone="c = 2\n")
    before = bytes_of(root.parent)
    change = of_branch(root, "fix")
    both = before_and_after(root, change, tmp_path)
    assert both == [
        {"a": "a = 1\n", "b": "b = 2\n", "gone": "c = 2\n"},
        {"a": "a = 2\n", "b": "b = 2\n", "gone": "c = 2\n"},
    ]
    assert change.origin == "branch fix"
    assert change.notes == ("left out, as it lies outside the project: README",)
    assert bytes_of(root.parent) == before


@pytest.mark.parametrize(
    ("name", "reason"),
    [("nobody", "no branch or commit 'nobody'"), ("--all", "'--all'"), ("main", "changes nothing")],
)
def test_branch_that_says_nothing_is_said(root, name, reason):
    """It is not there, or has nothing of its own."""
    with pytest.raises(ChangeError, match=reason):
        of_branch(root, name)


def test_folder_without_git_is_said(tmp_path, monkeypatch):
    """A patch is asked for instead."""
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    for ask in (of_working_tree, lambda root: of_branch(root, "fix")):
        with pytest.raises(ChangeError, match="--patch"):
            ask(tmp_path)
