"""What is kept for the next verification: whole or not there, private, bounded."""

from __future__ import annotations

import os
import stat

import pytest

from queryscope.verify import kept as keeping
from queryscope.verify.kept import Kept, key_of


@pytest.fixture
def folder(tmp_path):
    """Return a folder that is not there yet."""
    return tmp_path / ".queryscope" / "baselines"


def test_value_comes_back_to_another_run(folder):
    """By its key and no other."""
    Kept(folder).write("runs-1", {"a": [1, None, "ä"]})
    assert Kept(folder).read("runs-1") == {"a": [1, None, "ä"]}
    assert Kept(folder).read("runs-2") is None


def test_without_a_folder_nothing_is_kept():
    """Nor is anything an error."""
    kept = Kept(None)
    kept.write("runs-1", 1)
    kept.forget("runs-1")
    assert kept.read("runs-1") is None


def test_again_reads_nothing_and_replaces_what_was_there(folder):
    """So the next run has the new value."""
    Kept(folder).write("runs-1", "old")
    again = Kept(folder, again=True)
    assert again.read("runs-1") is None
    again.write("runs-1", "new")
    assert Kept(folder).read("runs-1") == "new"


@pytest.mark.parametrize(
    "harm",
    [
        lambda data: b"",
        lambda data: data[:-1],
        lambda data: data[:60] + b"\0" + data[61:],
        lambda data: data.replace(b"baseline 1\n", b"baseline 0\n"),
        lambda data: b"\n" * len(data),
    ],
    ids=["empty", "cut off", "one byte", "another format", "nothing of ours"],
)
def test_harmed_file_counts_as_none(folder, harm):
    """It is made again in its place."""
    kept = Kept(folder)
    kept.write("runs-1", ["x" * 100])
    file = folder / "runs-1"
    file.write_bytes(harm(file.read_bytes()))
    assert kept.read("runs-1") is None
    kept.write("runs-1", "new")
    assert kept.read("runs-1") == "new"


def test_answers_are_their_owner_s_and_no_repository_s(folder):
    """They hold what is in the database."""
    Kept(folder).write("runs-1", 1)
    assert stat.S_IMODE((folder / "runs-1").stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert (folder.parent / ".gitignore").read_text(encoding="ascii") == "*\n"


def test_what_was_not_used_for_longest_goes_first(folder, monkeypatch):
    """Reading counts as use."""
    monkeypatch.setattr(keeping, "MOST_FILES", 3)
    kept = Kept(folder)
    for number in range(3):
        kept.write(f"runs-{number}", number)
        os.utime(folder / f"runs-{number}", (number, number))
    assert kept.read("runs-0") == 0
    kept.write("runs-3", 3)
    assert [kept.read(f"runs-{number}") for number in range(4)] == [0, None, 2, 3]


def test_large_values_have_less_company(folder, monkeypatch):
    """The room is one for all."""
    kept = Kept(folder)
    kept.write("runs-0", 0)
    os.utime(folder / "runs-0", (1, 1))
    monkeypatch.setattr(keeping, "MOST_BYTES", 200)
    kept.write("runs-1", os.urandom(60).hex())
    assert (kept.read("runs-0"), len(kept.read("runs-1"))) == (None, 120)


def test_folder_that_cannot_be_written_keeps_nothing(tmp_path):
    """A verification does not fail for it."""
    (tmp_path / "file").write_text("", encoding="ascii")
    kept = Kept(tmp_path / "file" / "baselines")
    kept.write("runs-1", 1)
    assert kept.read("runs-1") is None


def test_key_says_what_it_is_of():
    """And follows from every fact."""
    assert key_of("runs", "a", 1) == key_of("runs", "a", 1)
    assert key_of("runs", "a", 1).startswith("runs-")
    assert len({key_of("runs", "a", 1), key_of("runs", "a", 2), key_of("healed", "a", 1)}) == 3
