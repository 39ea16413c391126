"""What Django's ``DATABASES`` has for a URL."""

from __future__ import annotations

from urllib.parse import urlsplit


def django_settings(url: str, **settings: object) -> dict[str, object]:
    """Return what Django's ``DATABASES`` has for a URL."""
    where = urlsplit(url)
    engine = {"postgresql": "postgresql", "mysql": "mysql"}[where.scheme]
    return {
        "ENGINE": f"django.db.backends.{engine}",
        "NAME": where.path.strip("/"),
        "USER": where.username or "",
        "PASSWORD": where.password or "",
        "HOST": where.hostname or "",
        "PORT": str(where.port or ""),
        **settings,
    }
