"""The settings of the Django example with queryscope's beside them; without them it is absent."""

from __future__ import annotations

import json
import os

from site_config.settings import *  # noqa: F403 - the example's own, whatever they are
from site_config.settings import MIDDLEWARE

ROOT_URLCONF = "booking_django_urls"

if "SITE_SETTINGS" in os.environ:
    QUERYSCOPE = json.loads(os.environ["SITE_SETTINGS"])
    MIDDLEWARE = ["queryscope.django.Middleware", *MIDDLEWARE]
    INSTALLED_APPS = [*INSTALLED_APPS, "queryscope.django"]  # noqa: F405 - the example's own
