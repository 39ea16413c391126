"""What the tests run in child processes; each function is one process under monkey patching.

Imported by a child after ``gevent.monkey.patch_all()``, never by a test.
"""

# The names say what is checked, and so do the tests that start these.
# ruff: noqa: D103

from __future__ import annotations

import contextvars
import gc
import os
import sys
import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from multiprocessing.pool import ThreadPool
from urllib.request import urlopen

import django
import gevent
from django.conf import settings
from django.db import connection
from flask import Flask
from gevent import monkey
from gevent.event import Event
from gevent.pool import Group, Pool
from gevent.pywsgi import WSGIServer
from gevent.threadpool import ThreadPool as NativeThreads
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session
from sqlalchemy.pool import QueuePool

import queryscope
from queryscope import adapters, profile, runtime, wsgi
from queryscope import gevent as hooks
from queryscope import stdlib as thread_hooks
from queryscope.store.writer import Writer
from queryscope.trace import guard
from queryscope.trace.facts import ConnectionInfo, clock
from queryscope.trace.freeze import freeze
from queryscope.trace.scope import active, recording
from tests.recording import opened

INFO = ConnectionInfo("default", "sqlite")
MINE = contextvars.ContextVar("mine", default="unset")
TIMEOUT_S = 10


def ask(statement="SELECT 1", parameters=None):
    """Send one statement, as a hook does, after others had their turn."""
    gevent.sleep(0)
    scope = active()
    if scope is None:
        return None
    start = clock()
    scope.recorder.add_query(start, start + 1, statement, parameters, 0, INFO, -1, None, 0)
    return scope.recorder


def installed():
    hooks.install()
    thread_hooks.install()


def end():
    assert guard.failures() == (), guard.failures()


# -- greenlets ---------------------------------------------------------------------------------


def greenlets_record():
    installed()
    pool, group = Pool(2), Group()
    with opened() as recorder:
        gevent.joinall(
            [
                gevent.spawn(ask, "SELECT 'spawn'"),
                gevent.spawn_later(0.001, ask, "SELECT 'later'"),
                pool.spawn(ask, "SELECT 'pool'"),
                group.spawn(ask, "SELECT 'group'"),
                gevent.spawn(lambda: gevent.spawn(ask, "SELECT 'nested'").get()),
            ],
            raise_error=True,
        )
        assert pool.map(ask, ["SELECT 'map'"]) == [recorder]
        assert list(pool.imap(ask, ["SELECT 'imap'"])) == [recorder]
        assert list(pool.imap_unordered(ask, ["SELECT 'imap'"])) == [recorder]
        assert pool.apply(ask, ("SELECT 'apply'",)) is recorder
        assert pool.apply_async(ask, ("SELECT 'async'",)).get() is recorder
    found = sorted(raw[3].split("'")[1] for raw in recorder.queries)
    assert found == sorted(
        ["spawn", "later", "pool", "group", "nested", "map", "imap", "imap", "apply", "async"]
    ), found
    end()


def patched_threads_record():
    installed()
    with opened() as recorder:
        thread = threading.Thread(target=ask)
        thread.start()
        thread.join(TIMEOUT_S)
        timer = threading.Timer(0.001, ask)
        timer.start()
        timer.join(TIMEOUT_S)
        with ThreadPoolExecutor(2) as pool, ThreadPool(1) as other:
            assert pool.submit(ask).result(TIMEOUT_S) is recorder
            assert list(pool.map(ask, ["SELECT 1"])) == [recorder]
            assert other.apply(ask) is recorder
            assert contextvars.Context().run(pool.submit, active).result(TIMEOUT_S) is None
            assert contextvars.Context().run(other.apply, active) is None
        native = NativeThreads(1)
        assert native.apply(recording) is recorder
        assert native.map(lambda _: recording(), [1]) == [recorder]
        assert contextvars.Context().run(native.apply, active) is None
        native.kill()
    assert len(recorder.queries) == 5
    end()


