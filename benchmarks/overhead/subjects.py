"""What is measured: queryscope, its peers, and nothing at all, each put into its own process.

A maker takes the folder of the databases and returns a Subject. Nothing of queryscope or of a
peer is imported before its maker runs, so that one process never holds two of them.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    App = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


ASLEEP_S = 0.002
"""Seconds in which a thread that has nothing to do any more goes to sleep."""


@dataclass(frozen=True)
class Subject:
    """One process: the application without, and with, what is measured.

    Attributes:
        bare: The application without the middleware of what is measured.
        recorded: The application with it, None for a process without anything.
        settle: Finishes what goes on off the request's path.
        switch: Puts the hooks in, or takes them out; only where that can be done.
    """

    bare: App
    recorded: App | None = None
    settle: Callable[[], object] = lambda: None
    switch: Callable[[bool], object] | None = None


def _handler(*middleware: str) -> App:
    """Return a WSGI handler of the Django project, with more middleware outside its own."""
    import shelf_django
    from django.core.handlers.wsgi import WSGIHandler
    from django.test.utils import override_settings

    with override_settings(MIDDLEWARE=[*middleware, *shelf_django.MIDDLEWARE]):
        return WSGIHandler()


# -- nothing --------------------------------------------------------------------------------


def django_plain(folder: Path) -> Subject:
    """Django alone."""
    import shelf_django

    shelf_django.boot(folder)
    return Subject(_handler())


def sqlalchemy_plain(folder: Path) -> Subject:
    """SQLAlchemy alone."""
    import shelf_sqlalchemy

    return Subject(shelf_sqlalchemy.boot(folder)[1])


# -- queryscope -----------------------------------------------------------------------------


def _settings(folder: Path, recording: str) -> dict[str, Any]:
    """Return the settings of light recording as in production, of full as in development.

    ``reads`` is full recording with read tracking, ``full`` without. The console line is off: it
    would measure the terminal.
    """
    mode = "production" if recording == "light" else "development"
    store = str(folder / recording / "traces.db")
    return {"mode": mode, "console": False, "store_path": store, "reads": recording == "reads"}


def _written() -> None:
    """Wait until the writer has handled all, and sleeps.

    It tells us before it goes to sleep, for which it needs the interpreter's lock once more: a
    request that began now would be woken for it at each statement, up to 2 ms in all.
    """
    from queryscope import runtime

    runtime.get().flush(60.0)
    time.sleep(ASLEEP_S)


def _switch(settings: dict[str, Any]) -> Callable[[bool], None]:
    from queryscope import adapters, runtime

    def switch(wanted: bool) -> None:  # noqa: FBT001 - a switch
        if wanted:
            runtime.configure(settings, source="the benchmark", debug=False)
            adapters.install_loaded()
        else:
            adapters.uninstall()

    return switch


def _django_queryscope(folder: Path, recording: str) -> Subject:
    import shelf_django

    settings = _settings(folder, recording)
    shelf_django.boot(folder, options={"QUERYSCOPE": settings})
    recorded = _handler("queryscope.django.Middleware")
    return Subject(_handler(), recorded, _written, _switch(settings))


def _sqlalchemy_queryscope(folder: Path, recording: str) -> Subject:
    import shelf_sqlalchemy

    _, app = shelf_sqlalchemy.boot(folder)
    from queryscope import wsgi

    settings = _settings(folder, recording)
    return Subject(app, wsgi.Middleware(app, settings), _written, _switch(settings))


def django_light(folder: Path) -> Subject:
    """Django with light recording, as in production."""
    return _django_queryscope(folder, "light")


def django_full(folder: Path) -> Subject:
    """Django with full recording and the store, as in development."""
    return _django_queryscope(folder, "full")


def django_reads(folder: Path) -> Subject:
    """Django with full recording and read tracking."""
    return _django_queryscope(folder, "reads")


def sqlalchemy_light(folder: Path) -> Subject:
    """SQLAlchemy with light recording, as in production."""
    return _sqlalchemy_queryscope(folder, "light")


def sqlalchemy_full(folder: Path) -> Subject:
    """SQLAlchemy with full recording and the store, as in development."""
    return _sqlalchemy_queryscope(folder, "full")


def sqlalchemy_reads(folder: Path) -> Subject:
    """SQLAlchemy with full recording and read tracking."""
    return _sqlalchemy_queryscope(folder, "reads")


# -- peers ----------------------------------------------------------------------------------


def zeal(folder: Path) -> Subject:
    """Run zeal; it logs what it finds and does not raise."""
    import shelf_django

    shelf_django.boot(folder, ["zeal"], {"ZEAL_RAISE": False})
    return Subject(_handler(), _handler("zeal.middleware.zeal_middleware"))


def debug_toolbar(folder: Path) -> Subject:
    """Run debug-toolbar with its default panels, shown to everybody."""
    import shelf_django
    from django.urls import include, path

    shelf_django.boot(
        folder,
        ["debug_toolbar"],
        {"DEBUG_TOOLBAR_CONFIG": {"SHOW_TOOLBAR_CALLBACK": lambda _: True}},
    )
    import shelf

    shelf.urlpatterns.append(path("__debug__/", include("debug_toolbar.urls")))
    return Subject(_handler(), _handler("debug_toolbar.middleware.DebugToolbarMiddleware"))


def silk(folder: Path) -> Subject:
    """Run silk; its tables lie in the application's database, as it documents."""
    import shelf_django
    from django.urls import include, path

    shelf_django.boot(folder, ["silk"])
    import shelf

    shelf.urlpatterns.append(path("silk/", include("silk.urls", namespace="silk")))
    return Subject(_handler(), _handler("silk.middleware.SilkyMiddleware"), _empty_silk)


