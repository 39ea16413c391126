"""The Django project around the application: settings, tables and rows, urls of its views."""

from __future__ import annotations

from urllib.parse import urlsplit

import django
from asgiref.sync import sync_to_async
from django.conf import settings

from tests.contract_suite.plan import SETTINGS

ENGINES = {"sqlite": "sqlite3", "postgresql": "postgresql", "mariadb": "mysql"}

stale = True
"""Rows have to be made anew before the next scenario."""


def begin(plan):
    """Configure Django for a plan."""
    if plan.database == "mariadb":
        _pymysql()
    settings.configure(
        SECRET_KEY="only for tests",
        DEBUG=False,
        ALLOWED_HOSTS=["*"],
        DATABASES={
            "default": _database(plan.database, plan.first),
            "second": _database(plan.database, plan.second),
        },
        INSTALLED_APPS=[
            "django.contrib.contenttypes",
            "tests.contract_suite.on_django.apps.Contract",
        ],
        ROOT_URLCONF="tests.contract_suite.on_django.urls",
        MIDDLEWARE=["queryscope.django.Middleware"],
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        USE_TZ=True,
        QUERYSCOPE={**SETTINGS, "store": plan.ways == ("run",)},
    )
    django.setup()


def make_tables():
    """Make the tables of both aliases, once for all children of a database."""
    from django.contrib.contenttypes.models import ContentType
    from django.db import connections

    from tests.contract_suite.on_django import models

    for alias in ("default", "second"):
        with connections[alias].schema_editor() as editor:
            for model in (
                ContentType,
                models.Author,
                models.Profile,
                models.Tag,
                models.Note,
                models.Book,
            ):
                editor.create_model(model)


def fill():
    """Make the rows anew, and leave no connection open."""
    from tests.contract_suite.on_django import models

    models.fill()
    close()


def close():
    """Close this thread's connections: each scenario begins without one, in every way."""
    from django.db import connections

    connections.close_all()


aclose = sync_to_async(close)
dispose = aclose


def _database(vendor, url):
    engine = f"django.db.backends.{ENGINES[vendor]}"
    if vendor == "sqlite":
        return {"ENGINE": engine, "NAME": url, "CONN_MAX_AGE": None, "OPTIONS": {"timeout": 20}}
    where = urlsplit(url)
    return {
        "ENGINE": engine,
        "NAME": where.path.strip("/"),
        "USER": where.username,
        "PASSWORD": where.password or "",
        "HOST": where.hostname,
        "PORT": where.port or "",
        "CONN_MAX_AGE": None,
    }


def _pymysql():
    """Let PyMySQL stand for mysqlclient, as its documentation says for Django."""
    import pymysql

    pymysql.version_info = (2, 2, 7, "final", 0)
    pymysql.install_as_MySQLdb()


def end():
    """Leave nothing open."""
    close()
