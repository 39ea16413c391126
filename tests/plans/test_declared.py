"""What models promise, compared with tables by hand."""

from __future__ import annotations

import pytest

from queryscope.plans.declared import Model, Rule, missing
from queryscope.plans.schema import Column, ForeignKey, Index, IndexColumn, Schema, Table


def a_model(*rules, table="book"):
    """Return a model with these promises."""
    return Model("shop.Book", table, "", "", "", "", rules)


def a_schema(*indexes, nullable=(), foreign_keys=()):
    """Return a table of books and one of authors."""
    columns = ("id", "isbn", "title", "author_id")
    return Schema(
        "postgresql",
        (
            Table(
                name="book",
                columns=tuple(Column(name, "int", name in nullable) for name in columns),
                indexes=indexes,
                foreign_keys=foreign_keys,
            ),
            Table(name="author"),
        ),
    )


def an_index(*columns, name="i", **more):
    """Return a unique index."""
    return Index(name, tuple(map(IndexColumn, columns)), **{"unique": True, **more})


UNIQUE = Rule("unique", ("isbn",), "isbn", "unique=True")
BOTH = Rule("unique", ("isbn", "title"), "", "unique_together")
SOME = Rule("unique", ("isbn",), "", "UniqueConstraint('one')", partial=True, name="one")
FILLED = Rule("not null", ("title",), "title", "null=False")
KEY = Rule("foreign key", ("author_id",), "author", "ForeignKey", refers="author")


@pytest.mark.parametrize(
    ("rule", "schema"),
    [
        (UNIQUE, a_schema(an_index("isbn"))),
        (UNIQUE, a_schema(an_index("ISBN", constraint=True))),
        (BOTH, a_schema(an_index("title", "isbn"))),
        (BOTH, a_schema(an_index("isbn"))),
        (SOME, a_schema(an_index("isbn", predicate="title > 3"))),
        (SOME, a_schema(an_index("", "isbn"))),
        (SOME, a_schema(an_index("title", name="one"))),
        (SOME, a_schema(an_index("isbn"))),
        (FILLED, a_schema()),
        (KEY, a_schema(foreign_keys=(ForeignKey("f", ("author_id",), "author", ("id",)),))),
        (KEY._replace(refers="elsewhere"), a_schema()),
        (Rule("not null", ("new",), "new", "null=False"), a_schema()),
        (Rule("unique", ("new",), "new", "unique=True"), a_schema()),
    ],
)
def test_promise_that_is_kept_is_clean(rule, schema):
    """By a constraint, by an index, by a stricter one; what does not exist yet promises nothing."""
    assert list(missing(a_model(rule), schema)) == []


def test_table_that_is_not_there_is_clean():
    """Nobody migrated yet."""
    assert list(missing(a_model(UNIQUE, table="later"), a_schema())) == []


@pytest.mark.parametrize(
    ("rule", "schema"),
    [
        (UNIQUE, a_schema()),
        (UNIQUE, a_schema(an_index("isbn", unique=False))),
        (UNIQUE, a_schema(an_index("isbn", "title"))),
        (UNIQUE, a_schema(an_index("isbn", predicate="title > 3"))),
        (UNIQUE, a_schema(an_index("isbn", valid=False))),
        (BOTH, a_schema(an_index("title", "author_id"))),
        (SOME, a_schema(an_index("title", predicate="isbn > 3"))),
        (FILLED, a_schema(nullable=("title",))),
        (KEY, a_schema()),
        (KEY, a_schema(foreign_keys=(ForeignKey("f", ("author_id",), "book", ("id",)),))),
        (KEY._replace(on_purpose=True), a_schema()),
    ],
)
def test_promise_that_the_table_does_not_keep_is_found(rule, schema):
    """Whatever the model says."""
    assert list(missing(a_model(rule), schema)) == [rule]