def own_variables_stay():
    installed()
    MINE.set("request")
    with opened():
        assert gevent.spawn(MINE.get).get() == "unset"
        inside = gevent.spawn(lambda: list(contextvars.copy_context())).get()
        assert [variable.name for variable in inside] == ["queryscope_scope"]
        given = contextvars.copy_context()
        greenlet = gevent.Greenlet(lambda: (MINE.get(), active()))
        greenlet.gr_context = given
        greenlet.start()
        assert greenlet.get() == ("request", given[active.__self__])
    assert gevent.spawn(active).get() is None
    assert MINE.get() == "request"
    end()


def outliving_greenlets_are_orphans():
    installed()
    go = Event()

    def start():
        box = [type("Payload", (), {})()]
        gone = weakref.ref(box[0])

        def work():
            ask(parameters=(box.pop(),))
            go.wait(TIMEOUT_S)
            ask("SELECT 'late'")

        with opened() as recorder:
            greenlet = gevent.spawn(work)
            gevent.sleep(0.01)
        assert len(recorder.queries) == 1
        late = partial(late_facts, recorder.late)
        return greenlet, gone, late

    greenlet, gone, late = start()
    gc.collect()
    assert gone() is None
    go.set()
    greenlet.get(timeout=TIMEOUT_S)
    assert late() == 1
    end()


def late_facts(late):
    return late.orphans


def direct_calls_keep_their_chain():
    """The same function, first in a greenlet and then called: the walks must not be confused."""
    installed()

    def send():
        start = clock()
        active().recorder.add_query(start, start + 1, "SELECT 1", None, 0, INFO, -1, None, 0)

    def view():
        send()

    with opened() as recorder:
        for _ in range(3):
            gevent.spawn(send).get()
            view()
    chains = [[step.function for step in query.origin.steps] for query in freeze(recorder).queries]
    own = [chain[0].rpartition(".")[2] for chain in chains]
    assert own == ["send"] * 6
    assert [len(chain) for chain in chains[::2]] == [1, 1, 1], chains
    assert all(chain[1].endswith("view") for chain in chains[1::2]), chains
    end()


def cursor_methods_may_be_spawned():
    """Nothing of Python's is below them in the stack: where a walk starts may not be there."""
    settings.configure(
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
    )
    django.setup()
    adapters.install_loaded()
    with connection.cursor() as cursor, opened() as recorder:
        gevent.spawn(cursor.execute, "SELECT 1").get()
        gevent.spawn(cursor.execute, "SELECT 1").get()
    assert [raw[3] for raw in recorder.queries] == ["SELECT 1"] * 2
    assert [query.origin.steps for query in freeze(recorder).queries] == [()] * 2
    end()


def errors_and_results_pass():
    installed()
    error = LookupError("lost")

    def fails():
        raise error

    gevent.get_hub().NOT_ERROR += (LookupError,)  # which gevent would print
    with opened():
        greenlet = gevent.spawn(fails)
        assert repr(greenlet).endswith(": fails>")
        greenlet.join()
        assert greenlet.exception is error
        try:
            with gevent.Timeout(0.01):
                gevent.sleep(TIMEOUT_S)
        except gevent.Timeout:
            pass
        else:
            raise AssertionError
        killed = gevent.spawn(gevent.sleep, TIMEOUT_S)
        gevent.sleep(0)
        killed.kill()
        assert isinstance(killed.value, gevent.GreenletExit)
    end()


def install_is_undone():
    owners = (NativeThreads, threading.Thread, ThreadPoolExecutor, ThreadPool)
    before = [dict(vars(owner)) for owner in owners]
    callbacks = callbacks_of_gevent()
    assert not callbacks
    queryscope.install()
    queryscope.install()
    assert len(callbacks_of_gevent()) == 1
    assert [dict(vars(owner)) for owner in owners] != before
    queryscope.uninstall()
    assert not callbacks_of_gevent()
    assert [dict(vars(owner)) for owner in owners] == before
    adapters.install_loaded()
    assert len(callbacks_of_gevent()) == 1
    adapters.uninstall()
    with opened():
        assert gevent.spawn(active).get() is None
    end()


