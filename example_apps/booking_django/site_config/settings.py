"""Django settings of the booking example, all of them from the environment.

``DATABASE_URL``, ``BOOKING_RTT_MS``, ``BOOKING_TODAY``, ``BOOKING_LOG``,
``BOOKING_DEBUG`` and ``BOOKING_QUERYSCOPE`` are described in README.md.
"""

from __future__ import annotations

import os
from pathlib import Path

from site_config.database import database_from_url

BASE_DIR = Path(__file__).resolve().parent.parent

SECRET_KEY = "an example keeps no secrets"
DEBUG = os.environ.get("BOOKING_DEBUG") == "1"
ALLOWED_HOSTS = ["localhost", "127.0.0.1", "[::1]", "testserver"]

INSTALLED_APPS = ["booking.apps.BookingConfig", "rest_framework"]
MIDDLEWARE = ["django.middleware.common.CommonMiddleware"]
if os.environ.get("BOOKING_QUERYSCOPE") == "1":
    MIDDLEWARE = ["queryscope.django.Middleware", *MIDDLEWARE]

ROOT_URLCONF = "site_config.urls"
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}]

DATABASES = {
    "default": database_from_url(
        os.environ.get("DATABASE_URL", ""), default_file=BASE_DIR / "booking.sqlite3"
    )
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
TIME_ZONE = "UTC"

BOOKING_RTT_MS = float(os.environ.get("BOOKING_RTT_MS", "0"))

CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_PERMISSION_CLASSES": [],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "UNAUTHENTICATED_USER": None,
}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "handlers": {
        "file": {
            "class": "logging.handlers.RotatingFileHandler",
            "filename": os.environ.get("BOOKING_LOG", str(BASE_DIR / "booking.log")),
            "maxBytes": 5_000_000,
            "backupCount": 1,
            "delay": True,
            "encoding": "utf-8",
            "formatter": "line",
        },
    },
    "loggers": {"booking": {"handlers": ["file"], "level": "INFO", "propagate": False}},
}
