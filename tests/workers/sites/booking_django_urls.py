"""The Django example, and beside it what it does not do: streams, files, empty answers."""

from __future__ import annotations

import os
import time
from pathlib import Path

from booking.models import City
from django.db import connection
from django.http import FileResponse, HttpResponse, HttpResponseNotModified, StreamingHttpResponse
from django.urls import path
from site_config.urls import urlpatterns as own


def cities():
    """Return how many there are, by one statement."""
    return City.objects.count()


def pid(request):
    """Tell which process answers."""
    return HttpResponse(f"{cities() * 0 + os.getpid()}")


def empty(request):
    """Answer without a body."""
    cities()
    return HttpResponse(status=204)


def unchanged(request):
    """Say that the client has it."""
    cities()
    return HttpResponseNotModified()


def mixed(request, number):
    """Ask five times by a statement that tells the request, and let others run in between."""
    with connection.cursor() as cursor:
        for part in range(5):
            cursor.execute(f"SELECT 1 AS n{number}_{part}")
            time.sleep(0.002)
    return HttpResponse(f"{number}")


def slow(request):
    """Ask, take a while, ask again."""
    cities()
    Path("slow-began").touch()
    time.sleep(float(request.GET.get("seconds", "0.5")))
    return HttpResponse(f"{cities()}")


def stream(request):
    """Send a statement's answer in each part."""

    def parts():
        for number in range(int(request.GET.get("parts", "3"))):
            yield f"{number}: {cities()}\n".encode()

    async def parts_apart():
        for number in range(int(request.GET.get("parts", "3"))):
            yield f"{number}: {await City.objects.acount()}\n".encode()

    apart = "asgi" in type(request).__name__.lower()
    return StreamingHttpResponse(parts_apart() if apart else parts())


def file(request):
    """Send a file as the server can do by itself."""
    cities()
    return FileResponse(Path(__file__).open("rb"), filename="urls.py")


def part(request):
    """Say what a file says that may change."""
    from part import VALUE

    return HttpResponse(f"{cities() * 0 + VALUE}")


def broken(request):
    """Fail."""
    cities()
    raise LookupError("broken on purpose")


if "SITE_PART" in os.environ:
    import part as _  # noqa: F401 - reloaders watch what is imported

urlpatterns = [
    *own,
    path("cases/pid", pid),
    path("cases/empty", empty),
    path("cases/unchanged", unchanged),
    path("cases/mixed/<int:number>", mixed),
    path("cases/slow", slow),
    path("cases/stream", stream),
    path("cases/file", file),
    path("cases/part", part),
    path("cases/broken", broken),
]
