"""Authors, books and tags, with a relation of every kind."""

from __future__ import annotations

from itertools import pairwise

from django.contrib.contenttypes.fields import GenericForeignKey, GenericRelation
from django.contrib.contenttypes.models import ContentType
from django.db import models, transaction


class Author(models.Model):
    name = models.CharField(max_length=100)
    mentor = models.ForeignKey("self", models.SET_NULL, null=True, related_name="pupils")


class Profile(models.Model):
    author = models.OneToOneField(Author, models.CASCADE)
    text = models.CharField(max_length=100)


class Tag(models.Model):
    name = models.CharField(max_length=100, unique=True)


class Note(models.Model):
    content_type = models.ForeignKey(ContentType, models.CASCADE)
    object_id = models.BigIntegerField()
    target = GenericForeignKey()
    text = models.CharField(max_length=100)


class Book(models.Model):
    title = models.CharField(max_length=500)
    year = models.IntegerField()
    summary = models.CharField(max_length=500, default="")
    author = models.ForeignKey(Author, models.CASCADE, related_name="books")
    tags = models.ManyToManyField(Tag, related_name="books")
    notes = GenericRelation(Note)


FIRST_ID = 1_000_001
"""Rows that are there have ids above every sequence, so that new rows never meet them."""


def fill():
    """Make the rows anew, with the same ids each time."""
    with transaction.atomic(), transaction.atomic(using="second"):
        _fill()


def _fill():
    through = Book.tags.through
    for alias in ("second", "default"):
        for model in (Note, through, Book, Profile, Tag):
            model.objects.using(alias).all()._raw_delete(alias)
        Author.objects.using(alias).update(mentor=None)
        Author.objects.using(alias).all()._raw_delete(alias)
        authors = [Author(id=FIRST_ID + n, name=f"author {n}") for n in range(3)]
        for older, younger in pairwise(authors):
            younger.mentor = older
        Author.objects.using(alias).bulk_create(authors)
        books = [
            Book(id=FIRST_ID + n, title=f"book {n}", year=2000 + n, author=authors[n % 3])
            for n in range(6)
        ]
        Book.objects.using(alias).bulk_create(books)
    Profile.objects.bulk_create(
        [Profile(id=FIRST_ID + n, author=author, text="p") for n, author in enumerate(authors)]
    )
    tags = [Tag(id=FIRST_ID + n, name=f"tag {n}") for n in range(3)]
    Tag.objects.bulk_create(tags)
    through.objects.bulk_create(
        [
            through(id=FIRST_ID + 2 * n + m, book=book, tag=tags[(n + m) % 3])
            for n, book in enumerate(books)
            for m in range(2)
        ]
    )
    kind = ContentType.objects.get_for_model(Book)
    Note.objects.bulk_create(
        [
            Note(id=FIRST_ID + n, content_type=kind, object_id=book.id, text=f"note {n}")
            for n, book in enumerate(books[:3])
        ]
    )
