"""Fixtures of the Django tests: a small library and the hooks."""

from __future__ import annotations

import pytest

from tests.django.library.models import Author, Book, BookDetail, Genre, Publisher, Review, Tag
from tests.django.recorded import hooked

__all__ = ["books", "hooked"]


def make_books(count=6, alias="default"):
    """Make ``count`` books with every relation filled, three publishers between them."""
    publishers = [Publisher.objects.using(alias).create(name=f"p{n}") for n in range(3)]
    editor = Author.objects.using(alias).create(name="Ada")
    genres = [Genre.objects.using(alias).create(name=f"g{n}") for n in range(2)]
    made = []
    for number in range(count):
        book = Book.objects.using(alias).create(
            title=f"book {number}",
            publisher=publishers[number % 3],
            editor=editor,
            sequel_of=made[-1] if made else None,
        )
        book.genres.set(genres)
        BookDetail.objects.using(alias).create(book=book, isbn=str(number))
        Review.objects.using(alias).create(book=book, text="Good.", stars=number)
        Tag.objects.using(alias).create(name="new", target=book)
        made.append(book)
    return made


@pytest.fixture
def books(db):
    """Six books with every relation filled."""
    return make_books()
