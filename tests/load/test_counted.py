"""Whatever becomes of a Trace is counted, Trace by Trace."""

from __future__ import annotations

import pytest

import queryscope
from queryscope import runtime


@pytest.fixture
def storing(tmp_path):
    """Return a function that puts a production runtime with a store in force."""

    def storing(path):
        settings = {"mode": "production", "store": True, "store_path": str(path)}
        return runtime.configure(settings, source="a test", debug=False)

    runtime.reset()
    yield storing
    runtime.reset()


def record(times):
    """Record some Traces and wait until each is where it goes."""
    for number in range(times):
        with queryscope.profile(f"block {number}"):
            pass
    assert runtime.get().flush()


def test_refused_batch_counts_each_trace(storing, tmp_path):
    """What a store that cannot be written refuses is as many Traces as there were."""
    found = storing(tmp_path)  # a folder, no file
    record(7)
    assert found.unstored == 7
    assert (found.writer.dropped, found.writer.failed) == (0, 0)


def test_store_that_breaks_later_counts_each_trace(storing, tmp_path):
    """So is what comes after a good store was damaged; what it took before is not counted."""
    path = tmp_path / "traces.db"
    found = storing(path)
    record(3)
    assert found.unstored == 0
    path.unlink()
    path.write_bytes(b"no database")
    record(4)
    assert found.unstored == 4
    assert "no SQLite file" in found.store_error


def test_next_trace_says_how_many_were_lost(storing, tmp_path):
    """A report names the Traces that are missing before it, each time once."""
    path = tmp_path / "traces.db"
    path.write_bytes(b"no database")
    found = storing(path)
    record(3)
    path.unlink()
    record(2)
    told = [item.trace.dropped.get("traces", 0) for item in found.ring.newest(5)]
    assert sum(told) == found.unstored == 3
    assert told[0] == 0  # the last of all has nothing new to tell
