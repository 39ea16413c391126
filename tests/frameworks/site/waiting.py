"""Async views of the site: tasks, streams, batches; as one writes them first, and repaired."""

from __future__ import annotations

import asyncio
import threading

from asgiref.sync import sync_to_async
from django.http import JsonResponse, StreamingHttpResponse

from tests.django.library.models import Author, Book, BookDetail, Genre

state = {}


async def isbn_of(book):
    """Look one detail up."""
    detail = await BookDetail.objects.aget(book_id=book.pk)  # in a task
    return detail.isbn


async def gathered(request):
    """Gather a look-up for each book."""
    books = [book async for book in Book.objects.order_by("pk")]
    return JsonResponse({"isbns": await asyncio.gather(*(isbn_of(book) for book in books))})


async def grouped(request):
    """Look up in a group of tasks, which start tasks of their own."""
    books = [book async for book in Book.objects.order_by("pk")]

    async def outer(book):
        return await asyncio.create_task(isbn_of(book))

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(outer(book)) for book in books]
    return JsonResponse({"isbns": [task.result() for task in tasks]})


async def at_once(request):
    """Look all details up in one statement."""
    found = BookDetail.objects.filter(book__in=[book async for book in Book.objects.all()])
    return JsonResponse({"isbns": [detail.isbn async for detail in found]})


async def one_by_one(request):
    """Write rows in a loop."""
    for number in range(6):
        await Author.objects.acreate(name=f"author {number}")  # written
    return JsonResponse({})


async def bulk(request):
    """Write rows in one statement, read them with aliases for the verbs, and update them."""
    await Author.objects.abulk_create([Author(name=f"author {n}") for n in range(20)])  # bulk
    authors = await Author.objects.ain_bulk()  # in bulk
    await Author.objects.abulk_update(authors.values(), ["name"])  # update
    return JsonResponse({"authors": len(authors)})


async def stream(request):
    """Stream lines, a query each."""

    async def lines():
        async for book in Book.objects.order_by("pk"):  # streamed
            publisher = await sync_to_async(lambda book=book: book.publisher)()  # stream loop
            yield f"{publisher.name}\n"

    return StreamingHttpResponse(lines())


async def stream_repaired(request):
    """Stream lines with their relation."""

    async def lines():
        async for book in Book.objects.select_related("publisher").order_by("pk"):
            yield f"{book.publisher.name}\n"

    return StreamingHttpResponse(lines())


def sync_stream(request):
    """Stream lines, a query each, without a loop of asyncio's."""

    def lines():
        for book in Book.objects.order_by("pk"):  # sync streamed
            yield f"{book.publisher.name}\n"  # sync stream loop

    return StreamingHttpResponse(lines())


def sync_stream_repaired(request):
    """Stream lines with their relation, without a loop of asyncio's."""
    books = Book.objects.select_related("publisher").order_by("pk")
    return StreamingHttpResponse(f"{book.publisher.name}\n" for book in books)


def outliving(request):
    """Leave a thread behind that asks when it is let go."""
    state["let go"] = threading.Event()

    def goes_on():
        state["let go"].wait(30)
        Genre.objects.count()
        state["close"]()

    state["thread"] = threading.Thread(target=goes_on)
    state["thread"].start()
    return JsonResponse({})
