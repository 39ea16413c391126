"""A template tag and a filter that ask the database."""

from __future__ import annotations

from django import template

from benchmarks.detection.django_shelf.models import Option

register = template.Library()


@register.filter
def stars(book):
    """Return how many stars a book has."""
    return sum(review.stars for review in book.reviews.all())


@register.simple_tag
def options_count():
    """Return how many options there are."""
    return Option.objects.count()


@register.simple_tag
def author_name(book):
    """Return the author's name."""
    return book.author.name
