"""Source to look positions up in."""

from __future__ import annotations

import pytest

from tests.detectors.judging import Source

VIEW = """\
def view(keys):
    books = Book.objects.filter(price=1).order_by("pk")
    for book in books:
        publisher = book.publisher
        helper(book)
    else:
        after(book)
    names = [book.editor for book in books if book.shown]
    while books.count():
        turn()
    for page in range(3):
        ask(page)
    for key in ("a", "b"):
        time.sleep(1)
        look(key)
    once(keys)
    list(map(helper, keys))
    sorted(keys, key=helper)
    pairs = [(a, b) for a in outer() for b in inner(a)]
    for row in keys:
        def later():
            return inside(row)
        run(lambda: deep(row))
    Book.objects.get(
        pk=1,
    )
    totals = (Book.objects
        .filter(price=2)
        .values("price")
        .count())
    first, *rest = Book.objects.all()
    return render(books)
"""


@pytest.fixture
def view(tmp_path):
    """A view with a loop of every kind."""
    return Source(tmp_path, VIEW)
