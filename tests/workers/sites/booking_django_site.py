"""The Django example as a WSGI and as an ASGI application."""

from __future__ import annotations

import os

from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application

wsgi_app = get_wsgi_application()
asgi_app = get_asgi_application()


if "SITE_SETTINGS" in os.environ and "SITE_PRELOADED" in os.environ:
    # A Trace in the process that forks: writer and store are in use there.
    from booking.models import City
    from django.db import connections

    import queryscope

    with queryscope.profile("preloaded"):
        City.objects.count()
    connections.close_all()
    assert queryscope.runtime.get().flush()
