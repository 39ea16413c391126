"""The rows: as many of each table as the size says, and as many readings at every size."""

from __future__ import annotations

import uuid

from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType
from django.core.management.color import no_style
from django.db import connection, transaction
from django.test import Client

from benchmarks.detection.django_shelf.models import (
    Author,
    Book,
    Disc,
    Employee,
    Entry,
    Note,
    Option,
    Product,
    Profile,
    Publisher,
    Reading,
    Review,
    Stock,
    Tag,
    Ticket,
)

READINGS = 6_000
session: str
"""The key of a session of somebody who may see everything; made with the tables."""
FILLED = (
    Stock, Review, Note, Profile, Disc, Product, Employee, Ticket, Option, Entry, Book.tags.through,
    Book, Tag, Publisher, Author,
)  # fmt: skip
"""Children before parents."""


def make_tables():
    """Make every table, the readings in theirs, and a session."""
    global session
    from django.core.management import call_command

    if Book._meta.db_table not in connection.introspection.table_names():
        call_command("migrate", "contenttypes", verbosity=0, interactive=False)  # notes need them
        call_command("migrate", run_syncdb=True, verbosity=0, interactive=False)
    if not Reading.objects.exists():
        Reading.objects.bulk_create(
            [
                Reading(sensor=i % 50, taken=i, value=i % 97, comment="c" * 80)
                for i in range(READINGS)
            ],
            batch_size=1_000,
        )
    root, _ = User.objects.get_or_create(
        username="root", defaults={"is_staff": True, "is_superuser": True}
    )
    client = Client()
    client.force_login(root)
    session = client.session.session_key


def more_books(number=120):
    """Make further books, as others do between two requests."""
    first = Book.objects.count() + 1
    Book.objects.bulk_create(
        [
            Book(pk=i, title=f"title {i}", isbn=f"isbn-{i}", author_id=1, publisher_id=1, price=10,
                 summary="s")
            for i in range(first, first + number)
        ]
    )  # fmt: skip


@transaction.atomic
def fill(size):
    """Make the rows of a size, in place of all there were."""
    # Employees point at one another: MariaDB looks at each row alone.
    with connection.constraint_checks_disabled(), connection.cursor() as cursor:
        for model in FILLED:
            cursor.execute(f"DELETE FROM {connection.ops.quote_name(model._meta.db_table)}")
    numbers = range(1, size + 1)
    Author.objects.bulk_create([Author(pk=i, name=f"author {i}") for i in numbers])
    Publisher.objects.bulk_create([Publisher(pk=i, name=f"publisher {i}") for i in numbers])
    Profile.objects.bulk_create(
        [Profile(author_id=i, motto=f"motto {i}") for i in numbers if i % 2]
    )
    Tag.objects.bulk_create([Tag(pk=i, name=f"tag {i}") for i in numbers])
    Book.objects.bulk_create(
        [
            Book(
                pk=i, title=f"title {i}", isbn=f"isbn-{i}", author_id=i, publisher_id=i, price=10 + i,
                summary="s" * 2_000, editor_id=i if i % 2 else None,
            )
            for i in numbers
        ]
    )  # fmt: skip
    through = Book.tags.through
    through.objects.bulk_create(
        [through(book_id=i, tag_id=tag) for i in numbers for tag in sorted({i, i % size + 1})]
    )
    Review.objects.bulk_create(
        [
            Review(book_id=i, stars=1 + (i + j) % 5, text=f"text {i}")
            for i in numbers
            for j in (0, 1)
        ]
    )
    Stock.objects.bulk_create([Stock(book_id=i, quantity=5) for i in numbers])
    kinds = ContentType.objects.get_for_models(Book, Author)
    Note.objects.bulk_create(
        [
            Note(text=f"note {i}", content_type=kinds[Book if i % 2 else Author], object_id=i)
            for i in numbers
        ]
    )
    Employee.objects.bulk_create(
        [Employee(pk=i, name=f"employee {i}", boss_id=i - 1 or None) for i in numbers]
    )
    for i in numbers:
        Disc.objects.create(pk=i, name=f"disc {i}", shelf_id=i)
    Ticket.objects.bulk_create(
        [Ticket(id=uuid.UUID(int=i), subject=f"ticket {i}") for i in numbers]
    )
    Option.objects.bulk_create([Option(name=f"option {i}", value=str(i)) for i in numbers])

    keyed = [Author, Publisher, Tag, Book, Employee, Product]
    with connection.cursor() as cursor:  # keys were given, which sequences do not see
        for statement in connection.ops.sequence_reset_sql(no_style(), keyed):
            cursor.execute(statement)
