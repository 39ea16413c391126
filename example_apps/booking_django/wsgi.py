"""WSGI entry of the booking example: ``gunicorn wsgi:app`` from this folder."""

from __future__ import annotations

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "site_config.settings")

app = get_wsgi_application()
