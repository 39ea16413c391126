"""Thousands of requests leave no more memory behind than the Traces that are kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.child import run

REQUESTS = 3_000
WARM_UP = 600
"""Requests before the first look: caches of both frameworks, the ring of 50 Traces, and what the
allocator asks for in large pieces are full by then."""
BOUND_MB = 20

MEASURED = f"""
import gc, sys


def rss_mb():
    with open("/proc/self/status") as file:
        return int(file.read().partition("VmRSS:")[2].split()[0]) / 1024


def measure(request):
    from queryscope import runtime
    from queryscope.trace import guard

    def some(count):
        for number in range(count):
            request(number)
            if number % 300 == 0:
                runtime.get().flush(30)
        runtime.get().flush(30)
        gc.collect()

    some({WARM_UP})
    before = rss_mb()
    some({REQUESTS})
    grown = rss_mb() - before
    recorders = sum(type(item).__name__ == "Recorder" for item in gc.get_objects())
    assert recorders <= 2, f"{{recorders}} Recorders are alive"
    assert guard.failures() == (), guard.failures()
    assert runtime.get().ring.newest(1)[0].trace.statements >= 5
    assert grown <= {BOUND_MB}, f"{{grown:.1f}} MB more after {REQUESTS} requests"
    print(f"{{grown:.1f}}")


SETTINGS = {{"mode": sys.argv[1], "console": False, "store": sys.argv[2] == "store"}}
"""

DJANGO = (
    MEASURED
    + """
from tests.faults.child import django_project

ROUTE = "queryscope.django.Middleware"
django_project(MIDDLEWARE=[ROUTE], QUERYSCOPE=SETTINGS, ALLOWED_HOSTS=["*"])
from django.core.handlers.wsgi import WSGIHandler
from tests.faults.serving import served

handler = WSGIHandler()
PATHS = ["/stream/", "/loop/"]


def request(number):
    assert served(handler, PATHS[number % 2]).status == 200


measure(request)
"""
)

WSGI = (
    MEASURED
    + """
import queryscope
from sqlalchemy import create_engine, select, text
from sqlalchemy.orm import Session
from tests.faults.serving import served
from tests.sqlalchemy.shop import Author, fill

engine = create_engine("sqlite:///shop.db")
fill(engine)
queryscope.install()


def app(environ, start_response):
    start_response("200 OK", [])
    with Session(engine) as session:
        names = [book.title for author in session.scalars(select(Author)) for book in author.books]
        session.execute(text("SELECT :number"), {"number": environ["PATH_INFO"]})
        for author in session.scalars(select(Author)):
            yield author.name.encode()
    yield repr(names).encode()


middleware = queryscope.wsgi.Middleware(app, SETTINGS)


def request(number):
    assert served(middleware, f"/{number}").status == 200


measure(request)
"""
)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc to read memory from")
@pytest.mark.parametrize("mode", [("production", "none"), ("development", "store")], ids="-".join)
@pytest.mark.parametrize("code", [pytest.param(DJANGO, id="django"), pytest.param(WSGI, id="wsgi")])
def test_memory_is_bounded(code, mode):
    """After 3,000 requests a process is at most 20 MB larger, and no Recorder is left."""
    done = run(f"import sys; sys.argv[1:] = {list(mode)!r}\n{code}")
    assert float(done.stdout) <= BOUND_MB
