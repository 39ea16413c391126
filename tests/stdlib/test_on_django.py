"""Django's connections in threads: each thread has its own, and each is a session."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from queryscope.trace.scope import recording
from tests.django.recorded import hooked, recorded

__all__ = ["hooked"]

TIMEOUT_S = 10


def ask(number=1):
    """Send one statement on this thread's own connection, and close that."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT %s", [number])
            return cursor.fetchone()[0]
    finally:
        # Django's own close() leaves a database in memory open, and Python 3.13 warns of it.
        BaseDatabaseWrapper.close(connections["default"])


def test_connection_of_a_thread_is_a_session_of_its_own(db, hooked):
    """Its statement counts to the request; the session names the thread that used it."""
    with recorded(hooked) as run, connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        thread = threading.Thread(target=ask)
        thread.start()
        thread.join(TIMEOUT_S)
    assert [query.statement for query in run.queries] == ["SELECT 1", "SELECT %s"]
    here, there = run.trace.sessions
    assert here.threads == (threading.get_ident(),)
    assert there.threads == (run.queries[1].thread,)
    assert here.threads != there.threads
    assert {session.databases for session in run.trace.sessions} == {("default",)}


def test_workers_of_a_pool_serve_one_request_after_another(db, hooked):
    """Each request has the statements of its own tasks, in sessions of its own."""
    with ThreadPoolExecutor(2) as pool:
        for times in (3, 4):
            with recorded(hooked) as run:
                assert list(pool.map(ask, range(times), timeout=TIMEOUT_S)) == list(range(times))
            assert len(run.queries) == times
            numbers = {query.session for query in run.queries}
            assert numbers == {session.number for session in run.trace.sessions}
            assert run.trace.orphans == 0


def test_connection_shared_by_two_threads_names_both(db, hooked):
    """Django allows it where ``inc_thread_sharing`` was called."""
    shared = connections["default"]
    shared.inc_thread_sharing()

    def other():
        with shared.cursor() as cursor:
            cursor.execute("SELECT 2")

    try:
        with recorded(hooked) as run, shared.cursor() as cursor:
            cursor.execute("SELECT 1")
            thread = threading.Thread(target=other)
            thread.start()
            thread.join(TIMEOUT_S)
    finally:
        shared.dec_thread_sharing()
    (session,) = run.trace.sessions
    assert session.threads == tuple(query.thread for query in run.queries)
    assert len(session.threads) == 2


@pytest.mark.parametrize("late", [True, False])
def test_thread_that_outlives_its_request_is_an_orphan(db, hooked, late):
    """What it sends after the end is counted, not kept; what it sent before is kept."""
    go, sent = threading.Event(), threading.Event()

    def work():
        ask(1)
        sent.set()
        go.wait(TIMEOUT_S)
        if late:
            ask(2)

    with recorded(hooked) as run:
        thread = threading.Thread(target=work)
        thread.start()
        assert sent.wait(TIMEOUT_S)
        recorder = recording()
    go.set()
    thread.join(TIMEOUT_S)
    assert len(run.queries) == 1
    assert (0 if recorder.late is None else recorder.late.orphans) == int(late)
