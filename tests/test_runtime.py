"""The runtime: where a finished Trace goes, and what closing it leaves behind."""

from __future__ import annotations

import time
from types import SimpleNamespace

import pytest

from queryscope.runtime import Runtime
from queryscope.settings import Settings
from queryscope.store import writer
from queryscope.store.file import Store


def test_close_writes_what_waits_and_leaves_nothing_open(tmp_path):
    """The writer's last batch goes to the store that is closed after it, not to another one."""
    path = tmp_path / "traces.db"
    runtime = Runtime(Settings(store=True, store_path=str(path)), "tests")
    recorder = runtime.recorder("block", "last")
    recorder.open()
    recorder.close()
    runtime.finished(recorder)
    runtime.close()
    assert runtime._store is None
    store = Store(path)
    try:
        assert store.latest().trace.name == "last"
    finally:
        store.close()


@pytest.mark.parametrize(("mode", "waits"), [("development", False), ("production", True)])
def test_trace_waits_for_company_in_production_alone(mode, waits, monkeypatch):
    """What ends a development server, nothing catches: a Trace that waits then is lost."""
    monkeypatch.setattr(writer, "time", SimpleNamespace(monotonic=lambda: 5.0))  # no time goes by
    runtime = Runtime(Settings(store=False, console=False), mode)
    recorder = runtime.recorder("block", "alone")
    recorder.open()
    recorder.close()
    runtime.finished(recorder)
    deadline = time.monotonic() + (0.7 if waits else 30)
    while not runtime.ring.newest(1) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert bool(runtime.ring.newest(1)) is not waits
    runtime.close()
    assert len(runtime.ring.newest(2)) == 1
