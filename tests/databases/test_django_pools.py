"""psycopg's pool under Django: asked, waited, got and returned, and what is judged on it."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from contextlib import ExitStack
from dataclasses import replace

import psycopg
import psycopg_pool
import pytest
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.db import OperationalError, connections, transaction
from django.db.backends.postgresql.base import DatabaseWrapper
from django.test import AsyncRequestFactory, RequestFactory
from psycopg_pool.pool import WaitingClient

from queryscope import runtime
from queryscope.detectors.registry import judge_all
from queryscope.django import hooks
from queryscope.trace import guard
from queryscope.trace.events import Origin
from queryscope.trace.scope import ACTIVE
from tests.databases.aliases import aliases, hooked, make_genres
from tests.databases.configured import django_settings
from tests.databases.servers import postgresql
from tests.databases.views import LEFT
from tests.django.library.models import Genre
from tests.django.recorded import here, recorded

PATCHED = (
    (DatabaseWrapper, "get_new_connection"),
    (DatabaseWrapper, "_close"),
    (WaitingClient, "wait"),
)
DEADLINE_S = 10


@pytest.fixture(scope="module")
def pooled_alias(django_db_blocker):
    """An alias with a pool of two, and the genres in its database."""
    options = {"pool": {"min_size": 2, "max_size": 2, "timeout": 5}}
    with aliases(django_db_blocker, pooled=django_settings(postgresql(), OPTIONS=options)):
        make_genres("pooled")
        connections["pooled"].close()
        yield connections["pooled"].pool


@pytest.fixture
def pool(pooled_alias, django_db_blocker):
    """The pool, with the hooks in; nothing may be out when a test ends, and no hook may fail."""
    token = ACTIVE.set(None)
    guard.clear()
    hooks.install(full=False)
    with django_db_blocker.unblock():
        yield pooled_alias
        connections["pooled"].close()
    hooks.uninstall()
    ACTIVE.reset(token)
    assert guard.failures() == ()
    until(lambda: pooled_alias.get_stats()["pool_available"] >= 2)


def ask():
    """Ask for the genres on this thread's connection."""
    return len(Genre.objects.using("pooled").all())


def in_thread(work):
    """Start a thread that closes its connection when it has done the work."""

    def run():
        try:
            work()
        finally:
            connections["pooled"].close()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def until(condition):
    """Wait for a condition; give up after the deadline."""
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def judged(run):
    """Return the findings on a run by their codes, as if it had been a request."""
    return {finding.code: finding for finding in judge_all(replace(run.trace, kind="request"))}


def test_checkout_from_question_to_return(pool):
    """A checkout has its pool, the line that asked, its session; statements name it."""
    with recorded("light") as run:
        assert ask() == 5
        connections["pooled"].close()
    (checkout,) = run.trace.checkouts
    assert (checkout.pool, checkout.size, checkout.max_overflow) == ("pooled", 2, 0)
    assert checkout.asked_ns <= checkout.got_ns <= checkout.returned_ns
    assert (checkout.waited_ns, checkout.held_before, checkout.holders) == (0, 0, ())
    assert (checkout.error, checkout.overflow, checkout.session) == (None, False, 0)
    assert here(checkout.opener, "Genre.objects.using")
    (query,) = run.queries
    assert (query.checkout, query.connection) == (0, checkout.connection)
    assert checkout.busy_ns == query.duration_ns
    assert (run.trace.sessions[0].framework, query.rows) == ("django", 5)


def test_each_closing_is_a_checkout_more(pool):
    """A connection closed and asked for again is two checkouts, of two sessions."""
    with recorded("light") as run:
        for _ in range(2):
            ask()
            connections["pooled"].close()
    assert [query.checkout for query in run.queries] == [0, 1]
    assert [checkout.session for checkout in run.trace.checkouts] == [0, 1]
    assert all(checkout.returned_ns is not None for checkout in run.trace.checkouts)


def hold_all(pool, recordings):
    """Start two threads that hold the pool's connections until the event that is returned."""
    out, go_on = threading.Barrier(3), threading.Event()

    def hold():
        with recorded("light") as run:
            ask()  # the holder
            out.wait(DEADLINE_S)
            go_on.wait(DEADLINE_S)
        recordings.append(run)

    threads = [in_thread(hold), in_thread(hold)]
    out.wait(DEADLINE_S)
    return threads, go_on


