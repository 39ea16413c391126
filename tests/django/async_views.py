"""Async views of the Django tests, beside sync ones of the same queries."""

from __future__ import annotations

import asyncio

from asgiref.sync import async_to_sync, sync_to_async
from django.http import HttpResponse, JsonResponse, StreamingHttpResponse
from django.template import engines
from django.template.response import TemplateResponse
from django.urls import path

from tests.django import views
from tests.django.library.models import Book, Genre


async def loop(request):
    """List books with their publishers' names, one query a book."""
    names = []
    async for book in Book.objects.order_by("pk"):  # the books
        name = await sync_to_async(lambda book=book: book.publisher.name)()  # async loop
        names.append(name)
    return JsonResponse({"books": names})


async def helper_loop(request):
    """Ask in a loop through a sync helper of ours."""

    def name_of(book):
        return book.publisher.name  # in the helper

    books = [book async for book in Book.objects.order_by("pk")]
    return JsonResponse({"books": [await sync_to_async(name_of)(book) for book in books]})


async def gathered(request):
    """Ask twice at once: the ORM's own coroutines, and one of ours."""

    async def ours():
        return await Genre.objects.acount()  # ours

    counts = await asyncio.gather(Book.objects.acount(), ours())  # gather
    return JsonResponse({"counts": counts})


async def numbered(request, number):
    """Ask as often as the route says, others in between."""
    for _ in range(number):
        await Book.objects.filter(pk=1000 + number).aexists()
        await asyncio.sleep(0)
    return JsonResponse({"number": number})


async def broken(request):
    """Query, then raise."""
    await Book.objects.acount()
    raise RuntimeError("the view is broken")


async def slow(request):
    """Query, then wait longer than any client."""
    await Book.objects.acount()
    request.scope["asked"].set()
    await asyncio.sleep(60)


async def stream(request):
    """Stream one line a book."""

    async def lines():
        async for book in Book.objects.order_by("pk"):
            yield book.title + "\n"
            await Genre.objects.acount()  # in the stream

    return StreamingHttpResponse(lines())


async def broken_stream(request):
    """Stream a line, then raise."""

    async def lines():
        yield "first"
        await Genre.objects.acount()
        raise RuntimeError("the stream is broken")

    return StreamingHttpResponse(lines())


async def endless_stream(request):
    """Stream until the client is gone."""

    async def lines():
        while True:
            yield "line"
            await Genre.objects.acount()

    return StreamingHttpResponse(lines())


async def page(request):
    """Render a template lazily: Django renders it in a thread."""
    source = "{% for book in books %}{{ book.publisher.name }} {% endfor %}"
    template = engines["django"].from_string(source)
    return TemplateResponse(request, template, {"books": Book.objects.all()})


def in_between(request):
    """Go back and forth between threads and coroutines in a sync view."""

    async def inner():
        return await Book.objects.acount()  # inner coroutine

    return HttpResponse(str(async_to_sync(inner)()))  # outer sync line


urlpatterns = [
    path("loop/", loop),
    path("helper/", helper_loop),
    path("gathered/", gathered),
    path("numbered/<int:number>/", numbered),
    path("broken/", broken),
    path("slow/", slow),
    path("stream/", stream),
    path("stream/broken/", broken_stream),
    path("stream/endless/", endless_stream),
    path("page/", page),
    path("between/", in_between),
    path("sync/", views.book_list),
    path("sync/stream/", views.stream),
]


def sync_middleware(get_response):
    """Ask the database before each request, in sync code."""

    def middleware(request):
        Genre.objects.count()  # in the middleware
        return get_response(request)

    return middleware
