"""Views that hold a pooled connection: idle, in a thread of their own, and as they should."""

from __future__ import annotations

import asyncio
import threading
import time

from django.db import connections
from django.http import HttpResponse
from django.urls import path

from tests.django.library.models import Genre


def fine(request):
    """Ask, and answer at once."""
    return HttpResponse(str(Genre.objects.using("pooled").count()))


def idle(request):
    """Ask, and go on with something else while the connection is out."""
    count = Genre.objects.using("pooled").count()  # the last statement
    time.sleep(0.06)
    return HttpResponse(str(count))


def in_thread(request):
    """Ask in a thread that does not give its connection back."""
    kept = []

    def ask():
        Genre.objects.using("pooled").count()  # asked in the thread
        kept.append(connections["pooled"])

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    LEFT.extend(kept)
    return HttpResponse("asked")


async def awaited(request):
    """Ask from a coroutine, and from two at a time."""
    count = await Genre.objects.using("pooled").acount()
    await asyncio.gather(*(Genre.objects.using("pooled").acount() for _ in range(2)))
    return HttpResponse(str(count))


LEFT: list[object] = []
"""Connections that ``in_thread`` took, for the test to give back."""

urlpatterns = [
    path("fine/", fine),
    path("idle/", idle),
    path("thread/", in_thread),
    path("awaited/", awaited),
]
