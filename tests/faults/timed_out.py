"""Greenlets whose time is up at any switch; imported by a child after gevent's monkey patching."""

# A child speaks to its test by printing.
# ruff: noqa: T201

from __future__ import annotations

import random
import sys
from collections import Counter

import gevent
from sqlalchemy import create_engine, event, text
from sqlalchemy.pool import QueuePool

from queryscope import runtime, wsgi
from queryscope.trace import guard
from queryscope.trace.scope import ACTIVE
from tests.faults.facts import facts_of
from tests.faults.serving import environ_of

SETTINGS = {"mode": "development", "console": False, "store": True}


def application():
    """Return an application whose driver and whose body switch to other greenlets."""
    engine = create_engine("sqlite:///shop.db", poolclass=QueuePool, pool_size=2, max_overflow=0)

    @event.listens_for(engine, "do_execute")
    def switching(cursor, statement, parameters, context):
        gevent.sleep(0)

    def app(environ, start_response):
        with engine.connect() as connection:
            connection.execute(text("SELECT 1"))
            gevent.sleep(0)
            connection.execute(text("SELECT 2"))
        start_response("200 OK", [("Content-Type", "text/plain")])
        yield b"a"
        gevent.sleep(0)
        with engine.connect() as connection:
            connection.execute(text("SELECT 3"))
        yield b"b"

    return wsgi.Middleware(app, SETTINGS), engine


def serve(app, path="/"):
    """Serve one request."""
    body = app(environ_of(path), lambda *_: None)
    try:
        return list(body)
    finally:
        body.close()


def facts(app):
    """Return the facts of a request that nobody disturbs."""
    serve(app, "/clean")
    assert runtime.get().flush(20)
    return facts_of(runtime.get().ring.newest(1)[0].trace)


def timed_out(seed, times):
    """Serve three at a time under time-outs; each comes out as itself, and a request stays whole.

    Args:
        seed: Of the random numbers.
        times: Requests.
    """
    rng = random.Random(seed)
    app, engine = application()
    facts(app)
    before = facts(app)
    ended = Counter(answered=0, **{"timed out": 0})

    def client(switches):
        own = gevent.Timeout(None)
        # Time is up after a number of switches, not of seconds: a busy machine is not slower.
        ends = gevent.spawn(end_after, switches, gevent.getcurrent(), own)
        try:
            assert serve(app, "/timed") == [b"a", b"b"]
            ended["answered"] += 1
        except gevent.Timeout as found:
            ended["timed out" if found is own else "wrong"] += 1
        finally:
            ends.kill()
        assert ACTIVE.get() is None

    def end_after(switches, greenlet, own):
        for _ in range(switches):
            gevent.sleep(0)
        gevent.kill(greenlet, own)

    for _ in range(times // 3):
        together = [gevent.spawn(client, rng.randrange(1, 10)) for _ in range(3)]
        gevent.joinall(together, raise_error=True)
    print(ended, file=sys.stderr)
    assert engine.pool.checkedout() == 0
    after = facts(app)
    assert after == before, f"{before}\n{after}"
    store = runtime.get().store
    stored = [item for item in store.list(100_000) if item.path == "/timed"]
    writer = runtime.get().writer
    print("all", len(stored) + writer.dropped >= ended["answered"])
    print(guard.failures())
    print(len(ended) == 2 and min(ended.values()) > times // 20)
