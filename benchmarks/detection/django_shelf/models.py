"""A small library and shop: every kind of relation once."""

from __future__ import annotations

import uuid

from django.contrib.contenttypes.fields import GenericForeignKey, GenericRelation
from django.contrib.contenttypes.models import ContentType
from django.db import models


class Publisher(models.Model):
    """Publishes books."""

    name = models.CharField(max_length=100)
    country = models.CharField(max_length=2, default="DE")


class Author(models.Model):
    """Writes books."""

    name = models.CharField(max_length=100)
    country = models.CharField(max_length=2, default="DE")

    def __str__(self):
        return self.name


class Profile(models.Model):
    """About an author; every second author has one."""

    author = models.OneToOneField(Author, models.CASCADE, related_name="profile")
    motto = models.CharField(max_length=100)


class Tag(models.Model):
    """What a book is about."""

    name = models.CharField(max_length=50)


class Note(models.Model):
    """About anything."""

    text = models.CharField(max_length=100)
    content_type = models.ForeignKey(ContentType, models.CASCADE)
    object_id = models.PositiveIntegerField()
    about = GenericForeignKey("content_type", "object_id")


class Book(models.Model):
    """Each has an author and a publisher of its own; every second one has an editor."""

    title = models.CharField(max_length=100)
    isbn = models.CharField(max_length=20, unique=True)
    status = models.CharField(max_length=10, default="ready")
    price = models.IntegerField(default=10)
    summary = models.TextField(default="")
    author = models.ForeignKey(Author, models.CASCADE, related_name="books")
    publisher = models.ForeignKey(Publisher, models.CASCADE, related_name="books")
    editor = models.ForeignKey(Author, models.CASCADE, null=True, related_name="edited")
    tags = models.ManyToManyField(Tag, related_name="books")
    notes = GenericRelation(Note)

    @property
    def line(self):
        """The book with its author."""
        return f"{self.title} by {self.author.name}"

    def cheaper_than(self, price):
        """Tell whether it costs less."""
        return self.price < price


class Review(models.Model):
    """Two of each book."""

    book = models.ForeignKey(Book, models.CASCADE, related_name="reviews")
    stars = models.IntegerField()
    text = models.CharField(max_length=100, default="")

    def __str__(self):
        return f"{self.stars} for {self.book.title}"


class Employee(models.Model):
    """Everybody but the first has a boss of their own: a chain."""

    name = models.CharField(max_length=100)
    boss = models.ForeignKey("self", models.CASCADE, null=True, related_name="team")


class Product(models.Model):
    """The parent of multi-table inheritance."""

    name = models.CharField(max_length=100)
    shelf = models.ForeignKey(Publisher, models.CASCADE, null=True)


class Disc(Product):
    """The child."""

    minutes = models.IntegerField(default=60)


class Ticket(models.Model):
    """Has a key that is no number."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    subject = models.CharField(max_length=100)


class Option(models.Model):
    """Configuration."""

    name = models.CharField(max_length=50, unique=True)
    value = models.CharField(max_length=50)


class Stock(models.Model):
    """How many of a book are there."""

    book = models.OneToOneField(Book, models.CASCADE, related_name="stock")
    quantity = models.IntegerField(default=5)


class Entry(models.Model):
    """What happened; written by the scenarios, empty at first."""

    text = models.CharField(max_length=100)
    number = models.IntegerField(default=0)


class Reading(models.Model):
    """Of a sensor: many rows, as many at every size."""

    sensor = models.IntegerField(db_index=True)
    taken = models.IntegerField()
    value = models.IntegerField()
    comment = models.CharField(max_length=200, default="")


class Shelfmark(models.Model):
    """Where a book stands; its two indexes begin alike."""

    book = models.ForeignKey(Book, models.CASCADE, related_name="shelfmarks")
    room = models.CharField(max_length=10)
    place = models.IntegerField(default=0)

    class Meta:
        """The first index is a beginning of the second."""

        indexes = [
            models.Index(fields=["room"], name="shelfmark_room"),
            models.Index(fields=["room", "place"], name="shelfmark_room_place"),
        ]


class Loan(models.Model):
    """Of a book, which only the ORM knows."""

    book = models.ForeignKey(Book, models.DO_NOTHING, db_constraint=False)
    day = models.IntegerField(db_index=True)
    returned = models.BooleanField(default=False)
