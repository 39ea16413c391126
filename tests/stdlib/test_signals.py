"""A process that ends itself by a signal: what waits is written, and nothing else changes."""

from __future__ import annotations

import signal
import time

import pytest

from queryscope import runtime
from queryscope.stdlib import signals
from queryscope.store.file import Store
from tests.faults.child import run

DYING = """
import signal, sys, time
import queryscope
from queryscope import profile, runtime
from sqlalchemy import create_engine, text

chosen = {"store": True, "store_path": sys.argv[1] if sys.argv[1:] else "traces.db"}
found = runtime.configure(chosen, source="test", debug=False)
queryscope.install()
if BROKEN:
    found._take = lambda batch: time.sleep(60)
with profile("last words"), create_engine("sqlite://").connect() as used:
    used.execute(text("SELECT 1"))
signal.raise_signal(signal.SIGTERM)
"""


def test_process_that_ends_itself_leaves_its_traces(tmp_path):
    """By default SIGTERM ends Python at once: no ``atexit``, and the writer waits for company."""
    done = run(f"BROKEN = False\n{DYING}", cwd=tmp_path, check=False)
    assert done.returncode == -signal.SIGTERM, done.stderr
    assert done.stderr == ""
    store = Store(tmp_path / "traces.db")
    try:
        assert [item.name for item in store.list()] == ["last words"]
    finally:
        store.close()


def test_process_ends_though_nothing_can_be_written(tmp_path):
    """It ends by the same signal, after two seconds and no more."""
    began = time.monotonic()
    done = run(f"BROKEN = True\n{DYING}", cwd=tmp_path, check=False)
    assert done.returncode == -signal.SIGTERM, done.stderr
    assert time.monotonic() - began < signals.FLUSH_S + 15


def test_signal_with_a_handler_goes_straight_to_it(monkeypatch):
    """Who has a handler goes on, or ends as others do: nothing is written for it."""
    flushed, seen = [], []
    monkeypatch.setattr(runtime, "flush_waiting", flushed.append)
    before = signal.signal(signal.SIGTERM, lambda *args: seen.append(args[0]))
    signals.install()
    try:
        signal.raise_signal(signal.SIGTERM)
        with pytest.raises(OSError, match="Invalid"):
            signal.raise_signal(10_000)
    finally:
        signals.uninstall()
        signal.signal(signal.SIGTERM, before)
    assert seen == [signal.SIGTERM]
    assert flushed == []


def test_uninstall_puts_the_function_back():
    """The very object; installed twice, it is wrapped once."""
    signals.uninstall()
    original = signal.raise_signal
    signals.install()
    signals.install()
    assert signal.raise_signal.__wrapped__ is original
    signals.uninstall()
    assert signal.raise_signal is original
