"""Installing and uninstalling the Django hooks."""

from __future__ import annotations

from django.core.handlers.base import BaseHandler
from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created
from django.db.models.query import ModelIterable, RawModelIterable
from django.db.models.sql import Query
from django.template.backends.django import Template
from django.template.response import SimpleTemplateResponse

from queryscope.django import hooks
from queryscope.django.labels import sources
from queryscope.trace import codes
from tests.django.library.models import Book

PATCHED = [
    BaseDatabaseWrapper,
    BaseHandler,
    ModelIterable,
    Query,
    RawModelIterable,
    SimpleTemplateResponse,
    Template,
]


def state():
    """Return everything that the hooks may touch."""
    return (
        [dict(vars(owner)) for owner in PATCHED],
        list(connection.execute_wrappers),
        {name: value for name, value in vars(connection).items() if "queryscope" in name},
        list(connection_created.receivers),
    )


def test_uninstall_restores_every_patched_object(db):
    """After uninstall each class, connection and signal is as it was before."""
    Book.objects.count()
    before = state()
    hooks.install(full=True)
    Book.objects.count()
    assert state() != before
    hooks.uninstall()
    assert state() == before


def test_install_twice_is_install_once(db):
    """A second install adds nothing; a full one after a light one adds the rest."""
    hooks.install(full=False)
    once = state()
    hooks.install(full=False)
    try:
        assert state() == once
        hooks.install(full=True)
        assert vars(Query)["__init__"] is not once[0][PATCHED.index(Query)]["__init__"]
        assert len([w for w in connection.execute_wrappers if hasattr(w, "queryscope")]) == 1
    finally:
        hooks.uninstall()


def test_frames_are_known_only_while_installed():
    """The code table forgets Django's frames at uninstall."""
    code, _ = next(iter(sources()))
    hooks.install(full=False)
    assert codes.current().kinds.get(id(code)) not in (None, codes.LIBRARY)
    hooks.uninstall()
    assert codes.current().kinds.get(id(code)) in (None, codes.LIBRARY)


def test_every_expected_frame_of_this_django_is_there():
    """Each frame we read has the local names that we read, on the Django installed here."""
    found = {getattr(code, "co_qualname", "") for code, _ in sources()}
    for name in (
        "ForwardManyToOneDescriptor.__get__",
        "ReverseOneToOneDescriptor.__get__",
        "DeferredAttribute.__get__",
        "prefetch_one_level",
        "QuerySet._fetch_all",
        "QuerySet.get",
        "SQLCompiler.execute_sql",
        "Node.render_annotated",
    ):
        assert name in found


def test_queryset_made_before_install_still_works(books):
    """Querysets, pickles and copies made without the hooks are evaluated as ever."""
    import copy
    import pickle

    queryset = Book.objects.order_by("pk")
    hooks.install(full=True)
    try:
        marked = list(Book.objects.order_by("pk"))
        assert pickle.loads(pickle.dumps(marked)) == marked
        assert copy.deepcopy(marked[0]) == marked[0]
        restored = Book.objects.all()
        restored.query = pickle.loads(pickle.dumps(Book.objects.order_by("pk").query))
        assert list(restored) == marked
    finally:
        hooks.uninstall()
    assert list(queryset) == marked
    marked[0].save()
    assert pickle.loads(pickle.dumps(marked[0])).title == marked[0].title
