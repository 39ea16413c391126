"""``GET /v2/admin-board/``: the page of the operations desk in two statements."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db.models import Prefetch
from django.shortcuts import render

from booking.models import Item, Location

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse

SHOWN = 50


def admin_board(request: HttpRequest) -> HttpResponse:
    """Show the first locations with their city and items."""
    locations = (
        Location.objects.filter(active=True)
        .select_related("city")
        .prefetch_related(Prefetch("items", Item.objects.order_by("pk")))
        .order_by("pk")[:SHOWN]
    )
    return render(request, "repaired/admin_board.html", {"locations": locations})
