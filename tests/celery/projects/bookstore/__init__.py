"""A Django project with a Celery application, as Celery's own guide has it."""

from __future__ import annotations

from bookstore.celery import app

__all__ = ["app"]
