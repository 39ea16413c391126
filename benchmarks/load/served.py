"""What a server of the load run serves: an example application, bare or recorded.

Environment: ``LOAD_APPLICATION`` (a folder of ``example_apps``), ``LOAD_INTERFACE`` (``wsgi`` or
``asgi``), ``LOAD_SETTINGS`` (queryscope's settings as JSON; without it queryscope is not imported).
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from contextvars import Context
from pathlib import Path
from typing import Any

NAME = os.environ["LOAD_APPLICATION"]
SETTINGS = json.loads(os.environ.get("LOAD_SETTINGS", "null"))
COUNTERS = "/load/counters"
"""Answered here, before the application: the run asks for it when nothing else is under way."""
FLUSH_S = 60.0

sys.path.insert(0, str(Path(__file__).parents[2] / "example_apps" / NAME))


def counters() -> bytes:
    """Return as JSON what this process counted, after everything that waits was written."""
    found: dict[str, Any] = {"pid": os.getpid(), "flushed": True, "dropped": 0, "failures": []}
    if SETTINGS is not None:
        from queryscope import runtime
        from queryscope.trace import guard

        force = runtime.get()
        found["flushed"] = force.flush(FLUSH_S)
        found["dropped"] = force.lost
        found["failures"] = [list(failure) for failure in guard.failures()]
        found["store_error"] = force.store_error
    return json.dumps(found).encode()


def django_settings() -> None:
    """Name the settings of the Django example, with queryscope's beside them."""
    os.environ["DJANGO_SETTINGS_MODULE"] = "django_settings"
    if SETTINGS is not None:
        os.environ["BOOKING_QUERYSCOPE"] = "1"


def flask_application() -> Any:
    """Return the Flask example, recorded as it does by itself but with our settings."""
    from booking_flask.app import create_app

    made = create_app(profile=False)
    if SETTINGS is not None:
        import queryscope
        from queryscope.wsgi import Middleware

        queryscope.install()
        made.wsgi_app = Middleware(made.wsgi_app, SETTINGS)
    return made


def wsgi() -> Any:
    """Return the WSGI application with the counters before it."""
    if NAME == "booking_django":
        django_settings()
        from django.core.wsgi import get_wsgi_application

        inner = get_wsgi_application()
    else:
        inner = flask_application()

    def application(environ: dict[str, Any], start_response: Any) -> Any:
        if environ["PATH_INFO"] != COUNTERS:
            return inner(environ, start_response)
        body = counters()
        start_response("200 OK", [("Content-Length", str(len(body)))])
        return [body]

    return application


def asgi() -> Any:
    """Return the ASGI application with the counters before it."""
    if NAME == "booking_django":
        django_settings()
        from django.core.asgi import get_asgi_application

        inner = get_asgi_application()
    else:
        from asgiref.wsgi import WsgiToAsgi

        inner = in_threads(WsgiToAsgi(flask_application()))

    async def application(scope: Any, receive: Any, send: Any) -> None:
        if scope.get("path") != COUNTERS:
            await inner(scope, receive, send)
            return
        body = await asyncio.to_thread(counters)
        length = (b"content-length", str(len(body)).encode())
        await send({"type": "http.response.start", "status": 200, "headers": [length]})
        await send({"type": "http.response.body", "body": body})

    return application


def in_threads(inner: Any) -> Any:
    """Return an ASGI application that gives each request a thread, as Django does.

    asgiref alone has all requests of a wrapped WSGI application wait for one thread. And uvicorn
    starts a request that comes early on a kept connection in the context of the one before, where
    asgiref's executor has ended by then: bare servers answer 500 for it, too. So each begins in a
    context of its own.
    """
    from asgiref.sync import ThreadSensitiveContext

    async def alone(scope: Any, receive: Any, send: Any) -> None:
        async with ThreadSensitiveContext():
            await inner(scope, receive, send)

    async def application(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.create_task(alone(scope, receive, send), context=Context())

    return application


app = {"wsgi": wsgi, "asgi": asgi}[os.environ["LOAD_INTERFACE"]]()
