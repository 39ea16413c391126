"""The settings of the scenarios' project; what differs stands in the environment."""

from __future__ import annotations

import json
import os

from benchmarks.detection.watchers import SETTINGS

DATABASES = json.loads(os.environ["DETECTION_DATABASES"])
SECRET_KEY = "not-a-secret"  # noqa: S105 - nothing is served to anybody
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "rest_framework",
    "benchmarks.detection.django_shelf",
    *json.loads(os.environ.get("DETECTION_APPS", "[]")),
]
MIDDLEWARE = json.loads(os.environ.get("DETECTION_MIDDLEWARE", "[]")) + [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
ROOT_URLCONF = "benchmarks.detection.django_shelf.urls"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
STATIC_URL = "/static/"
USE_TZ = True
DEBUG = bool(os.environ.get("DETECTION_DEBUG"))
ALLOWED_HOSTS = ["*"]
SILENCED_SYSTEM_CHECKS = ["admin.E403"]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [
            os.path.join(os.path.dirname(os.path.dirname(__file__)), "scenarios", "templates")
        ],
        "APP_DIRS": True,
        "OPTIONS": {
            "builtins": ["benchmarks.detection.django_shelf.tags"],
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    }
]
QUERYSCOPE = {**SETTINGS, "viewer": False}
