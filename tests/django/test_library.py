"""The library application itself: its tables are there on both aliases."""

from __future__ import annotations

import pytest

from tests.django.library.models import Author, Book, BookDetail, Genre, Publisher, Review, Tag


@pytest.mark.django_db(databases=["default", "second"])
@pytest.mark.parametrize("alias", ["default", "second"])
def test_every_relation_of_a_book_is_readable(alias):
    """A book with one object at the end of each relation gives them back, on either alias."""
    publisher = Publisher.objects.using(alias).create(name="Hollow Lane")
    editor = Author.objects.using(alias).create(name="Ada")
    first = Book.objects.using(alias).create(title="One", publisher=publisher)
    book = Book.objects.using(alias).create(
        title="Two", publisher=publisher, editor=editor, sequel_of=first
    )
    book.genres.add(Genre.objects.using(alias).create(name="Crime"))
    BookDetail.objects.using(alias).create(book=book, isbn="9780000000002")
    Review.objects.using(alias).create(book=book, text="Good.", stars=4)
    tag = Tag.objects.using(alias).create(name="new", target=book)

    again = Book.objects.using(alias).get(title="Two")
    assert (again.publisher, again.editor, again.sequel_of) == (publisher, editor, first)
    assert [str(genre) for genre in again.genres.all()] == ["Crime"]
    assert again.detail.isbn == "9780000000002"
    assert [review.stars for review in again.reviews.all()] == [4]
    assert list(again.tags.all()) == [tag]
    assert tag.target == book
