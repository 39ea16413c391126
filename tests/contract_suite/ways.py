"""The ways to run a scenario: each makes one Trace of it.

A way is a function of the application's side that gives a function of one scenario. What it was
that a scenario raised on purpose ends in the way, as in a server.
"""

from __future__ import annotations

import asyncio
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from wsgiref.util import setup_testing_defaults

from queryscope import asgi, profile, wsgi
from tests.asgi.caller import call
from tests.contract_suite.plan import SETTINGS
from tests.contract_suite.scenarios import Raised


class Side:
    """What the ways need of an application: to begin without a connection in this thread.

    Attributes:
        close: Closes this thread's connections.
        aclose: Does the same where the async ORM has its connections.
        dispose: Closes what belongs to an event loop that is about to end.
    """

    def __init__(self, close, aclose, dispose):
        self.close = close
        self.aclose = aclose
        self.dispose = dispose

    @contextmanager
    def loop(self):
        """Give what runs a coroutine, in one loop with one thread for blocking calls."""
        with asyncio.Runner() as runner:
            runner.get_loop().set_default_executor(ThreadPoolExecutor(1))
            yield runner.run
            runner.run(self.dispose())

    def run(self, scenario):
        """Run a scenario; return its iterator, or None."""
        self.close()
        return scenario.run()

    async def arun(self, scenario):
        """Run an async scenario; return its iterator, or None."""
        await self.aclose()
        return await scenario.run()


# -- sync ------------------------------------------------------------------------------------


def by_profile(side):
    """Run in a ``profile`` block."""

    def run(scenario):
        with suppress(Raised), profile(scenario.name):
            for _ in side.run(scenario) or ():
                pass

    yield run


def by_wsgi(side):
    """Run in a bare WSGI application with our middleware."""
    current = []

    def application(environ, start_response):
        result = side.run(current[0])
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"ok"] if result is None else map(str.encode, result)

    app = wsgi.Middleware(application, SETTINGS)

    def run(scenario):
        current[:] = [scenario]
        ask_wsgi(app, "/")

    yield run


def by_flask(side):
    """Run in a view of Flask."""
    from flask import Flask, Response

    flask = Flask(__name__)
    current = []

    @flask.get("/")
    def view():
        result = side.run(current[0])
        return "ok" if result is None else Response(result)

    app = wsgi.Middleware(flask, SETTINGS)

    def run(scenario):
        current[:] = [scenario]
        ask_wsgi(app, "/")

    flask.logger.disabled = True
    yield run


def by_asgi(side):
    """Run in a thread of a bare ASGI application with our middleware."""
    current = []

    async def application(scope, receive, send):
        result = await asyncio.to_thread(side.run, current[0])
        await _send(send, None if result is None else _in_thread(result))

    yield from _asked(side, asgi.Middleware(application, SETTINGS), current)


def by_fastapi(side):
    """Run in a sync path operation of FastAPI."""
    from fastapi import FastAPI
    from fastapi.responses import StreamingResponse

    api = FastAPI()
    current = []

    @api.get("/")
    def operation():
        result = side.run(current[0])
        return "ok" if result is None else StreamingResponse(result)

    yield from _asked(side, asgi.Middleware(api, SETTINGS), current)


def by_celery(side):
    """Run in a task of Celery that runs eagerly."""
    from celery import Celery

    from queryscope import celery as adapter

    app = Celery("contract", broker="memory://", set_as_current=False)
    app.conf.update(task_always_eager=True, task_store_eager_result=False)
    current = []

    @app.task(name="contract")
    def task():
        for _ in side.run(current[0]) or ():
            pass

    adapter.install(SETTINGS)

    def run(scenario):
        current[:] = [scenario]
        task.delay()

    try:
        yield run
    finally:
        adapter.uninstall()


def by_greenlet(side):
    """Run in a ``profile`` block of a greenlet; the process is monkey patched."""
    import gevent

    def run(scenario):
        def block():
            with suppress(Raised), profile(scenario.name):
                for _ in side.run(scenario) or ():
                    pass
            side.close()

        gevent.spawn(block).get()

    yield run


