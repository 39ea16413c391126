"""Print, as JSON, every attribute that queryscope replaces where all that it knows is in use.

``docs/generate.py`` runs this in a process of its own: what it lists is what ``install()`` did.
"""

from __future__ import annotations

import json
import sys
from importlib import import_module

import django
from django.conf import settings

ADAPTERS = {
    "Django": "queryscope.django.hooks",
    "SQLAlchemy": "queryscope.sqlalchemy.hooks",
    "Threads": "queryscope.stdlib.threads",
    "Signals": "queryscope.stdlib.signals",
    "Log calls": "queryscope.stdlib.log_calls",
    "Outgoing requests": "queryscope.stdlib.http_calls",
    "Flask": "queryscope.flask",
    "Celery": "queryscope.celery",
    "gevent": "queryscope.gevent",
}
"""The modules that patch, by what they patch."""


def main() -> None:
    """Install everything, print what was replaced, take it out again."""
    sqlite = {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}
    pooled = {"ENGINE": "django.db.backends.postgresql", "NAME": "none", "OPTIONS": {"pool": True}}
    engines = ("django.DjangoTemplates", "jinja2.Jinja2")
    settings.configure(
        SECRET_KEY="only for the list",  # noqa: S106 - nothing is signed with it
        DATABASES={"default": sqlite, "pooled": pooled},
        INSTALLED_APPS=["rest_framework", "queryscope.django"],
        TEMPLATES=[{"BACKEND": f"django.template.backends.{engine}"} for engine in engines],
        QUERYSCOPE={"mode": "development", "store": False},
        DEBUG=True,
    )
    import flask  # noqa: F401 - its hooks go in where it is in use
    import gevent  # noqa: F401 - as Flask
    from celery.app import trace  # noqa: F401 - as Flask

    django.setup()
    import queryscope

    queryscope.install()
    import_module("queryscope.celery").install()
    found = {}
    for title, name in ADAPTERS.items():
        module = import_module(name)
        patches = getattr(module, "patches", None) or module._patches
        found[title] = sorted(set(patches.replaced))
    json.dump(found, sys.stdout)
    queryscope.uninstall()


if __name__ == "__main__":
    main()
