"""Views of the Django tests: a loop, a detail, a template, a failure, a stream."""

from __future__ import annotations

from django.http import HttpResponse, JsonResponse, StreamingHttpResponse
from django.template import Context, Template

from tests.django.library.models import Book, Genre


def book_list(request):
    """List books with their publishers, one query a book."""
    books = Book.objects.order_by("pk")  # mend the loop here
    return JsonResponse({"books": [book.publisher.name for book in books]})  # the loop


def book_detail(request, pk):
    """Show one book."""
    return JsonResponse({"title": Book.objects.get(pk=pk).title})


def book_page(request):
    """Render a page in whose template the loop stands."""
    template = Template("{% for book in books %}{{ book.publisher.name }} {% endfor %}")
    return HttpResponse(template.render(Context({"books": Book.objects.all()})))


def broken(request):
    """Query, then raise."""
    Book.objects.count()
    raise RuntimeError("the view is broken")


def stream(request):
    """Stream one line a book, a query each."""

    def lines():
        for book in Book.objects.order_by("pk"):
            yield f"{book.publisher.name}\n"

    return StreamingHttpResponse(lines())


def plain(request):
    """Answer without a query."""
    return HttpResponse(f"genres: {len(Genre.objects.none())}")
