"""``queryscope.install()`` and ``uninstall()`` on both ORMs at a time: all is as it was before."""

from __future__ import annotations

import gc
import sys
import types
from pathlib import Path

import django
import sqlalchemy
from django.core.handlers.base import BaseHandler
from django.db import connections, models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created
from django.db.models.query import ModelIterable, RawModelIterable
from django.template.response import SimpleTemplateResponse
from sqlalchemy import create_engine, event, select
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.orm import Session
from sqlalchemy.pool import Pool

import queryscope
from queryscope import runtime
from queryscope.trace import codes
from tests.django.conftest import make_books
from tests.django.library.models import Book
from tests.sqlalchemy.shop import Author, Base, fill

FOLDERS = tuple(str(Path(module.__file__).parent) for module in (django, sqlalchemy))
FRAMEWORKS = ("django", "sqlalchemy", "asgiref", "werkzeug", "flask", "jinja2")
STANDARD = (
    "signal", "threading", "concurrent.futures.thread", "logging", "http.client",
    "asyncio.base_events",
)  # fmt: skip


def everything():
    """Return the attributes of all classes and modules of the frameworks, by owner and name."""
    found = {}
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] not in FRAMEWORKS and name not in STANDARD:
            continue
        owners = [module]
        owners += [item for item in vars(module).values() if issubclass(type(item), type)]
        for owner in owners:
            for key, value in list(vars(owner).items()):
                if type(value) in (types.FunctionType, property, classmethod, staticmethod):
                    found[owner, key] = value
    return found


def instances(engine):
    """Return what instances of the frameworks carry: connections, pools, relationships."""
    return (
        {
            alias: (list(connections[alias].execute_wrappers), sorted(vars(connections[alias])))
            for alias in connections
        },
        sorted(vars(engine.pool)),
        sorted(vars(engine.dialect)),
        [sorted(vars(prop)) for mapper in Base.registry.mappers for prop in mapper.relationships],
        list(connection_created.receivers),
        engine._has_events,
        {
            code.co_qualname
            for code, _ in codes._registered.values()
            if code.co_filename.startswith(FOLDERS)
        },
    )


def ask(engine):
    """Use both ORMs in every way that leaves marks."""
    Book.objects.get(title="book 0").publisher  # noqa: B018 - the load is what is wanted
    list(Book.objects.select_related("publisher").prefetch_related("genres"))
    with Session(engine) as session:
        for author in session.scalars(select(Author)):
            author.books  # noqa: B018 - as above
            author.letters.all()


def test_uninstall_restores_both_frameworks(db):
    """Every function of every class and module, every signal, listener and object is as before."""
    make_books(2)
    engine = create_engine("sqlite://")
    fill(engine)
    ask(engine)
    before, marks_before = everything(), instances(engine)
    runtime.configure({"mode": "development", "store": False}, source="a test", debug=True)
    for _ in range(2):  # installed again after it was taken out, all the same
        queryscope.install()
        queryscope.install()
        with queryscope.profile("x") as run:
            ask(engine)
        assert run.trace.statements == 4 + 1 + 2 * 3
        patched = {
            (owner.__name__, name)
            for (owner, name), value in everything().items()
            if before.get((owner, name)) is not value
        }
        assert {owner for owner, _ in patched} >= {
            kind.__name__
            for kind in (
                BaseDatabaseWrapper, BaseHandler, DefaultDialect, ModelIterable, Pool,
                RawModelIterable, Session, SimpleTemplateResponse, models.sql.Query,
            )
        }  # fmt: skip
        queryscope.uninstall()
        after = everything()
        changed = [key for key in before if after.get(key) is not before[key]]
        assert changed == []
        assert [key for key in after if key not in before and _ours(after[key])] == []
        assert instances(engine) == marks_before
    assert not [item for item in gc.get_objects() if _is_listener(item)]
    with queryscope.profile("x") as run:
        pass
    queryscope.uninstall()
    engine.dispose()


def _ours(value):
    return getattr(value, "__module__", "").startswith("queryscope")


def _is_listener(item):
    """Tell whether an object of SQLAlchemy's event system calls a function of ours."""
    return type(item) is tuple and len(item) == 3 and item[0] is Session and _ours(item[2])


def test_wrappers_of_others_around_ours_stay(db):
    """Another library that came after us keeps its wrapper when we go, and is not in the way."""
    engine = create_engine("sqlite://")
    queryscope.install()
    places = [(BaseDatabaseWrapper, "make_cursor"), (DefaultDialect, "do_execute")]
    originals = [vars(owner)[name] for owner, name in places]
    called = []

    def theirs(original):
        def wrapped(*args, **kwargs):
            called.append(original)
            return original(*args, **kwargs)

        return wrapped

    try:
        for (owner, name), original in zip(places, originals, strict=True):
            setattr(owner, name, theirs(original))
        queryscope.uninstall()
        Book.objects.count()
        with engine.connect() as connection:
            connection.execute(select(1))
        assert set(called) == set(originals)
    finally:
        for (owner, name), original in zip(places, originals, strict=True):
            setattr(owner, name, original.__wrapped__)
        engine.dispose()


def test_listener_of_the_session_is_gone(db):
    """The one event listener that we have is removed by name."""
    from queryscope.sqlalchemy.sessions import after_begin

    queryscope.install()
    assert event.contains(Session, "after_begin", after_begin)
    queryscope.uninstall()
    assert not event.contains(Session, "after_begin", after_begin)
