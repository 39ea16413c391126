"""The Celery application; its settings come from the environment, see ``tests.celery.workers``."""

from __future__ import annotations

import json
import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "bookstore.settings")

app = Celery("bookstore")
app.conf.update(json.loads(os.environ["BOOKS_CELERY"]))
app.autodiscover_tasks()
