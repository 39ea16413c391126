"""Async applications that are cancelled at each of their awaits, in processes of their own."""

# A child speaks to its test by printing; how a cancelled request ends is what is compared.
# ruff: noqa: T201, BLE001

from __future__ import annotations

import asyncio
import gc
import io
import sys

from django.urls import path

from queryscope import asgi, runtime
from queryscope.trace import guard
from queryscope.trace.scope import ACTIVE
from tests.asgi.caller import call, scope_of
from tests.faults.child import django_project
from tests.faults.facts import facts_of

SETTINGS = {"mode": "development", "console": False, "store": False, "recording": "full"}


class Cancelling:
    """Awaits a coroutine; while it waits for the n-th time, its task is cancelled.

    Attributes:
        waits: How often it has waited.
    """

    def __init__(self, coroutine, number):
        """Choose the await; 0 for none."""
        self._coroutine = coroutine
        self._number = number
        self.waits = 0

    def __await__(self):
        """Hand on what the coroutine waits for."""
        inner = self._coroutine.__await__()
        throw = None
        while True:
            try:
                future = inner.send(None) if throw is None else inner.throw(throw)
            except StopIteration as end:
                return end.value
            throw = None
            self.waits += 1
            if self.waits == self._number:
                asyncio.current_task().cancel()
            try:
                yield future
            except BaseException as error:
                throw = error


class StarletteSide:
    """A Starlette application on SQLAlchemy's asyncio: a session, tasks, a stream."""

    def __init__(self):
        """Fill a shop."""
        from sqlalchemy import create_engine
        from sqlalchemy.ext.asyncio import create_async_engine

        from tests.sqlalchemy.shop import fill

        engine = create_engine("sqlite:///shop.db")
        fill(engine)
        engine.dispose()
        self.make_engine = lambda: create_async_engine("sqlite+aiosqlite:///shop.db", pool_size=3)

    async def opened(self):
        """Give the application without us and with us, in this loop."""
        self.engine = self.make_engine()
        bare = self.application()
        return bare, asgi.Middleware(bare, SETTINGS)

    async def work(self, app, seen):
        """Serve one request."""
        answer = await call(app, "/stream", state={"seen": seen})
        return answer.status, answer.body

    async def clean(self):
        """Return what the application has left."""
        for _ in range(50):  # who was cancelled gives his connection back in a task of its own
            if self.engine.pool.checkedout() == 0:
                break
            await asyncio.sleep(0.01)
        out = self.engine.pool.checkedout()
        await self.engine.dispose()  # each request connects anew, and may be cancelled there
        return out

    async def closed(self):
        """Close the connections of this loop."""
        await self.engine.dispose()

    def application(self):
        """Return an application that does a little of everything."""
        from sqlalchemy import select, text
        from sqlalchemy.ext.asyncio import AsyncSession
        from starlette.applications import Starlette
        from starlette.responses import StreamingResponse
        from starlette.routing import Route

        from tests.sqlalchemy.shop import Author

        engine = self.engine

        async def ask():
            async with engine.connect() as connection:
                await connection.execute(text("SELECT 1"))

        async def stream(request):
            seen = request.scope["state"]["seen"]
            try:
                async with AsyncSession(engine) as session, session.begin():
                    authors = (await session.scalars(select(Author))).all()
                    async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
                        tasks.create_task(ask())
                    await session.refresh(authors[0])
            except BaseException as error:
                seen.append(f"view {type(error).__name__}")
                raise

            async def chunks():
                try:
                    for number in range(2):
                        await ask()
                        yield f"{number}\n"
                except BaseException as error:
                    seen.append(f"stream {type(error).__name__}")
                    raise
                finally:
                    seen.append("ended")

            return StreamingResponse(chunks())

        return Starlette(routes=[Route("/stream", stream)])


