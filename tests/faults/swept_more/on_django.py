"""What more is done with Django while it is interrupted, and how to clean up after it."""

# The names say what is done.
# ruff: noqa: D103

from __future__ import annotations

import contextlib
import copy
import pickle

from django.db import connection, connections, transaction
from django.template.backends.django import DjangoTemplates
from django.template.backends.jinja2 import Jinja2
from django.template.response import SimpleTemplateResponse

from tests.contract_suite.on_django.models import FIRST_ID, Author, Book, Tag
from tests.contract_suite.scenarios import Scenarios
from tests.faults.swept_more import anywhere

SCENARIOS = Scenarios()
scenario = SCENARIOS.add
PLAIN = {"NAME": "plain", "DIRS": [], "APP_DIRS": False, "OPTIONS": {}}


def prepare(plan):
    """Have PostgreSQL's connections come from psycopg's pool; before the hooks are installed."""
    if plan.database == "postgresql":
        connections.settings["default"] |= {
            "OPTIONS": {"pool": {"min_size": 1, "max_size": 2, "timeout": 20}},
            "CONN_MAX_AGE": 0,
        }


def clean():
    """Let go of this thread's connections, and of what an interruption left in their objects."""
    for alias in connections:
        if hasattr(connections._connections, alias):
            with contextlib.suppress(Exception):  # it has none, or a closed one
                connections[alias].connection.close()
            if connections[alias].settings_dict["OPTIONS"].get("pool"):
                connections[alias].close_pool()
            del connections[alias]


def _work():
    try:
        assert Book.objects.get(id=FIRST_ID)
    finally:
        connections.close_all()


anywhere.scenarios(scenario, _work)


@scenario()
def fetched():
    with connection.cursor() as cursor:
        cursor.execute("SELECT title FROM contract_book ORDER BY id")
        assert len([cursor.fetchone(), *cursor.fetchmany(2), *cursor.fetchall()]) == 6
        cursor.execute("SELECT title FROM contract_book ORDER BY id")
        assert len(list(cursor)) == 6


@scenario(writes=True)
def debugged():
    connection.force_debug_cursor = True
    try:
        with connection.cursor() as cursor:
            cursor.executemany("UPDATE contract_book SET year = %s WHERE id = %s", [(1, FIRST_ID)])
        assert list(Book.objects.all())
    finally:
        connection.force_debug_cursor = False


@scenario(writes=True)
def written_back():
    book = Book.objects.get(id=FIRST_ID)
    book.save()
    book.title = "other"
    del book.year
    assert book.year
    book.refresh_from_db()
    book.title += "!"
    book.save(update_fields=["title"])
    book.tags.set(Tag.objects.all())
    book.delete()


@scenario()
def taken_along():
    book = Book.objects.select_related("author").get(id=FIRST_ID)
    assert pickle.loads(pickle.dumps(book)).author.name
    assert copy.deepcopy(book).author.name
    assert {**vars(book)}["title"] == vars(book).get("title")
    books = pickle.loads(pickle.dumps(Book.objects.all()))
    assert [one.author.name for one in books]
    assert [one.title for one in Book.objects.raw("SELECT * FROM contract_book")]
    assert [one.profile for one in Author.objects.select_related("profile")]


@scenario()
def rendered():
    text = "{% for book in books %}{{ book.author.name }}{% endfor %}"
    books = Book.objects.order_by("id")
    for backend in (DjangoTemplates, Jinja2):
        assert backend({**PLAIN}).from_string(text).render({"books": books})
    engine = DjangoTemplates({**PLAIN})

    class Late(SimpleTemplateResponse):
        def resolve_template(self, _):
            return engine.from_string(text)

    assert Late("none.html", {"books": books}).render().content


@scenario(writes=True)
def held_open():
    transaction.set_autocommit(False)
    try:
        Tag.objects.create(name="kept")
        transaction.commit()
        Tag.objects.create(name="lost")
        transaction.rollback()
    finally:
        transaction.set_autocommit(True)


@scenario(writes=True, only=("postgresql",))
def copied():
    statement = "COPY contract_tag (id, name) FROM STDIN"
    with connection.cursor() as cursor:
        with cursor.copy(statement) as copying:
            copying.write_row((1, "copied"))
        cursor.execute("SELECT count(*) FROM contract_tag")
        assert cursor.fetchone() == (4,)
