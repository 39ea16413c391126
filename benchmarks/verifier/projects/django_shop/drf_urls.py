"""The shop on Django REST framework."""

from __future__ import annotations

from asked import Unfit
from django.urls import path
from rest_framework.exceptions import ParseError
from rest_framework.response import Response
from rest_framework.views import APIView
from shop import views


class Shop(APIView):
    """What a view of the shop answers."""

    name = ""

    def answer(self, request, more):
        """Return the answer of the view of that name."""
        asked = {**request.query_params.dict(), **more}
        try:
            status, data = getattr(views, self.name)(request.headers.get("X-User", ""), asked)
        except Unfit as error:
            raise ParseError(str(error)) from error
        return Response(data, status)


class Read(Shop):
    """One that reads."""

    def get(self, request, **more):
        """Answer."""
        return self.answer(request, more)


class Write(Shop):
    """One that writes."""

    def post(self, request, **more):
        """Answer."""
        return self.answer(request, more)


urlpatterns = [
    path("orders", Read.as_view(name="orders")),
    path("orders/<str:id>", Read.as_view(name="order")),
    path("orders/<str:id>/pay", Write.as_view(name="pay")),
    path("products", Read.as_view(name="products")),
    path("customers", Read.as_view(name="customers")),
    path("categories", Read.as_view(name="categories")),
]