class DjangoSide:
    """Django's async ORM: gather, a task group, a stream."""

    def __init__(self):
        """Make some books."""
        django_project(
            2,
            ROOT_URLCONF="tests.faults.cancelled",
            QUERYSCOPE=SETTINGS,
            ALLOWED_HOSTS=["*"],
            LOGGING_CONFIG=None,
            DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "library.db"}},
        )

    async def opened(self):
        """Give the handler without us and with us."""
        from django.conf import settings
        from django.core.handlers.asgi import ASGIHandler

        settings.MIDDLEWARE = []
        bare = ASGIHandler()
        settings.MIDDLEWARE = ["queryscope.django.Middleware"]
        return bare, ASGIHandler()

    async def work(self, handler, seen):
        """Serve one request in this task; Django's own handler starts others."""
        from asgiref.sync import sync_to_async
        from django.core.handlers.asgi import ASGIRequest

        request = ASGIRequest(scope_of("/"), io.BytesIO())
        request.seen = seen
        response = await handler.get_response_async(request)
        try:
            return response.status_code, [chunk async for chunk in response]
        finally:
            await sync_to_async(response.close)()

    async def clean(self):
        """Return what the application has left: nothing that can be seen."""

    async def closed(self):
        """Leave the connection to its thread."""


async def books(request):
    """Do a little of everything, and stream."""
    from django.http import StreamingHttpResponse

    from tests.django.library.models import Book

    try:
        first = await Book.objects.aget(pk=1)
        await first.asave()
        await asyncio.gather(Book.objects.acount(), Book.objects.afirst())
        assert [genre.name async for genre in first.genres.all()]
        async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
            tasks.create_task(Book.objects.aexists())
    except BaseException as error:
        request.seen.append(f"view {type(error).__name__}")
        raise

    async def chunks():
        try:
            async for book in Book.objects.order_by("pk"):
                yield f"{book.title}\n"
        except BaseException as error:
            request.seen.append(f"stream {type(error).__name__}")
            raise
        finally:
            request.seen.append("ended")

    return StreamingHttpResponse(chunks())


urlpatterns = [path("", books)]


async def _outcome(side, app, number):
    """Return how one request ends that is cancelled at its ``number``-th await."""
    seen = []
    request = Cancelling(side.work(app, seen), number)

    async def awaited():
        return await request

    try:
        got = await asyncio.create_task(awaited())
    except BaseException as error:
        got = type(error).__name__
    return got, seen, request.waits, await side.clean()


async def _facts(side, app):
    await side.work(app, [])
    await side.clean()
    await asyncio.to_thread(runtime.get().flush, 20)
    return facts_of(runtime.get().ring.newest(1)[0].trace)


async def _ended_since(last, lost):
    """Return the Trace after the last one; or None where it was lost, and counted.

    Who is cancelled while a thread is to close his response may leave it open. Without that the
    thread may close it a little later.
    """
    for _ in range(1000):
        await asyncio.to_thread(runtime.get().flush, 20)
        newest = runtime.get().ring.newest(1)[0].trace
        if newest.id != last:
            return newest
        gc.collect()
        if runtime.get().lost > lost:
            return None
        await asyncio.sleep(0.01)
    raise AssertionError("a request has no Trace, and is not counted as lost")


async def _compared(side, stride, first):
    bare, profiled = await side.opened()
    await _facts(side, profiled)
    await _facts(side, profiled)
    before = await _facts(side, profiled)
    number, tries = first, 0
    while True:
        wanted = await _outcome(side, bare, number)
        ended, lost = runtime.get().ring.newest(1)[0].trace.id, runtime.get().lost
        got = await _outcome(side, profiled, number)
        assert got == wanted, f"await {number}: {wanted} {got}"
        assert ACTIVE.get() is None
        if got[2] < number:
            break
        tries += 1
        trace = await _ended_since(ended, lost)
        if any("CancelledError" in event for event in got[1]):
            assert trace
            assert trace.error == "asyncio.exceptions.CancelledError", (number, trace.error)
        after = await _facts(side, profiled)
        assert after["counts"][1] == ({} if trace else {"traces": 1}), (number, after["counts"])
        after["counts"][1].clear()
        assert after == before, f"await {number}:\n{before}\n{after}"
        number += stride
    await side.closed()
    return tries


def cancelled(side, stride=1, first=1):
    """Cancel a request at each await, without us and with us: it ends alike, and harms no other.

    Args:
        side: One of the classes above.
        stride: Awaits from one that is tried to the next.
        first: The first of them.
    """
    tries = asyncio.run(_compared(side(), stride, first))
    gc.collect()
    print(tries, "awaits", file=sys.stderr)
    print(guard.failures())
    print("enough" if tries >= 5 else f"only {tries}")
