"""The Django project that is measured: its settings and its rows. What answers is in ``shelf``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import databases
import django
from django.conf import settings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

ROWS = 1_000
"""Books, each on a shelf of its own: no query of a request is answered from a cache."""

MIDDLEWARE = (
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
)
"""What ``startproject`` puts in."""


def boot(folder: Path, apps: Sequence[str] = (), options: Mapping[str, Any] | None = None) -> None:
    """Set Django up on the database of ``folder``, and fill it when it is new.

    Args:
        folder: Whose database it is; processes that are compared share it.
        apps: Applications of what is measured.
        options: Settings of what is measured.
    """
    settings.configure(
        SECRET_KEY="only for measuring",
        ALLOWED_HOSTS=["*"],
        DATABASES={"default": databases.django(folder)},
        INSTALLED_APPS=[
            "django.contrib.contenttypes",
            "django.contrib.auth",
            "django.contrib.sessions",
            "django.contrib.messages",
            "django.contrib.staticfiles",
            *apps,
        ],
        SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies",
        ROOT_URLCONF="shelf",
        MIDDLEWARE=list(MIDDLEWARE),
        TEMPLATES=[
            {"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}
        ],
        STATIC_URL="static/",
        USE_TZ=True,
        **(options or {}),
    )
    django.setup()
    _fill()


def _fill() -> None:
    from django.core.management import call_command
    from django.db import connection
    from shelf import Book, Shelf

    call_command("migrate", verbosity=0)
    if "shelf_book" in connection.introspection.table_names():
        return
    with connection.schema_editor() as editor:
        editor.create_model(Shelf)
        editor.create_model(Book)
    numbers = range(1, ROWS + 1)
    Shelf.objects.bulk_create(Shelf(pk=n, name=f"shelf {n}") for n in numbers)
    Book.objects.bulk_create(
        Book(pk=n, title=f"book {n}", author=f"author {n % 40}", pages=100 + n, shelf_id=n)
        for n in numbers
    )
