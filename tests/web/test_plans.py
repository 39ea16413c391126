"""The viewer's page of a plan: whose database it asks, and what it shows."""

from __future__ import annotations

import pytest
from django.db import connections
from sqlalchemy import create_engine, text

import queryscope
from queryscope import adapters
from queryscope.django import databases as of_django
from queryscope.plans.database import Database
from queryscope.report.html import render_plan
from queryscope.web.plans import page_of
from tests.builders import a_query, a_trace


@pytest.fixture
def engine(tmp_path):
    """A recorded engine whose database has a table."""
    queryscope.install()
    made = create_engine(f"sqlite:///{tmp_path / 'pages.db'}")
    with made.begin() as connection:
        connection.execute(text("CREATE TABLE page (id integer PRIMARY KEY, title varchar)"))
    yield made
    made.dispose()
    queryscope.uninstall()


def asked(trace, *path):
    """Return the page of a path, written out."""
    return render_plan(page_of(trace, path), back_href="/back")


def test_engine_of_the_process_is_asked(engine):
    """By its name, over a connection of its own."""
    query = a_query("SELECT title FROM page WHERE id = ?", database="pages.db", keep=True)
    shown = asked(a_trace(query, id="abc"), "abc", "0")
    assert "searches page by its key" in shown
    assert "the recorded values" in shown
    assert 'href="/back"' in shown


def test_statement_of_a_nested_trace_is_found(engine):
    """By the id of the Trace that has it."""
    inner = a_trace(a_query("SELECT title FROM page", database="pages.db"), id="inner")
    shown = asked(a_trace(id="outer", children=(inner,)), "inner", "0")
    assert "reads all of page" in shown


@pytest.mark.parametrize("path", [("abc",), ("abc", "7"), ("abc", "x"), ("other", "0"), ()])
def test_unknown_statement_has_no_page(path):
    """The viewer answers 404."""
    assert page_of(a_trace(a_query(), id="abc"), path) is None


def test_engine_that_is_gone_is_said(engine):
    """An error of the database, or a name nobody has, is a sentence on the page."""
    query = a_query("SELECT 1 FROM page", database="gone.db", vendor="sqlite")
    assert "There is no plan. Nobody said where" in asked(a_trace(query, id="abc"), "abc", "0")
    query = a_query("SELECT 1 FROM gone", database="pages.db")
    assert "no such table" in asked(a_trace(query, id="abc"), "abc", "0")


def test_statement_is_shown_harmlessly(engine):
    """What was recorded is text."""
    query = a_query("SELECT '</pre><script>x</script>' FROM page", database="pages.db")
    shown = asked(a_trace(query, id="abc"), "abc", "0")
    assert "<script>" not in shown


def test_values_are_shown_only_where_they_were_kept(engine):
    """Without them the page has the shape, as the report has."""
    statement = "SELECT title FROM page WHERE title = 'secret'"
    bare = a_query(statement, database="pages.db", parameters=None)
    assert "secret" not in asked(a_trace(bare, id="abc"), "abc", "0")
    kept = a_query(f"{statement} AND id = ?", database="pages.db", keep=True)
    assert "secret" in asked(a_trace(kept, id="abc"), "abc", "0")


def test_engines_of_one_name_that_differ_are_not_guessed(engine, tmp_path):
    """Two databases may have one name; a plan of the other would be a lie."""
    (tmp_path / "other").mkdir()
    other = create_engine(f"sqlite:///{tmp_path / 'other' / 'pages.db'}")
    assert adapters.database_of("pages.db") is not None
    with other.connect():
        assert adapters.database_of("pages.db") is None
    other.dispose()


@pytest.mark.parametrize(
    ("settings", "database"),
    [
        (
            {
                "ENGINE": "django.db.backends.postgresql",
                "NAME": "shop",
                "USER": "me",
                "PASSWORD": "secret",
                "HOST": "db.local",
                "PORT": "5433",
                "OPTIONS": {"pool": True, "sslmode": "require"},
            },
            Database(
                vendor="postgresql",
                name="shop",
                user="me",
                password="secret",
                host="db.local",
                port=5433,
                options={"sslmode": "require"},
            ),
        ),
        (
            {"ENGINE": "django.contrib.gis.db.backends.postgis", "NAME": "shop"},
            Database(vendor="postgresql", name="shop"),
        ),
        (
            {"ENGINE": "django.db.backends.mysql", "NAME": "shop", "PORT": ""},
            Database(vendor="mysql", name="shop"),
        ),
        ({"ENGINE": "django.db.backends.oracle", "NAME": "shop"}, None),
    ],
)
def test_alias_is_read_as_django_has_it(monkeypatch, settings, database):
    """What is Django's own stays behind; the password shows nowhere."""
    monkeypatch.setitem(connections.settings, "shop", settings)
    found = of_django.database_of("shop")
    assert found == database
    assert "secret" not in repr(found)
    assert of_django.database_of("unknown") is None
