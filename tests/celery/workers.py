"""Workers booted for real: each is given the same work, is stopped, and has left its Traces."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

from celery import Celery, chain, chord, group

from queryscope.store.file import Store

PROJECTS = Path(__file__).resolve().parent / "projects"
PATIENCE_S = 120
BOOKS = 6
KILLING = {"prefork", "gevent"}
"""The pools in which Celery ends a task that runs: at its hard time limit, or when told to."""
SPREAD = (3, 5, 7, 9, 11, 13) * 3
"""How many statements the tasks send that run side by side."""


class Played(NamedTuple):
    """What a worker did."""

    results: dict
    """Ids of tasks by the name of what was asked for, lists of ids for several."""
    answers: dict
    """Values, or errors, by the same names."""
    traces: dict
    """Lists of Traces by the id of the task: a task that retries is executed twice."""
    judged: dict
    """What is stored of each Trace, by its id."""
    listed: list
    """Summaries of the stored Traces."""
    log: str


def fill(path):
    """Make the tables that both projects map."""
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE author (id INTEGER PRIMARY KEY, name TEXT)")
        connection.execute(
            "CREATE TABLE book (id INTEGER PRIMARY KEY, title TEXT, author_id INTEGER)"
        )
        for number in range(1, BOOKS + 1):
            connection.execute("INSERT INTO author VALUES (?, ?)", (number, f"author {number}"))
            connection.execute(
                "INSERT INTO book VALUES (?, ?, ?)", (number, f"book {number}", number)
            )


def settings(redis):
    """Return Celery's settings with keys of their own in Redis, and the prefix of these."""
    prefix = f"queryscope-{uuid4().hex}-"
    options = {"global_keyprefix": prefix}
    return {
        "broker_url": redis,
        "result_backend": redis,
        "broker_transport_options": options,
        "result_backend_transport_options": options,
        "task_track_started": True,
        "worker_prefetch_multiplier": 1,
    }, prefix


def environment(conf, database, store, **more):
    """Return the environment of a user: ours, without what would change the outcome."""
    unwanted = ("PYTEST_", "DJANGO_", "QUERYSCOPE_", "CELERY_", "COV_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(unwanted)}
    return {
        **kept,
        "BOOKS_CELERY": json.dumps(conf),
        "BOOKS_DATABASE": str(database),
        "QUERYSCOPE_STORE": str(store),
        "PYTHONUNBUFFERED": "1",
        **more,
    }


@contextlib.contextmanager
def working(folder, command, variables):
    """Run a worker until the block ends; give the process and a function that reads its log."""
    log = folder / "worker.log"

    def said():
        return log.read_text(encoding="utf-8", errors="replace")

    with log.open("w") as file:
        process = subprocess.Popen(
            command,
            cwd=PROJECTS,
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        until(lambda: " ready." in said() or process.poll() is not None, said)
        assert process.poll() is None, said()
        yield process, said
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)


def until(true, said):
    """Wait until something is true."""
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < deadline, said()
        time.sleep(0.05)


def command_of(project, pool):
    """Return how a worker is started."""
    return [
        sys.executable, "-m", "celery", "-A", project, "worker", "--pool", pool,
        "--concurrency", "2", "--loglevel", "INFO",
        "--without-gossip", "--without-mingle", "--without-heartbeat",
    ]  # fmt: skip


def play(folder, redis, project, pool, *, launcher=(), **variables):
    """Start a worker, have it do everything, stop it, and return what it left."""
    database, store = folder / "books.sqlite3", folder / "traces.db"
    fill(database)
    conf, prefix = settings(redis)
    client = Celery(f"client of {project}", set_as_current=False)
    client.conf.update(conf)
    try:
        command = [*launcher, *command_of(project, pool)]
        with working(folder, command, environment(conf, database, store, **variables)) as (
            process,
            said,
        ):
            try:
                results, answers = asked(client, pool)
            except Exception as error:
                raise AssertionError(said()) from error
            # Nothing waits for the writer: what the last task left goes with the worker's end.
            process.send_signal(signal.SIGTERM)
            assert process.wait(PATIENCE_S) == 0, said()
            log = said()
        return Played(results, answers, *stored(store), log)
    finally:
        forget(client, prefix)


def asked(client, pool):
    """Send every kind of task that a pool can do; return the ids and the values of the results."""

    def task(name, *args, **options):
        return client.signature(name, args=args, app=client, **options)

    sent = {name: task(name).delay() for name in ("loop", "fails", "retries", "nests")}
    sent["spread"] = group(task("count", times) for times in SPREAD).apply_async()
    sent["chain"] = chain(task("count", 2), task("count")).apply_async()
    sent["chord"] = chord([task("count", 1), task("count", 2)], task("total")).apply_async()
    ignored = task("ignored").delay()
    if pool == "prefork":
        sent["limited"] = task("limited").delay()
    if pool in KILLING:
        sent["hangs"] = task("hangs").delay()
        sent["terminated"] = task("hangs", time_limit=PATIENCE_S).delay()
        until(lambda: sent["terminated"].state == "STARTED", lambda: "it did not start")
        sent["terminated"].revoke(terminate=True)
    answers = {}
    for name, result in sent.items():
        answers[name] = result.get(timeout=PATIENCE_S, propagate=False)
    results = {
        name: [one.id for one in result] if name == "spread" else result.id
        for name, result in sent.items()
    }
    results["parent"] = sent["chain"].parent.id
    results["ignored"] = ignored.id
    if pool == "prefork":
        killed = task("hangs", time_limit=PATIENCE_S).delay()
        until(lambda: killed.state == "STARTED", lambda: "it did not start")
        time.sleep(2)  # what its process did before is on the disk by then
        os.kill(killed.info["pid"], signal.SIGKILL)  # as the kernel does for want of memory
        answers["killed"] = killed.get(timeout=PATIENCE_S, propagate=False)
        results["killed"] = killed.id
    last = task("count", 4).delay()
    results["last"], answers["last"] = last.id, last.get(timeout=PATIENCE_S)
    return results, answers


def stored(path):
    """Return the stored Traces by the ids of their tasks, what is known of each, and the list."""
    store = Store(path)
    try:
        listed = store.list(limit=1_000)
        judged = {item.id: store.get(item.id) for item in listed}
    finally:
        store.close()
    traces = {}
    for item in sorted(listed, key=lambda one: one.started_at_ns):
        trace = judged[item.id].trace
        traces.setdefault(trace.attributes.get("task_id"), []).append(trace)
    return traces, judged, listed


def forget(client, prefix):
    """Delete what the run left in Redis, and close the connections to it."""
    backend = client.backend
    for key in backend.client.scan_iter(f"{prefix}*"):
        backend.client.delete(key)
    backend.result_consumer.stop()
    backend.client.connection_pool.disconnect()
    client.pool.force_close_all()
    client.close()
