"""``GET /admin-board/``: the page that the operations desk keeps open."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.shortcuts import render

from booking.models import Location

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse

SHOWN = 50


def admin_board(request: HttpRequest) -> HttpResponse:
    """Show the first locations with their city and items."""
    locations = Location.objects.filter(active=True).order_by("pk")[:SHOWN]  # mend 3e, 3f
    return render(request, "legacy/admin_board.html", {"locations": locations})
