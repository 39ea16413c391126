"""Views, middlewares and routes that do with requests and responses what applications do."""

from __future__ import annotations

import io
import pickle

from django.core.cache import cache
from django.db import connection, transaction
from django.http import FileResponse, HttpResponse, JsonResponse, StreamingHttpResponse
from django.template.response import SimpleTemplateResponse
from django.urls import path

from tests.django.library.models import Book


def count(request):
    """Ask once."""
    return JsonResponse({"books": Book.objects.count()})


def loop(request):
    """Ask for each book."""
    return JsonResponse({"names": [book.publisher.name for book in Book.objects.all()]})


async def asynchronous(request):
    """Await; under WSGI Django runs it in a loop of its own."""
    return JsonResponse({"books": await Book.objects.acount()})


class ObjectView:
    """A view that is an object, with its own idea of attributes."""

    def __call__(self, request):
        """Ask once."""
        return count(request)

    def __getattr__(self, name):
        """Have no attribute, in a way that nobody expects."""
        if name in ("_non_atomic_requests", "csrf_exempt", "_is_coroutine"):
            raise AttributeError(name)
        if name.startswith("_is_coroutine"):
            raise AttributeError(name)
        raise KeyError(name)


def a_file(request):
    """Send a file."""
    return FileResponse(io.BytesIO(b"content"), filename="x.txt")


def stream(request):
    """Stream, a query each line."""

    def lines():
        for book in Book.objects.order_by("pk"):
            yield f"{book.publisher.name}\n"

    return StreamingHttpResponse(lines())


def broken_stream(request):
    """Stream, then raise."""

    def lines():
        yield f"{Book.objects.count()}\n"
        raise RuntimeError("broken stream")

    return StreamingHttpResponse(lines())


def timing(request):
    """Send a Server-Timing of its own."""
    return HttpResponse("x", headers={"Server-Timing": "own;dur=1"})


def not_modified(request):
    """Answer 304."""
    return HttpResponse(status=304, headers={"ETag": '"x"'})


def rendered_late(request):
    """Give a response that is rendered after the view."""

    class Late(SimpleTemplateResponse):
        @property
        def rendered_content(self):
            return f"{Book.objects.count()} books"

    return Late("none.html")


def broken(request):
    """Ask, then raise."""
    Book.objects.count()
    raise RuntimeError("broken view")


def cursor(request):
    """Talk to the driver."""
    with connection.cursor() as found:
        found.execute("SELECT title FROM library_book ORDER BY id")
        rows = [found.fetchone(), *found.fetchmany(2), *found]
    return JsonResponse({"rows": rows})


def own_close(request):
    """Replace ``close`` of a response, as libraries do."""
    response = HttpResponse("x")
    original = response.close

    def close():
        closed.append("own")
        original()

    response.close = close
    return response


def busy(request):
    """Do a little of everything."""
    with transaction.atomic():
        books = list(Book.objects.select_related("publisher").prefetch_related("genres")[:3])
        with transaction.atomic():
            books[0].title = "changed"
            books[0].save()

    def lines():
        for book in Book.objects.order_by("pk")[:2]:
            yield f"{book.publisher.name} {book.reviews.count()}\n"

    return StreamingHttpResponse(lines())


closed = []


class KeepsPickles:
    """Keeps each response in the cache, as a cache in front of the site does."""

    def __init__(self, get_response):
        """Take the next middleware."""
        self.get_response = get_response

    def __call__(self, request):
        """Answer, and keep the answer."""
        response = self.get_response(request)
        if not response.streaming:
            cache.set("response", response)
            closing = pickle.loads(pickle.dumps(response))
            closing.close()
        return response


class Raises:
    """Raises after the view, where Django makes a response of it that nobody asked for."""

    def __init__(self, get_response):
        """Take the next middleware."""
        self.get_response = get_response

    def __call__(self, request):
        """Raise."""
        self.get_response(request)
        raise RuntimeError("broken middleware")


urlpatterns = [
    path("count/", count),
    path("loop/", loop),
    path("asynchronous/", asynchronous),
    path("object/", ObjectView()),
    path("file/", a_file),
    path("stream/", stream),
    path("broken-stream/", broken_stream),
    path("timing/", timing),
    path("not-modified/", not_modified),
    path("late/", rendered_late),
    path("broken/", broken),
    path("busy/", busy),
    path("cursor/", cursor),
    path("own-close/", own_close),
]
