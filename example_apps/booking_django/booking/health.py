"""The health endpoint: the process answers and so does its database."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import connection
from django.http import HttpResponse

if TYPE_CHECKING:
    from django.http import HttpRequest


def health(_request: HttpRequest) -> HttpResponse:
    """Answer 200 and ``ok`` after one statement."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        cursor.fetchone()
    return HttpResponse("ok", content_type="text/plain")
