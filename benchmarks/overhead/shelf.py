"""Models, views and routes of the Django project: as many queries as the URL says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import models
from django.http import JsonResponse
from django.urls import path

if TYPE_CHECKING:
    from django.http import HttpRequest


class Shelf(models.Model):
    """Holds one book."""

    name = models.CharField(max_length=50)

    class Meta:
        """Of no application: the project has one module."""

        app_label = "shelf"

    def __str__(self) -> str:
        """Return the name."""
        return self.name


class Book(models.Model):
    """What is queried."""

    title = models.CharField(max_length=100)
    author = models.CharField(max_length=100)
    pages = models.IntegerField()
    shelf = models.ForeignKey(Shelf, models.CASCADE)

    class Meta:
        """Of no application: the project has one module."""

        app_label = "shelf"

    def __str__(self) -> str:
        """Return the title."""
        return self.title


def describe(number: int) -> dict[str, Any]:
    """Return one book: one query by its primary key, and what was read."""
    book = Book.objects.get(pk=number)
    return {"title": book.title, "author": book.author, "pages": book.pages}


def books(_: HttpRequest, count: int) -> JsonResponse:
    """Answer with ``count`` books, one query each."""
    return JsonResponse([describe(number) for number in range(1, count + 1)], safe=False)


def shelves(_: HttpRequest, count: int) -> JsonResponse:
    """Answer with the shelves of ``count`` books, each loaded by reading ``book.shelf``."""
    found = Book.objects.order_by("pk")[:count]
    return JsonResponse([book.shelf.name for book in found], safe=False)


def rows(_: HttpRequest, count: int) -> JsonResponse:
    """Answer with ``count`` books of one query: four columns of each are read."""
    found = [
        {"id": book.pk, "title": book.title, "author": book.author, "pages": book.pages}
        for book in Book.objects.order_by("pk")[:count]
    ]
    return JsonResponse(found, safe=False)


def serialized(_: HttpRequest, count: int) -> JsonResponse:
    """Answer with ``count`` books of one query, by a serializer of Django REST framework."""
    from rest_framework.serializers import ModelSerializer

    class BookSerializer(ModelSerializer):  # type: ignore[type-arg] # its stubs alone are generic
        class Meta:
            model = Book
            fields = ("id", "title", "author", "pages")

    found = Book.objects.order_by("pk")[:count]
    return JsonResponse(BookSerializer(found, many=True).data, safe=False)


urlpatterns = [
    path("books/<int:count>", books),
    path("shelves/<int:count>", shelves),
    path("rows/<int:count>", rows),
    path("serialized/<int:count>", serialized),
]