def test_waiting_names_the_holders(pool):
    """A thread that finds the pool empty waits, and is told who holds its connections."""
    others = []
    threads, go_on = hold_all(pool, others)

    def let_go():
        until(lambda: pool.get_stats()["requests_waiting"])
        time.sleep(0.03)  # what is waited, not a synchronisation
        go_on.set()

    asking = threading.Thread(target=let_go)
    with recorded("light") as run:
        asking.start()
        ask()
        connections["pooled"].close()
    for thread in (*threads, asking):
        thread.join()
    (checkout,) = run.trace.checkouts
    assert 30_000_000 <= checkout.waited_ns <= checkout.got_ns - checkout.asked_ns
    assert checkout.connect_ns == 0
    assert run.trace.pool_wait_ns == checkout.waited_ns
    assert len(checkout.holders) == 2
    assert all("test_django_pools.py" in holder for holder in checkout.holders)
    assert all(any(f"thread {t.ident}" in line for line in checkout.holders) for t in threads)
    assert [other.trace.checkouts[0].waited_ns for other in others] == [0, 0]
    finding = judged(run)["QS504"]
    assert (finding.evidence["capacity"], finding.evidence["timed_out"]) == (2, 0)


def test_timeout_is_an_error_of_the_checkout(pool, monkeypatch):
    """Who waits in vain gets psycopg's time-out from Django, and the checkout says so."""
    monkeypatch.setattr(pool, "timeout", 0.05)
    threads, go_on = hold_all(pool, [])
    with recorded("light") as run, pytest.raises(OperationalError, match="couldn't get"):
        ask()
    go_on.set()
    for thread in threads:
        thread.join()
    (checkout,) = run.trace.checkouts
    assert checkout.error.startswith("psycopg_pool.PoolTimeout: couldn't get a connection")
    assert (checkout.got_ns, checkout.returned_ns, checkout.connection) == (None, None, None)
    assert checkout.waited_ns >= 40_000_000
    assert run.trace.queries == ()
    finding = judged(run)["QS504"]
    assert (finding.severity, finding.evidence["timed_out"]) == ("critical", 1)
    with recorded("light") as run:
        assert ask() == 5
    assert run.queries[0].checkout == 0


def test_connection_that_is_opened_is_not_waited_for(django_db_blocker):
    """The pool's first connection is connect time, and one more within its size, too."""
    options = {"pool": {"min_size": 0, "max_size": 2, "timeout": 5}}
    configured = django_settings(postgresql(), OPTIONS=options)
    with aliases(django_db_blocker, fresh=configured), hooked(), recorded("light") as run:
        connections["fresh"].ensure_connection()
        connections["fresh"].close()
        connections["fresh"].ensure_connection()
    first, second = run.trace.checkouts
    assert 0 < first.connect_ns <= first.got_ns - first.asked_ns
    assert second.connect_ns == 0
    assert (first.waited_ns, second.waited_ns) == (0, 0)
    assert first.pool_number == second.pool_number


def test_server_that_is_not_there_is_no_pool_wait(django_db_blocker):
    """A pool that cannot open a connection gives none: an error, but nobody waited for a holder."""
    options = {"pool": {"min_size": 0, "max_size": 2, "timeout": 0.2}, "connect_timeout": 1}
    configured = django_settings("postgresql://nobody@127.0.0.1:1/nothing", OPTIONS=options)
    with aliases(django_db_blocker, dead=configured), hooked(), recorded("light") as run:
        with pytest.raises(OperationalError):
            connections["dead"].ensure_connection()
        marks = vars(connections["dead"])
        assert "_queryscope_info" in marks
        hooks.uninstall()
        assert "_queryscope_info" not in marks
    (checkout,) = run.trace.checkouts
    assert checkout.error.startswith("psycopg_pool.PoolTimeout")
    assert (checkout.waited_ns, checkout.got_ns) == (0, None)
    assert checkout.connect_ns > 0
    assert "QS504" not in judged(run)


def test_health_check_is_no_statement(pool, django_db_blocker):
    """What the pool asks to see whether a connection lives is its own; a dead one is replaced."""
    options = {"pool": {"min_size": 1, "max_size": 1, "timeout": 30}}
    checked = django_settings(postgresql(), OPTIONS=options, CONN_HEALTH_CHECKS=True)
    with aliases(django_db_blocker, checked=checked):
        genres = Genre.objects.using("checked")
        with recorded("light") as run:
            genres.count()
            process = connections["checked"].connection.info.backend_pid
            connections["checked"].close()
            with psycopg.connect(postgresql(), autocommit=True) as other:
                other.execute("SELECT pg_terminate_backend(%s, 1000)", [process])
            genres.count()
            connections["checked"].close()
    assert [query.error for query in run.trace.queries] == [None, None]
    dead, alive = run.trace.checkouts
    assert (dead.waited_ns, alive.waited_ns) == (0, 0)
    assert alive.connect_ns > 0


