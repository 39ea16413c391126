"""Asks for the publisher of each book."""

from __future__ import annotations

from django.core.management.base import BaseCommand

from tests.django.library.models import Book


class Command(BaseCommand):
    """Counts the names of publishers, a query each."""

    def handle(self, **options):
        """Count."""
        names = {book.publisher.name for book in Book.objects.order_by("pk")}  # command
        self.stdout.write(str(len(names)))
