"""Applications that real servers serve to clients who leave, and workers that are killed.

Each answers twice: under ``/bare/`` as it is, under ``/profiled/`` within queryscope. What an
application sees of its client's fate goes to the file ``SEEN``, a line for each event.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from sqlalchemy import create_engine, text
from sqlalchemy.ext.asyncio import create_async_engine

import queryscope
from queryscope import asgi, wsgi

SETTINGS = {"mode": "development", "console": False, "store": True, "headers": False}
LIMIT_S = 30
ENDLESS = 100_000
"""Chunks of a stream that nobody reads to its end."""


def saw(path, event):
    """Note an event; one short write in append mode is one line, whoever else writes."""
    name = path.strip("/").replace("/", "-")
    with Path(os.environ["SEEN"]).open("a") as file:
        file.write(f"{name} {event}\n")


def gone_on(path):
    """Tell whether the test lets a request go on: it makes a file of its name."""
    return Path(os.environ["SEEN"]).with_name(path.strip("/").replace("/", "-")).exists()


# -- WSGI, for gunicorn ------------------------------------------------------------------------

engine = create_engine(os.environ.get("SHOP", "sqlite://"))


def _plain(environ, start_response):
    path = environ["PATH_INFO"]
    with engine.connect() as connection:
        connection.execute(text("SELECT 1"))
    kind = path.split("/")[2]
    if kind == "exit":
        sys.exit(3)
    start_response("200 OK", [("Content-Type", "text/plain")])
    if kind == "stream":
        return _stream(path)
    if kind == "hang":
        saw(path, f"pid {os.getpid()}")
        try:
            time.sleep(LIMIT_S)
        except BaseException as error:
            saw(path, f"raised {type(error).__name__}")
            raise
    if kind == "wait":
        saw(path, "started")
        deadline = time.monotonic() + LIMIT_S
        while not gone_on(path) and time.monotonic() < deadline:
            time.sleep(0.01)
        saw(path, "answered")
    return [b"answer"]


def _stream(path):
    try:
        for _ in range(ENDLESS):
            with engine.connect() as connection:
                connection.execute(text("SELECT 2"))
            yield b"x" * 10_000
    except BaseException as error:
        saw(path, f"raised {type(error).__name__}")
        raise
    finally:
        saw(path, f"ended, {engine.pool.checkedout()} out")


def wsgi_application():
    """Return the WSGI application for gunicorn."""
    profiled = wsgi.Middleware(_plain, SETTINGS)

    def application(environ, start_response):
        chosen = profiled if environ["PATH_INFO"].startswith("/profiled/") else _plain
        return chosen(environ, start_response)

    return application


# -- ASGI, for uvicorn -------------------------------------------------------------------------


def starlette_application(async_engine):
    """Return a Starlette application that streams, and waits."""
    from starlette.applications import Starlette
    from starlette.responses import PlainTextResponse, StreamingResponse
    from starlette.routing import Route

    async def ask(number):
        async with async_engine.connect() as connection:
            await connection.execute(text(f"SELECT {number}"))

    async def stream(request):
        path = request.url.path
        await ask(1)

        async def chunks():
            try:
                for _ in range(ENDLESS):
                    await ask(2)
                    yield b"x" * 10_000
            except BaseException as error:
                saw(path, f"raised {type(error).__name__}")
                raise
            finally:
                saw(path, "ended")

        return StreamingResponse(chunks())

    async def wait(request):
        path = request.url.path
        await ask(1)
        saw(path, "started")
        await _until_gone_on(path)
        return PlainTextResponse("answer")

    async def out(request):
        return PlainTextResponse(str(async_engine.pool.checkedout()))

    return Starlette(
        routes=[
            Route("/{side}/starlette-stream/{n}", stream),
            Route("/{side}/starlette-wait/{n}", wait),
            Route("/{side}/out", out),
        ]
    )


async def _until_gone_on(path):
    deadline = time.monotonic() + LIMIT_S
    try:
        while not gone_on(path) and time.monotonic() < deadline:  # noqa: ASYNC110 - the test says when
            await asyncio.sleep(0.01)
    except BaseException as error:
        saw(path, f"raised {type(error).__name__}")
        raise
    finally:
        saw(path, "ended")


async def django_stream(request, side, n):
    """Stream without an end, a query each chunk."""
    from django.http import StreamingHttpResponse

    from tests.django.library.models import Book

    async def chunks():
        try:
            for _ in range(ENDLESS):
                await Book.objects.acount()
                yield b"x" * 10_000
        except BaseException as error:
            saw(request.path, f"raised {type(error).__name__}")
            raise
        finally:
            saw(request.path, "ended")

    return StreamingHttpResponse(chunks())


async def django_wait(request, side, n):
    """Wait for the test."""
    from django.http import HttpResponse

    from tests.django.library.models import Book

    await Book.objects.acount()
    saw(request.path, "started")
    await _until_gone_on(request.path)
    return HttpResponse("answer")


def django_sync_wait(request, side, n):
    """Wait for the test in a thread, which nobody can cancel."""
    from django.http import HttpResponse

    from tests.django.library.models import Book

    Book.objects.count()
    saw(request.path, "started")
    deadline = time.monotonic() + LIMIT_S
    while not gone_on(request.path) and time.monotonic() < deadline:
        time.sleep(0.01)
    saw(request.path, "ended")
    return HttpResponse("answer")


def urlpatterns():
    """Return the routes of the Django views."""
    from django.urls import path

    return [
        path("<side>/django-stream/<n>", django_stream),
        path("<side>/django-wait/<n>", django_wait),
        path("<side>/django-sync-wait/<n>", django_sync_wait),
    ]


def asgi_application():
    """Return the ASGI application for uvicorn: Starlette and Django, bare and profiled."""
    from types import ModuleType

    from tests.faults.child import django_project

    routes = ModuleType("harmed_routes")
    sys.modules["harmed_routes"] = routes
    # Called within the loop, where Django refuses to touch a database.
    with ThreadPoolExecutor(1) as beside:
        beside.submit(
            django_project,
            0,
            ROOT_URLCONF="harmed_routes",
            QUERYSCOPE=SETTINGS,
            ALLOWED_HOSTS=["*"],
            DATABASES={
                "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": os.environ["LIBRARY"]}
            },
        ).result()
    routes.urlpatterns = urlpatterns()
    from django.conf import settings
    from django.core.asgi import get_asgi_application

    bare_django = get_asgi_application()
    settings.MIDDLEWARE = ["queryscope.django.Middleware"]
    profiled_django = get_asgi_application()
    bare = starlette_application(create_async_engine(os.environ["SHOP_ASYNC"]))
    profiled = asgi.Middleware(bare, SETTINGS)
    queryscope.install()

    async def application(scope, receive, send):
        if scope["type"] != "http":
            await profiled(scope, receive, send)
            return
        ours = scope["path"].startswith("/profiled/")
        if "django" in scope["path"]:
            chosen = profiled_django if ours else bare_django
        else:
            chosen = profiled if ours else bare
        await chosen(scope, receive, send)

    return application
