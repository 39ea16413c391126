"""Models with one relation of every kind that Django can load lazily."""

from __future__ import annotations

from django.contrib.contenttypes.fields import GenericForeignKey, GenericRelation
from django.contrib.contenttypes.models import ContentType
from django.db import models


class Publisher(models.Model):
    """Has many books: the target of a foreign key that is never null."""

    name = models.CharField(max_length=100)

    def __str__(self) -> str:
        return self.name


class Author(models.Model):
    """Edits books: the target of a foreign key that may be null."""

    name = models.CharField(max_length=100)

    def __str__(self) -> str:
        return self.name


class Genre(models.Model):
    """Shared by many books: the far end of a many-to-many relation."""

    name = models.CharField(max_length=100)

    def __str__(self) -> str:
        return self.name


class Book(models.Model):
    """The centre of the library: every relation starts or ends here."""

    title = models.CharField(max_length=200)
    publisher = models.ForeignKey(Publisher, models.CASCADE, related_name="books")
    editor = models.ForeignKey(Author, models.SET_NULL, null=True, related_name="edited")
    genres = models.ManyToManyField(Genre, related_name="books")
    sequel_of = models.ForeignKey("self", models.SET_NULL, null=True, related_name="sequels")
    tags = GenericRelation("Tag")

    def __str__(self) -> str:
        return self.title


class BookDetail(models.Model):
    """One to one with a book, and not present for all of them."""

    book = models.OneToOneField(Book, models.CASCADE, related_name="detail")
    isbn = models.CharField(max_length=13)

    def __str__(self) -> str:
        return self.isbn


class Review(models.Model):
    """Many for a book: the reverse side of a foreign key."""

    book = models.ForeignKey(Book, models.CASCADE, related_name="reviews")
    text = models.TextField()
    stars = models.PositiveSmallIntegerField()

    def __str__(self) -> str:
        return f"{self.stars} stars"


class Tag(models.Model):
    """A label on any object, through a generic foreign key."""

    name = models.CharField(max_length=50)
    content_type = models.ForeignKey(ContentType, models.CASCADE)
    object_id = models.PositiveBigIntegerField()
    target = GenericForeignKey("content_type", "object_id")

    def __str__(self) -> str:
        return self.name