# -- Django's own ----------------------------------------------------------------------------


def by_django_client(side):
    """Run in a sync view that Django's test client asks."""
    from django.test import Client

    client = Client(raise_request_exception=False)

    def run(scenario):
        response = client.get(f"/sync/{scenario.name}")
        if response.streaming:
            b"".join(response)
        response.close()

    yield run


def by_django_wsgi(side):
    """Run in a sync view under WSGI."""
    from django.core.wsgi import get_wsgi_application

    app = get_wsgi_application()
    yield lambda scenario: ask_wsgi(app, f"/sync/{scenario.name}")


def by_django_asgi(side):
    """Run in a sync view under ASGI."""
    from django.core.asgi import get_asgi_application

    app = get_asgi_application()
    with side.loop() as wait:
        yield lambda scenario: wait(call(app, f"/sync/{scenario.name}"))


def by_django_async(side):
    """Run in an async view under ASGI."""
    from django.core.asgi import get_asgi_application

    app = get_asgi_application()
    with side.loop() as wait:
        yield lambda scenario: wait(call(app, f"/async/{scenario.name}"))


# -- async -----------------------------------------------------------------------------------


def by_async_profile(side):
    """Run in an ``async with profile`` block."""

    async def block(scenario):
        with suppress(Raised):
            async with profile(scenario.name):
                result = await side.arun(scenario)
                if result is not None:
                    async for _ in result:
                        pass
        await side.aclose()

    with side.loop() as wait:
        yield lambda scenario: wait(block(scenario))


def by_async_asgi(side):
    """Run in a bare ASGI application with our middleware."""
    current = []

    async def application(scope, receive, send):
        await _send(send, await side.arun(current[0]))

    yield from _asked(side, asgi.Middleware(application, SETTINGS), current)


def by_async_fastapi(side):
    """Run in an async path operation of FastAPI."""
    from fastapi import FastAPI
    from fastapi.responses import StreamingResponse

    api = FastAPI()
    current = []

    @api.get("/")
    async def operation():
        result = await side.arun(current[0])
        return "ok" if result is None else StreamingResponse(result)

    yield from _asked(side, asgi.Middleware(api, SETTINGS), current)


SYNC = {
    "profile": by_profile,
    "wsgi": by_wsgi,
    "flask": by_flask,
    "asgi": by_asgi,
    "fastapi": by_fastapi,
    "celery": by_celery,
    "greenlet": by_greenlet,
    "django-client": by_django_client,
    "django-wsgi": by_django_wsgi,
    "django-asgi": by_django_asgi,
}
ASYNC = {
    "async-profile": by_async_profile,
    "async-asgi": by_async_asgi,
    "async-fastapi": by_async_fastapi,
    "django-async": by_django_async,
}


def ask_wsgi(app, path):
    """Make one request as a server does: call, iterate, close."""
    environ = {"PATH_INFO": path, "wsgi.errors": sys.stderr}
    setup_testing_defaults(environ)
    body = ()
    try:
        body = app(environ, lambda *_: None)
        for _ in body:
            pass
    except Raised:
        pass
    finally:
        if hasattr(body, "close"):
            body.close()


def _asked(side, app, current):
    """Give the function that makes one request of an ASGI application for a scenario."""

    async def ask():
        with suppress(Raised):
            await call(app)

    with side.loop() as wait:

        def run(scenario):
            current[:] = [scenario]
            wait(ask())

        yield run


async def _in_thread(result):
    """Take the items of an iterator in threads, as frameworks do."""
    end = object()
    while (item := await asyncio.to_thread(next, result, end)) is not end:
        yield item


async def _send(send, result):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    if result is not None:
        async for item in result:
            body = item.encode()
            await send({"type": "http.response.body", "body": body, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


opened = {name: contextmanager(way) for name, way in {**SYNC, **ASYNC}.items()}
"""The ways by name, as context managers: what they start, they end."""
