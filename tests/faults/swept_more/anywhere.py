"""What is done beside an ORM: pools of threads, log calls, outgoing requests, blocks and stages."""

# The names say what is done.
# ruff: noqa: D103

from __future__ import annotations

import http.client
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from http.server import BaseHTTPRequestHandler, HTTPServer
from multiprocessing.pool import ThreadPool

import queryscope


class _Greets(BaseHTTPRequestHandler):
    def do_GET(self):
        """Answer."""
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        """Say nothing."""


@cache
def port():
    """Return where a server listens, started by the first who asks."""
    server = HTTPServer(("127.0.0.1", 0), _Greets)
    threading.Thread(target=server.serve_forever, name="queryscope-tests", daemon=True).start()
    return server.server_port


def calls_others():
    connection = http.client.HTTPConnection("127.0.0.1", port(), timeout=20)
    try:
        connection.request("GET", "/")
        assert connection.getresponse().status == 204
    finally:
        connection.close()


def logs():
    logger = logging.getLogger("swept")
    logger.propagate = False
    logger.addHandler(logging.NullHandler())
    for _ in range(3):
        # Past ``disable``, by which the sweep keeps the frameworks quiet.
        logger.handle(logger.makeRecord("swept", logging.INFO, __file__, 1, "done", (), None))


def hands_to_pools(work):
    """Have work done by pools of threads, in each of their ways."""
    with ThreadPoolExecutor(1) as executor:
        assert list(executor.map(lambda _: work(), range(2))) == [None, None]
    with ThreadPool(1) as pool:
        pool.apply(work)
        assert pool.map(lambda _: work(), range(2)) == [None, None]
        assert list(pool.imap(lambda _: work(), (number for number in range(2)))) == [None, None]
        pool.starmap_async(lambda _: work(), [(1,)]).get(20)


@queryscope.stage("decorated")
def _in_a_stage(work):
    work()


@queryscope.profile("decorated")
def _in_a_block(work):
    work()


def names_parts(work):
    _in_a_stage(work)
    _in_a_block(work)
    with queryscope.profile("judged") as run:
        work()
    assert run.trace.statements


def scenarios(scenario, work):
    """Add all of these; ``work`` asks the database once, and leaves no connection in a thread."""

    @scenario()
    def called_others():
        calls_others()
        work()

    @scenario()
    def logged():
        logs()
        work()

    @scenario()
    def handed_to_pools():
        hands_to_pools(work)

    @scenario()
    def named_parts():
        names_parts(work)
