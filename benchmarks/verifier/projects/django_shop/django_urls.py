"""The shop on Django's own views."""

from __future__ import annotations

from asked import Unfit
from django.http import JsonResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods
from shop import views


def answering(name, method):
    """Return a view of Django's that answers what a view of the shop does."""

    @csrf_exempt
    @require_http_methods([method])
    def view(request, **more):
        asked = {**request.GET.dict(), **more}
        try:
            status, data = getattr(views, name)(request.headers.get("X-User", ""), asked)
        except Unfit as error:
            status, data = 400, {"error": str(error)}
        return JsonResponse(data, status=status, safe=False)

    return view


urlpatterns = [
    path("orders", answering("orders", "GET")),
    path("orders/<str:id>", answering("order", "GET")),
    path("orders/<str:id>/pay", answering("pay", "POST")),
    path("products", answering("products", "GET")),
    path("customers", answering("customers", "GET")),
    path("categories", answering("categories", "GET")),
]
