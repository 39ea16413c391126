"""The library's entry in Django's list of applications."""

from __future__ import annotations

from django.apps import AppConfig


class LibraryConfig(AppConfig):
    """The library; its tables come straight from the models, without migrations."""

    name = "tests.django.library"
    label = "library"