def _empty_silk() -> None:
    """Delete what the last request left: what is measured is a request, not a growing table."""
    from silk.models import Request, Response, SQLQuery

    for model in (SQLQuery, Response, Request):
        model.objects.all().delete()


def _spans() -> Any:
    """Return a provider that exports to memory, off the request's path, and forgets at settle."""
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    # Room for the spans of one request, so that none is dropped and none is exported in it.
    provider.add_span_processor(
        BatchSpanProcessor(
            exporter,
            max_queue_size=16_384,
            max_export_batch_size=16_384,
            schedule_delay_millis=60_000,
        )
    )

    def settle() -> None:
        provider.force_flush()
        exporter.clear()

    return provider, settle


def opentelemetry_django(folder: Path) -> Subject:
    """Trace Django's requests and the SQLite driver's statements; spans are kept in memory."""
    from opentelemetry.instrumentation.django import DjangoInstrumentor
    from opentelemetry.instrumentation.sqlite3 import SQLite3Instrumentor

    provider, settle = _spans()
    SQLite3Instrumentor().instrument(tracer_provider=provider)
    import shelf_django

    shelf_django.boot(folder)
    bare = _handler()
    from django.conf import settings

    before = list(settings.MIDDLEWARE)
    DjangoInstrumentor().instrument(tracer_provider=provider)
    added = [name for name in settings.MIDDLEWARE if name not in before]
    return Subject(bare, _handler(*added), settle)


def opentelemetry_sqlalchemy(folder: Path) -> Subject:
    """Trace WSGI requests and SQLAlchemy's statements; spans are kept in memory."""
    import shelf_sqlalchemy
    from opentelemetry.instrumentation.sqlalchemy import SQLAlchemyInstrumentor
    from opentelemetry.instrumentation.wsgi import OpenTelemetryMiddleware

    provider, settle = _spans()
    engine, app = shelf_sqlalchemy.boot(folder)
    SQLAlchemyInstrumentor().instrument(engine=engine, tracer_provider=provider)
    return Subject(app, OpenTelemetryMiddleware(app, tracer_provider=provider), settle)


def sqltap(folder: Path) -> Subject:
    """Run sqltap's WSGI middleware, switched on; what it collects is taken out after a request."""
    import shelf_sqlalchemy
    from sqltap.wsgi import SQLTapMiddleware

    _, app = shelf_sqlalchemy.boot(folder)
    recorded = SQLTapMiddleware(app)
    recorded.start()
    return Subject(app, recorded, recorded.collector.queue.clear)


MAKERS: Mapping[str, Callable[[Path], Subject]] = {
    "django-plain": django_plain,
    "django-light": django_light,
    "django-full": django_full,
    "django-reads": django_reads,
    "sqlalchemy-plain": sqlalchemy_plain,
    "sqlalchemy-light": sqlalchemy_light,
    "sqlalchemy-full": sqlalchemy_full,
    "sqlalchemy-reads": sqlalchemy_reads,
    "zeal": zeal,
    "debug-toolbar": debug_toolbar,
    "silk": silk,
    "opentelemetry-django": opentelemetry_django,
    "opentelemetry-sqlalchemy": opentelemetry_sqlalchemy,
    "sqltap": sqltap,
}
