"""The project's key: one for all processes, private, and never one that can be guessed."""

from __future__ import annotations

import stat
import subprocess
import sys

import pytest

from queryscope.store.key import KEY_BYTES, project_key
from queryscope.trace import guard


@pytest.fixture
def store_path(tmp_path):
    """Return the path of a store that is not there yet; failures are counted from 0."""
    guard.clear()
    yield str(tmp_path / ".queryscope" / "traces.db")
    guard.clear()


def test_key_is_made_once(store_path, tmp_path):
    """The second use gives the same key, from a private file in a folder hidden from git."""
    key = project_key(store_path)
    assert project_key(store_path) == key
    assert len(key) == KEY_BYTES
    folder = tmp_path / ".queryscope"
    assert sorted(item.name for item in folder.iterdir()) == [".gitignore", "key"]
    assert stat.S_IMODE((folder / "key").stat().st_mode) == 0o600
    assert guard.failures() == ()


def test_processes_get_one_key(store_path):
    """Processes that start at the same time agree on one key."""
    source = "import sys; from queryscope.store.key import project_key as key\n"
    source += "sys.stdin.read(); print(key(sys.argv[1]).hex())"
    children = [
        subprocess.Popen(
            [sys.executable, "-c", source, store_path],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for _ in range(6)
    ]  # fmt: skip
    for child in children:
        child.stdin.close()
    keys = set()
    for child in children:
        with child.stdout:
            keys.add(child.stdout.read())
        assert child.wait(30) == 0
    assert keys == {project_key(store_path).hex() + "\n"}


def test_short_key_is_not_used(store_path, tmp_path):
    """A key file that was cut is left as it is, told, and a random key is used."""
    project_key(store_path)
    (tmp_path / ".queryscope" / "key").write_bytes(b"short")
    first, second = project_key(store_path), project_key(store_path)
    assert first != second
    assert b"short" not in first
    assert (tmp_path / ".queryscope" / "key").read_bytes() == b"short"
    assert "has 5 bytes instead of 32" in guard.failures()[0].error


@pytest.mark.parametrize("path", ["/dev/null/x/traces.db", "/proc/queryscope/traces.db", "a\0b/c"])
def test_place_that_cannot_be_made_costs_only_the_comparison(store_path, path):
    """Where nothing can be written a random key is used, and the failure is counted."""
    assert len(project_key(path)) == KEY_BYTES
    assert guard.failures()[0].place == "store.key"
