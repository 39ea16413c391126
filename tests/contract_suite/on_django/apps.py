"""The application as Django knows it."""

from __future__ import annotations

from django.apps import AppConfig


class Contract(AppConfig):
    name = "tests.contract_suite.on_django"
    label = "contract"