@pytest.mark.filterwarnings("ignore:.*was deleted while still open:ResourceWarning")
def test_connection_that_a_thread_took_with_it_has_a_holder(pool, django_db_blocker):
    """A thread that ends without closing empties the pool for good: who waits is told its line."""
    options = {"pool": {"min_size": 1, "max_size": 1, "timeout": 0.05}}
    lost = django_settings(postgresql(), OPTIONS=options)
    with aliases(django_db_blocker, lost=lost):

        def take():
            with recorded("light"):
                Genre.objects.using("lost").count()

        connections["lost"].pool.open(wait=True)
        thread = threading.Thread(target=take)
        thread.start()
        thread.join()
        gc.collect()
        with recorded("light") as run, pytest.raises(OperationalError):
            Genre.objects.using("lost").count()
    (checkout,) = run.trace.checkouts
    assert checkout.waited_ns > 0
    (holder,) = checkout.holders
    assert "test_django_pools.py" in holder
    assert f"thread {thread.ident}" in holder


def nested(alias, barrier=None):
    """Hold a connection, and ask for a second one of the same pool meanwhile."""
    with recorded("light") as run, ExitStack() as stack:
        stack.callback(connections[alias].close)
        Genre.objects.using(alias).count()  # the first one
        if barrier is not None:
            barrier.wait(DEADLINE_S)
        second = connections[alias].copy()
        stack.callback(second.close)
        with second.cursor() as cursor:  # the second one
            cursor.execute("SELECT 1")
    return run


def together(alias, count, then=lambda: True):
    """Run ``nested`` in threads that each have their first connection; return their errors."""
    barrier = threading.Barrier(count)
    errors = []

    def run():
        try:
            nested(alias, barrier)
            errors.append(None)
        except OperationalError as error:
            errors.append(type(error))

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    try:
        until(then)
    finally:
        for thread in threads:
            thread.join()
    return errors


def test_deadlock_bound_is_the_one_that_happens(pool, django_db_blocker):
    """Two connections of a pool of two: one request at a time passes, two wait for each other.

    With one connection more, which QS505 calls the safe capacity, both pass.
    """
    narrow, wide = (
        django_settings(
            postgresql(), OPTIONS={"pool": {"min_size": n, "max_size": n, "timeout": s}}
        )
        for n, s in ((2, 1), (3, 30))
    )
    with aliases(django_db_blocker, narrow=narrow, wide=wide):
        alone = nested("narrow")
        assert [checkout.held_before for checkout in alone.trace.checkouts] == [0, 1]
        finding = judged(alone)["QS505"]
        assert finding.evidence["held_at_once"] == 2
        assert finding.evidence["deadlock_from_requests"] == 2
        assert finding.evidence["safe_capacity_for_those"] == 3
        assert "connection" in finding.mend.how
        stats = connections["narrow"].pool.get_stats
        errors = together("narrow", 2, lambda: stats()["requests_waiting"] == 2)
        assert OperationalError in errors  # the other may get what the first gives back
        assert together("wide", 2) == [None, None]


def test_checkout_of_an_outer_trace_is_known_inside(pool):
    """A connection that was out already has a checkout in each Trace that uses it."""
    ask()
    with recorded("light") as outer:
        ask()
        with recorded("light") as inner:
            ask()
        ask()
        connections["pooled"].close()
    for run in (outer, inner):
        (checkout,) = run.trace.checkouts
        assert checkout.asked_ns < 0
        assert [query.checkout for query in run.queries] == [0] * len(run.queries)
        assert not {"QS502", "QS503", "QS505"} & set(judged(run))
    assert [len(outer.queries), len(inner.queries)] == [2, 1]
    assert outer.trace.checkouts[0].returned_ns is not None
    assert inner.trace.checkouts[0].returned_ns is None


def ask_on_a_connection_that_dies():
    """Ask twice in a transaction, with the connection gone in between."""
    with transaction.atomic("pooled"):
        ask()
        process = connections["pooled"].connection.info.backend_pid
        with psycopg.connect(postgresql(), autocommit=True) as other:
            other.execute("SELECT pg_terminate_backend(%s, 1000)", [process])
        ask()


def test_transaction_and_its_loss_within_a_pool(pool):
    """Transactions end as without a pool; a connection that dies inside is given back."""
    with recorded("light") as run:
        with transaction.atomic("pooled"):
            ask()
        with pytest.raises(OperationalError):
            ask_on_a_connection_that_dies()
        assert ask() == 5
        connections["pooled"].close()
    assert [item.outcome for item in run.trace.transactions] == ["commit", "closed"]
    assert [query.checkout for query in run.queries] == [0, 0, 0, 1]
    assert [query.error is not None for query in run.queries] == [False, False, True, False]
    assert all(checkout.returned_ns is not None for checkout in run.trace.checkouts)