def callbacks_of_gevent():
    """Return what gevent calls for each greenlet: it keeps them where only its C code looks."""
    seen = []
    greenlet = gevent.Greenlet(lambda: None)
    tracer = sys.getprofile()
    sys.setprofile(lambda frame, event, _: seen.append(frame.f_code) if event == "call" else None)
    try:
        greenlet.start()
    finally:
        sys.setprofile(tracer)
    greenlet.get()
    return [code for code in seen if code.co_name == "_spawned"]


# -- a server ----------------------------------------------------------------------------------


def shop(folder):
    """Return a Flask application whose one view asks from three greenlets and a thread."""
    engine = create_engine(
        f"sqlite:///{folder}/shop.db",
        poolclass=QueuePool,
        pool_size=200,
        connect_args={"check_same_thread": False},
    )
    app = Flask(__name__)

    def ask_for(number, part):
        with Session(engine) as session:
            gevent.sleep(0.001)
            return session.scalar(text(f"SELECT {number} AS n{number}_{part}"))

    @app.get("/<int:number>")
    def view(number):
        parts = [gevent.spawn(ask_for, number, part) for part in range(3)]
        found = []
        thread = threading.Thread(target=lambda: found.append(ask_for(number, 3)))
        thread.start()
        answers = {part.get() for part in parts} | {ask_for(number, 4)}
        thread.join(TIMEOUT_S)
        return str(sum(answers | set(found)))

    return app


def server_keeps_requests_apart(folder):
    chosen = {"store": True, "store_path": f"{folder}/traces.db", "headers": True}
    app = wsgi.Middleware(shop(folder), settings=chosen, debug=False)
    server = WSGIServer(("127.0.0.1", 0), app, log=None)
    server.start()
    numbers = range(1, 21)

    def client(number):
        url = f"http://127.0.0.1:{server.server_port}/{number}"
        with urlopen(url, timeout=TIMEOUT_S) as response:
            return response.read(), response.headers["X-Queryscope-Trace"]

    for _ in range(3):
        clients = [gevent.spawn(client, number) for number in numbers]
        answers = [one.get(timeout=TIMEOUT_S) for one in clients]
        assert [int(body) for body, _ in answers] == list(numbers)
        found = runtime.get()
        assert found.flush()
        store = found.store
        for number, (_, key) in zip(numbers, answers, strict=True):
            trace = store.get(key).trace
            sent = sorted(query.statement for query in trace.queries if query.counts)
            assert sent == [f"SELECT ? AS n{number}_{part}" for part in range(5)], sent
            assert len(trace.sessions) == 5
            assert trace.orphans == 0
    assert found.writer.dropped == found.writer.failed == 0
    server.stop()
    end()


def writer_made_before_the_patching_goes_on():
    """``gunicorn --preload -k gevent``: imported in the master, forked, and only then patched."""
    handled = []
    writer = Writer(handled.extend, limit=10, value=lambda _: 0)
    monkey.patch_thread()
    writer.put("first")
    greenlets = [gevent.spawn(writer.put, number) for number in range(5)]
    gevent.joinall(greenlets, raise_error=True)
    assert writer.flush(TIMEOUT_S)
    assert handled == ["first", 0, 1, 2, 3, 4]
    assert writer.close(TIMEOUT_S)
    end()


def writer_ends_with_the_process(folder):
    """What waits when the process exits is written: nothing flushes here."""
    chosen = {"store": True, "store_path": f"{folder}/traces.db"}
    runtime.configure(chosen, source="test", debug=False)
    engine = create_engine(f"sqlite:///{folder}/shop.db")
    for number in range(5):
        with profile(f"block {number}"), engine.connect() as used:
            used.execute(text("SELECT 1"))
    assert threading.current_thread() is threading.main_thread()
    engine.dispose()
    end()
    print("pid", os.getpid(), time.monotonic() > 0)  # noqa: T201 - the last line of this process
