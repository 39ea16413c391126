"""gevent: what a greenlet does belongs to who spawned it, and nothing else changes."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from queryscope.store.file import Store

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT_S = 120

pytestmark = pytest.mark.skipif(find_spec("gevent") is None, reason="gevent is not installed")


def child(name, *arguments, patched=True):
    """Run one scenario in a process of its own; it must end well and print no warning."""
    code = f"import sys; from tests.gevent import scenarios; scenarios.{name}(*sys.argv[1:])"
    if patched:
        code = f"from gevent import monkey; monkey.patch_all(); {code}"
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == "", done.stderr


@pytest.mark.parametrize("patched", [True, False])
def test_greenlets_record_into_the_trace_that_spawns_them(patched):
    """``spawn``, ``spawn_later``, pools, groups and all their maps, nested ones too."""
    child("greenlets_record", patched=patched)


def test_patched_threads_record_into_the_trace_that_starts_them():
    """Threads, timers, executors and gevent's own native threads; workers serve others later."""
    child("patched_threads_record")


@pytest.mark.parametrize("patched", [True, False])
def test_own_context_variables_stay_where_they_were(patched):
    """A greenlet sees none of its spawner's variables, and a context of its own is kept."""
    child("own_variables_stay", patched=patched)


@pytest.mark.parametrize("patched", [True, False])
def test_greenlet_that_outlives_its_request_is_an_orphan(patched):
    """Its late statement is counted; while it waits, nothing of the Trace is alive."""
    child("outliving_greenlets_are_orphans", patched=patched)


@pytest.mark.parametrize("patched", [True, False])
def test_function_called_and_spawned_has_two_chains(patched):
    """A greenlet's stack ends with its function; the same function called by a view goes on."""
    child("direct_calls_keep_their_chain", patched=patched)


def test_cursor_method_spawned_by_itself_is_recorded():
    """``gevent.spawn(cursor.execute, sql)``: no frame of the user's, and no failure of ours."""
    child("cursor_methods_may_be_spawned", patched=False)


@pytest.mark.parametrize("patched", [True, False])
def test_errors_time_outs_and_kills_pass(patched):
    """A greenlet's error is the user's own, and ``gevent.Timeout`` and ``kill`` work."""
    child("errors_and_results_pass", patched=patched)


def test_uninstall_restores_every_patched_object():
    """Once for all hooks; ``install`` and ``install_loaded`` both find gevent loaded."""
    child("install_is_undone")


def test_writer_made_before_monkey_patching_goes_on():
    """Its locks were the system's; once threads are greenlets they are gevent's."""
    child("writer_made_before_the_patching_goes_on", patched=False)


def test_server_of_gevent_keeps_requests_apart(tmp_path):
    """20 clients at a time on pywsgi: each Trace has its own five statements, all are stored."""
    child("server_keeps_requests_apart", tmp_path)


def test_writer_writes_what_waits_when_the_process_ends(tmp_path):
    """The writer's thread is a greenlet there; it ends without an error."""
    child("writer_ends_with_the_process", tmp_path)
    store = Store(tmp_path / "traces.db")
    try:
        assert sorted(item.name for item in store.list()) == [f"block {n}" for n in range(5)]
    finally:
        store.close()


def test_installing_does_not_import_gevent():
    """Who does not use gevent does not pay for it."""
    code = "import sys, queryscope; queryscope.install(); print('gevent' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=TIMEOUT_S, check=True
    )
    assert done.stdout == "False\n"
