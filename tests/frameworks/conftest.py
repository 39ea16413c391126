"""Fixtures of the frameworks' tests: a Django site around the library, and what it recorded."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest
from asgiref.sync import sync_to_async
from django.db import connection, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.test import AsyncClient, Client
from django.test.utils import override_settings

from queryscope import adapters, runtime
from queryscope.trace import guard
from tests.django.conftest import make_books

MIDDLEWARE = "queryscope.django.Middleware"
SITE_FOLDER = Path(__file__).with_name("site")
TEMPLATES = Path(__file__).with_name("templates")
SITE = {
    "INSTALLED_APPS": [
        "django.contrib.admin",
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.messages",
        "django.contrib.sessions",
        "django.contrib.staticfiles",
        "rest_framework",
        "tests.django.library",
    ],
    "MIDDLEWARE": [
        MIDDLEWARE,
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.contrib.messages.middleware.MessageMiddleware",
    ],
    "ROOT_URLCONF": "tests.frameworks.site.urls",
    "STATIC_URL": "/static/",
    "TEMPLATES": [
        {
            "BACKEND": "django.template.backends.jinja2.Jinja2",
            "DIRS": [TEMPLATES / "jinja2"],
            "NAME": "jinja2",
        },
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "DIRS": [TEMPLATES / "django"],
            "APP_DIRS": True,
            "OPTIONS": {
                "context_processors": [
                    "django.template.context_processors.request",
                    "django.contrib.auth.context_processors.auth",
                    "django.contrib.messages.context_processors.messages",
                ]
            },
        },
    ],
    "CACHES": {
        "default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
        "database": {
            "BACKEND": "django.core.cache.backends.db.DatabaseCache",
            "LOCATION": "frameworks_cache",
        },
    },
}


class Seen:
    """One recorded request: the answer, its Trace and the findings."""

    def __init__(self, answer, judged):
        self.answer = answer
        self.trace = judged.trace
        self.findings = judged.findings

    @property
    def queries(self):
        """The statements that count."""
        return [query for query in self.trace.queries if query.counts]

    @property
    def repeated(self):
        """The findings about repetition: those about idle connections hang on the machine."""
        return [found for found in self.findings if found.code.startswith(("QS1", "QS2"))]

    @property
    def wanted(self):
        """The findings that want something done, by code and text to write."""
        return {
            (finding.code, finding.mend.write): finding
            for finding in self.repeated
            if finding.severity != "info"
        }


def everything():
    """Return what was recorded so far, judged, the oldest first."""
    found = runtime.get()
    assert found.flush()
    return list(reversed(found.ring.newest(500)))


def newest(answer=None):
    """Return the request that an answer belongs to; without one what was recorded last."""
    if answer is None:
        return Seen(answer, everything()[-1])
    named = {name.lower(): value for name, value in answer.headers.items()}
    (judged,) = [one for one in everything() if one.trace.id == named["x-queryscope-trace"]]
    return Seen(answer, judged)


def stands(step, file, text):
    """Tell whether a step stands in the one line of a file that has ``text``."""
    lines = Path(file).read_text(encoding="utf-8").splitlines()
    (line,) = [number for number, found in enumerate(lines, 1) if text in found]
    return step is not None and (step.file, step.line) == (str(file), line)


@pytest.fixture(autouse=True)
def clean(tmp_path, monkeypatch):
    """Take the hooks out after each test; none of them may have failed."""
    monkeypatch.chdir(tmp_path)
    guard.clear()
    yield
    adapters.uninstall()
    failures = guard.failures()
    guard.clear()
    assert failures == ()


@pytest.fixture(scope="session")
def site_tables(django_db_setup, django_db_blocker):
    """Make the tables that the site has and the other tests' project has not."""
    with django_db_blocker.unblock(), override_settings(**SITE):
        from django.contrib.admin.models import LogEntry

        with connection.schema_editor() as editor:
            editor.create_model(LogEntry)
            editor.execute(
                "CREATE TABLE frameworks_cache "
                "(cache_key varchar(255) PRIMARY KEY, value text NOT NULL, expires datetime)"
            )


@pytest.fixture(params=["light", "full"])
def recording(request):
    """Both recordings."""
    return request.param


class Site:
    """The site in force: asks it, and gives what was recorded of each request."""

    def __init__(self):
        self.client = Client(raise_request_exception=False)

    def get(self, path, **more):
        """Make one request and return what was seen of it."""
        return newest(self.client.get(path, **more))

    def post(self, path, data, **more):
        """Send a form, or JSON, and return what was seen."""
        return newest(self.client.post(path, data, **more))

    def get_async(self, path, **more):
        """Make one request in an event loop of its own, as a server for ASGI does."""
        return newest(
            asyncio.run(_closing(AsyncClient(raise_request_exception=False).get(path, **more)))
        )

    def post_async(self, path, data, **more):
        """Send a form, or JSON, in an event loop of its own."""
        return newest(
            asyncio.run(
                _closing(AsyncClient(raise_request_exception=False).post(path, data, **more))
            )
        )


async def _closing(asking):
    """Read an answer to its end, then close the connections that the loop's thread opened.

    In memory, Django itself keeps them open.
    """
    try:
        answer = await asking
        if answer.streaming:
            answer.chunks = [chunk async for chunk in answer.streaming_content]
            answer.close()
        return answer
    finally:
        await sync_to_async(close_all)()


def close_all():
    """Close the connections of this thread, unless it is the one that keeps the database alive."""
    if threading.current_thread() is not threading.main_thread():
        for connection in connections.all(initialized_only=True):
            if connection.connection is not None:
                BaseDatabaseWrapper.close(connection)


@pytest.fixture
def site(site_tables, settings, db, recording):
    """Put the site in force for one test, with six books, in one of the recordings."""
    return _in_force(settings, recording)


@pytest.fixture
def open_site(site_tables, settings, transactional_db, recording):
    """The same with rows that every thread can see."""
    return _in_force(settings, recording)


def _in_force(settings, recording):
    for name, value in SITE.items():
        setattr(settings, name, value)
    settings.QUERYSCOPE = {
        "mode": "development", "recording": recording, "console": False, "store": False,
    }  # fmt: skip
    make_books()
    return Site()
