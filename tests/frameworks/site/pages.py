"""Pages made with Jinja2 and with Django's templates, by a view and by a class."""

from __future__ import annotations

from django.core.management import call_command
from django.http import HttpResponse
from django.shortcuts import render
from django.views.generic import ListView

from tests.django.library.models import Book, Genre


def jinja(request):
    """Render books with Jinja2, a relation of each in the template."""
    return render(
        request,
        "books.jinja.html",
        {"books": Book.objects.order_by("pk")},  # by jinja
        using="jinja2",
    )


def jinja_repaired(request):
    """Render them with the relation loaded."""
    books = Book.objects.select_related("publisher").prefetch_related("genres").order_by("pk")
    return render(request, "books.jinja.html", {"books": books}, using="jinja2")


class BookList(ListView):
    """A generic view: its queryset and its template are all that is the user's."""

    model = Book
    template_name = "books.html"


class RepairedBookList(BookList):
    """The same with its relation."""

    queryset = Book.objects.select_related("publisher")


class BareList(ListView):
    """A generic view that streams, by library code alone."""

    model = Book
    template_name = "titles.html"


def command(request):
    """Call a management command within a request."""
    call_command("count_books")
    return HttpResponse(str(Genre.objects.count()))  # after the command
