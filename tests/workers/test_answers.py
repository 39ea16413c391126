"""Every kind of server, each example: equal answers, and each request's Trace stored once."""

from __future__ import annotations

import re
import signal
from concurrent.futures import ThreadPoolExecutor

import pytest

from queryscope.store.file import Store
from tests import serving
from tests.serving import DJANGO, FLASK, pair
from tests.workers.conftest import PATHS
from tests.workers.reference import described

CLIENTS = 6
MIXED = [f"/cases/mixed/{number}" for number in range(1, 13)]
BUSY = [path for path in PATHS if not path.startswith("/cases/")]
KINDS = [
    (kind, application)
    for kind in serving.KINDS
    for application in (DJANGO, FLASK)
    if (kind, application) not in {("runserver", FLASK), ("flask run", DJANGO)}
]
INTERRUPTED = {"runserver", "flask run"}
"""Ended by Ctrl-C. It goes to the process that serves alone: the reloader, which starts it, waits
for it a quarter of a second and then kills it, however busy the machine is."""
_NUMBERS = re.compile(r"\d+")
_TRACEBACK = re.compile(r"^(?:Traceback|\s+|\w*Error:).*$", re.MULTILINE)


def ask_all(server):
    """Ask for everything twice, one after the other, then by many clients at a time.

    Returns:
        Pairs of a path and its Answer; the last one is a failure, right before the end.
    """
    alone = [(path, server.get(path)) for path in PATHS[:-1] * 2]
    with ThreadPoolExecutor(CLIENTS) as clients:
        asked = BUSY + MIXED
        crowd = list(zip(asked, clients.map(server.get, asked), strict=True))
    return alone + crowd + [(PATHS[-1], server.get(PATHS[-1]))]


def stored(server):
    """Return the Traces of requests in a server's store by their ids."""
    store = Store(server.store_path)
    try:
        listed = [item.id for item in store.list(limit=10_000)]
        assert len(set(listed)) == len(listed)
        return {key: store.get(key) for key in listed}
    finally:
        store.close()


def printed(server):
    """Return what a server printed, without numbers and tracebacks, in any order."""
    text = _TRACEBACK.sub("", server.log)
    return sorted(_NUMBERS.sub("0", line) for line in text.splitlines() if line.strip())


def end(server):
    """End a server as it is ended where it is used; return its exit code."""
    if server.kind in INTERRUPTED:
        return server.stop(signal.SIGINT, pid=server.served_by())
    return server.stop()


@pytest.mark.parametrize(("kind", "application"), KINDS, ids=lambda value: value)
def test_server_answers_the_same_and_stores_each_trace(
    kind, application, tmp_path, databases, references
):
    """To the last byte; the Traces are those of a test client, and the last one is stored, too."""
    with pair(kind, application, tmp_path, databases(application)) as (bare, recorded):
        with ThreadPoolExecutor(2) as both:
            expected, found = both.map(ask_all, (bare, recorded))
        codes = [end(server) for server in (bare, recorded)]
        assert codes[0] == codes[1]
        assert printed(recorded) == printed(bare)
    assert all(not answer.trace for _, answer in expected)
    assert [(path, answer.bytes) for path, answer in found] == [
        (path, answer.bytes) for path, answer in expected
    ]
    traces = stored(recorded)
    assert sorted(traces) == sorted(answer.trace for _, answer in found)
    check_traces(found, traces, references(application))


def check_traces(found, traces, reference):
    """Check that each Trace is that of its own request, and equal to the reference's."""
    seen = set()
    for path, answer in found:
        judged = traces[answer.trace]
        assert judged.trace.attributes["path"] == path.partition("?")[0]
        if path in MIXED:
            number = path.rpartition("/")[2]
            sent = [query.statement for query in judged.trace.queries]
            assert sent == [f"SELECT ? AS n{number}_{part}" for part in range(5)]
        elif path in seen or path == PATHS[-1]:  # the first of its kind fills caches
            assert described(judged) == reference[path], path
        seen.add(path)
