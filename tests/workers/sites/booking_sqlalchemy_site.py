# ruff: noqa: E402 - when what is imported is part of the tests
"""The Flask example as a WSGI and, by asgiref, as an ASGI application, and more beside it.

``SITE_ORDER`` says when queryscope comes: ``last`` (the default: engine, application, hooks),
``first`` (before SQLAlchemy is imported), ``outside`` (the middleware alone, around it all),
``early`` (the middleware alone, around a stand-in, before SQLAlchemy is imported).
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

SETTINGS = json.loads(os.environ.get("SITE_SETTINGS", "null"))
ORDER = os.environ.get("SITE_ORDER", "last")

if SETTINGS is not None and ORDER == "first":
    import queryscope
    from queryscope.wsgi import Middleware

    assert "sqlalchemy" not in sys.modules
    queryscope.install()

if SETTINGS is not None and ORDER == "early":
    from queryscope.wsgi import Middleware

    assert "sqlalchemy" not in sys.modules
    outer = Middleware(None, SETTINGS)

from asgiref.sync import ThreadSensitiveContext
from asgiref.wsgi import WsgiToAsgi
from booking_flask.app import create_app
from booking_flask.database import SessionLocal
from booking_flask.models import City
from flask import Response, send_file
from sqlalchemy import func, select, text

wsgi_app = create_app(profile=False)


def cities():
    """Return how many there are, by one statement."""
    with SessionLocal() as session:
        return session.scalar(select(func.count()).select_from(City))


@wsgi_app.get("/cases/pid")
def pid():
    """Tell which process answers."""
    return f"{cities() * 0 + os.getpid()}"


@wsgi_app.get("/cases/empty")
def empty():
    """Answer without a body."""
    cities()
    return "", 204


@wsgi_app.get("/cases/unchanged")
def unchanged():
    """Say that the client has it."""
    cities()
    return "", 304


@wsgi_app.get("/cases/mixed/<int:number>")
def mixed(number):
    """Ask five times by a statement that tells the request, and let others run in between."""
    for part in range(5):
        with SessionLocal() as session:
            session.execute(text(f"SELECT 1 AS n{number}_{part}"))
        time.sleep(0.002)
    return f"{number}"


@wsgi_app.get("/cases/slow")
def slow():
    """Ask, take a while, ask again."""
    cities()
    Path("slow-began").touch()
    time.sleep(0.5)
    return f"{cities()}"


@wsgi_app.get("/cases/stream")
def stream():
    """Send a statement's answer in each part."""
    from flask import request, stream_with_context

    count = int(request.args.get("parts", "3"))

    def parts():
        for number in range(count):
            yield f"{number}: {cities()}\n"

    return Response(stream_with_context(parts()), mimetype="text/plain")


@wsgi_app.get("/cases/file")
def file():
    """Send a file as the server can do by itself."""
    cities()
    return send_file(Path(__file__), mimetype="text/plain", conditional=False, etag=False)


@wsgi_app.get("/cases/part")
def part():
    """Say what a file says that may change."""
    from part import VALUE

    return f"{cities() * 0 + VALUE}"


@wsgi_app.get("/cases/broken")
def broken():
    """Fail."""
    cities()
    raise LookupError("broken on purpose")


if "SITE_PART" in os.environ:
    import part as _  # noqa: F401 - reloaders watch what is imported

if SETTINGS is not None:
    if ORDER == "last":
        import queryscope
        from queryscope.wsgi import Middleware

        queryscope.install()
    elif ORDER == "outside":
        from queryscope.wsgi import Middleware
    if ORDER == "outside":
        wsgi_app = Middleware(wsgi_app, SETTINGS)
    elif ORDER == "early":
        outer.app, wsgi_app = wsgi_app, outer
    else:
        wsgi_app.wsgi_app = Middleware(wsgi_app.wsgi_app, SETTINGS)

_apart = WsgiToAsgi(wsgi_app)


async def asgi_app(scope, receive, send):
    """Give each request a thread, as Django does; asgiref alone has all wait for one."""
    async with ThreadSensitiveContext():
        await _apart(scope, receive, send)


if SETTINGS is not None and "SITE_PRELOADED" in os.environ:
    # A Trace in the process that forks: writer and store are in use there.
    with queryscope.profile("preloaded"), wsgi_app.app_context():
        cities()
    assert queryscope.runtime.get().flush()