@pytest.fixture
def serve(pool, settings, tmp_path, monkeypatch):
    """Serve a request as a WSGI server does, which closes the response; return what is said."""
    monkeypatch.chdir(tmp_path)
    settings.ROOT_URLCONF = "tests.databases.views"
    settings.MIDDLEWARE = ["queryscope.django.Middleware"]
    settings.QUERYSCOPE = {"mode": "production", "console": False}

    def answer(path):
        handler = WSGIHandler()
        response = handler(RequestFactory().get(path).environ, lambda *_: None)
        body = b"".join(response)
        response.close()
        found = runtime.get()
        assert found.flush()
        (judgement,) = found.ring.newest(1)
        return body, judgement.trace, {item.code: item for item in judgement.findings}

    yield answer
    runtime.reset()


def test_request_gives_its_connection_back(serve):
    """Django returns the connection when the response is closed: within the Trace, and no leak."""
    body, trace, findings = serve("/fine/")
    assert (body, findings) == (b"5", {})
    (checkout,) = trace.checkouts
    assert 0 <= checkout.asked_ns < checkout.got_ns < checkout.returned_ns <= trace.duration_ns


def test_request_under_asgi_gives_its_connections_back(serve, pool):
    """An async view's statements run in a thread of Django's, which returns what it took."""

    async def answer():
        handler = ASGIHandler()
        scope = AsyncRequestFactory()._base_scope(path="/awaited/", method="GET")
        sent = []

        async def receive():
            if not received:
                received.append(True)
                return {"type": "http.request", "body": b"", "more_body": False}
            return await asyncio.Event().wait()

        async def send(message):
            sent.append(message)

        received = []
        await handler(scope, receive, send)
        return sent

    sent = asyncio.run(answer())
    assert sent[0]["status"] == 200
    found = runtime.get()
    assert found.flush()
    (judgement,) = found.ring.newest(1)
    checkouts = judgement.trace.checkouts
    assert [query.rows for query in judgement.trace.queries] == [1, 1, 1]
    assert None not in {query.checkout for query in judgement.trace.queries}
    assert "QS503" not in {finding.code for finding in judgement.findings}
    assert all(checkout.returned_ns is not None for checkout in checkouts)


def test_idle_pooled_connection_is_found(serve):
    """A view that goes on with something else holds its connection: the line to close it after."""
    _, _, findings = serve("/idle/")
    (finding,) = findings.values()
    assert finding.code == "QS502"
    assert finding.evidence["idle_ms"] >= 60
    assert finding.mend.write == 'connections["pooled"].close()'
    assert here(Origin((finding.mend.at,)), "# the last statement")


def test_thread_that_keeps_its_connection_is_a_leak(serve):
    """Django closes the connections of its own threads; a view's own thread must close its own."""
    try:
        _, trace, findings = serve("/thread/")
    finally:
        for connection in LEFT:
            connection.inc_thread_sharing()
            connection.close()
        LEFT.clear()
    assert trace.checkouts[0].returned_ns is None
    finding = findings["QS503"]
    assert finding.severity == "critical"
    assert finding.mend.write == 'connections["pooled"].close()'


def is_ours(owner, name):
    """Tell whether a function of Django's or psycopg's is ours now."""
    return "/queryscope/" in vars(owner)[name].__code__.co_filename


def test_nothing_is_patched_without_a_pool(django_db_blocker, monkeypatch):
    """Where no alias has a pool, Django's backend and psycopg's pool stay as they are."""
    monkeypatch.delitem(connections.settings, "pooled", raising=False)
    with aliases(django_db_blocker, plain=django_settings(postgresql())), hooked():
        assert not any(is_ours(owner, name) for owner, name in PATCHED)
        with recorded("light") as run:
            connections["plain"].ensure_connection()
    assert run.trace.checkouts == ()


def test_uninstall_restores_pool_and_backend(pool):
    """What is patched is taken out again; a connection that is out goes back as ever."""
    assert all(is_ours(owner, name) for owner, name in PATCHED)
    ask()
    hooks.uninstall()
    assert not any(is_ours(owner, name) for owner, name in PATCHED)
    assert [name for name in vars(pool) if "queryscope" in name] == []
    assert ask() == 5
    hooks.install(full=False)
    with recorded("light") as run:
        ask()
        connections["pooled"].close()
    (checkout,) = run.trace.checkouts
    assert checkout.asked_ns < 0 < checkout.returned_ns


def test_pool_of_the_application_is_its_own(pool):
    """Connections out of a pool that the application made itself are not recorded."""
    with (
        psycopg_pool.ConnectionPool(postgresql(), min_size=1, max_size=1) as own,
        recorded("light") as run,
        own.connection() as connection,
    ):
        assert connection.execute("SELECT 1").fetchone() == (1,)
    assert (run.trace.queries, run.trace.checkouts) == ((), ())
