"""Routes of the booking example: each legacy endpoint beside its repaired twin under ``/v2/``."""

from __future__ import annotations

from booking import health
from booking.legacy import board as legacy_board
from booking.legacy import discovery as legacy_discovery
from booking.legacy import items as legacy_items
from booking.repaired import board, discovery, items
from django.urls import path

urlpatterns = [
    path("health", health.health),
    path("discovery", legacy_discovery.DiscoveryView.as_view()),
    path("v2/discovery", discovery.DiscoveryView.as_view()),
    path("items/<int:location_id>", legacy_items.LocationItemsView.as_view()),
    path("v2/items/<int:location_id>", items.LocationItemsView.as_view()),
    path("admin-board/", legacy_board.admin_board),
    path("v2/admin-board/", board.admin_board),
]
