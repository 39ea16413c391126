"""What is read of each database's catalogue, and what follows from it."""

from __future__ import annotations

import pytest

from queryscope.plans.catalogue import UnknownDatabaseError, quoted, schema_of
from queryscope.plans.schema import (
    Column,
    ForeignKey,
    Index,
    IndexColumn,
    Schema,
    Table,
    finds_one,
    is_unique_by,
    redundant_indexes,
)
from tests.plans.empty import VENDORS, empty

TABLES = (
    "CREATE TABLE author (id INTEGER PRIMARY KEY, name VARCHAR(40) NOT NULL, born INTEGER)",
    """CREATE TABLE book (
        id INTEGER NOT NULL PRIMARY KEY,
        isbn VARCHAR(20) NOT NULL UNIQUE,
        code VARCHAR(20) UNIQUE,
        title VARCHAR(40) NOT NULL,
        author_id INTEGER NOT NULL,
        price INTEGER,
        CONSTRAINT book_price CHECK (price > 0),
        CONSTRAINT book_author FOREIGN KEY (author_id) REFERENCES author (id))""",
    "CREATE TABLE shelf (room INTEGER NOT NULL, place INTEGER NOT NULL, PRIMARY KEY (place, room))",
    "CREATE INDEX book_author_title ON book (author_id, title)",
    "CREATE INDEX book_price_down ON book (price DESC)",
    "INSERT INTO author VALUES (1, 'a', NULL), (2, 'b', 1900)",
)


@pytest.fixture(params=VENDORS)
def database(request):
    """An empty place in each database."""
    with empty(request.param) as place:
        yield place


def read(database, *statements):
    """Return the schema after some statements; of the test's own tables."""
    database.run(*statements)
    return schema_of(database.connection, database.vendor)


# -- reading --------------------------------------------------------------------------------------


def test_columns_have_type_and_nullability(database):
    """A key is never NULL, whether its column says so or not."""
    book = read(database, *TABLES).table("book")
    assert [(item.name, item.nullable) for item in book.columns] == [
        ("id", False),
        ("isbn", False),
        ("code", True),
        ("title", False),
        ("author_id", False),
        ("price", True),
    ]
    assert "20" in book.column("ISBN").type
    assert not read(database).table("author").column("id").nullable


def test_keys_and_unique_columns_are_read(database):
    """In the order of the key, which is not the one of the columns."""
    schema = read(database, *TABLES)
    assert schema.table("shelf").primary_key == ("place", "room")
    assert set(schema.table("book").keys) == {
        frozenset({"id"}),
        frozenset({"isbn"}),
        frozenset({"code"}),
    }
    assert all(index.constraint for index in schema.table("book").indexes if index.unique)


def test_indexes_have_order_and_direction(database):
    """What was made by hand is no constraint."""
    book = read(database, *TABLES).table("book")
    both = book.index("book_author_title")
    assert (both.names, both.unique, both.constraint, both.valid) == (
        ("author_id", "title"), False, False, True,
    )  # fmt: skip
    # MariaDB reads DESC and forgets it before 10.8.
    down = book.index("book_price_down")
    assert down.columns == (IndexColumn("price", descending=True),)


def test_foreign_keys_and_checks_are_read(database):
    """Each with what it refers to or asks."""
    book = read(database, *TABLES).table("book")
    (key,) = book.foreign_keys
    assert (key.columns, key.table, key.referred) == (("author_id",), "author", ("id",))
    (check,) = book.checks
    assert check.name == "book_price"
    assert "price" in check.condition
    assert "0" in check.condition


def test_foreign_key_without_columns_refers_to_the_primary_key():
    """SQLite leaves them out."""
    with empty("sqlite") as place:
        table = read(
            place,
            "CREATE TABLE a (x INTEGER, y INTEGER, PRIMARY KEY (y, x))",
            "CREATE TABLE b (y INTEGER, x INTEGER, FOREIGN KEY (y, x) REFERENCES a)",
        ).table("b")
    assert table.foreign_keys == (ForeignKey("", ("y", "x"), "a", ("y", "x")),)


def test_rows_are_estimated_or_counted(database):
    """Where the server has no estimate yet, a few rows are counted."""
    schema = read(database, *TABLES)
    assert schema.table("author").rows == 2
    assert schema.table("shelf").rows == 0


@pytest.mark.parametrize("vendor", ["sqlite", "postgresql"])
def test_partial_and_expression_indexes_are_read(vendor):
    """A unique index of some of the rows makes nothing unique."""
    with empty(vendor) as place:
        book = read(
            place,
            *TABLES,
            "CREATE UNIQUE INDEX one_cheap ON book (title) WHERE price < 5",
            "CREATE INDEX lowered ON book (lower(title), price DESC)",
        ).table("book")
    cheap, lowered = book.index("one_cheap"), book.index("lowered")
    assert cheap.unique
    assert not cheap.constraint
    assert "price < 5" in cheap.predicate
    assert frozenset({"title"}) not in book.keys
    assert lowered.names == ("", "price")
    assert lowered.columns[0].expression.replace(" ", "").startswith("lower(")
    assert lowered.columns[1].descending


def test_prefix_of_a_column_is_not_the_column():
    """MariaDB's index of the first characters."""
    with empty("mysql") as place:
        book = read(place, *TABLES, "CREATE INDEX begin ON book (title(3))").table("book")
    assert book.index("begin").columns == (IndexColumn("title", detail="first 3"),)


def test_ignored_index_is_not_valid():
    """It is kept and not used."""
    with empty("mysql") as place:
        book = read(place, *TABLES, "ALTER TABLE book ALTER INDEX book_price_down IGNORED").table(
            "book"
        )
    assert not book.index("book_price_down").valid


def test_operator_classes_and_carried_columns_are_told():
    """PostgreSQL's index for LIKE is another than the one for equality."""
    with empty("postgresql") as place:
        book = read(
            place,
            *TABLES,
            "CREATE INDEX likes ON book (title varchar_pattern_ops)",
            "CREATE INDEX carries ON book (title) INCLUDE (price)",
            "CREATE INDEX hashed ON book USING hash (title)",
            'CREATE INDEX spelled ON book (title COLLATE "C" DESC NULLS LAST)',
        ).table("book")
    assert book.index("likes").columns == (IndexColumn("title", detail="varchar_pattern_ops"),)
    assert book.index("carries").included == ("price",)
    assert book.index("hashed").method == "hash"
    assert book.index("spelled").columns == (
        IndexColumn("title", descending=True, detail="C, nulls last"),
    )
    assert book.index("likes").scans == 0


def test_other_schemas_are_read_and_the_bare_name_means_the_first():
    """As the search path has it; a name in two others means neither."""
    with empty("postgresql") as place, empty("postgresql", "queryscope_other") as other:
        place.run("CREATE TABLE book (id INTEGER PRIMARY KEY)")
        other.run("CREATE TABLE book (isbn INTEGER)", "CREATE TABLE only_there (id INTEGER)")
        schema = read(place)
        assert schema.table("book").primary_key == ("id",)
        assert schema.table("book", "queryscope_other").primary_key == ()
        assert schema.table("only_there").schema == "queryscope_other"
        place.run("SET search_path TO pg_catalog")
        assert read(place).table("book") is None


def test_partitions_are_their_table():
    """They have its indexes."""
    with empty("postgresql") as place:
        schema = read(
            place,
            "CREATE TABLE log (id INTEGER, day INTEGER) PARTITION BY RANGE (day)",
            "CREATE TABLE log_1 PARTITION OF log FOR VALUES FROM (1) TO (2)",
        )
        assert schema.table("log") is not None
        assert schema.table("log_1") is None


def test_keys_of_a_parent_do_not_hold_for_its_children():
    """Rows of both are read together, and may have one key."""
    with empty("postgresql") as place:
        schema = read(
            place,
            "CREATE TABLE log (id INTEGER PRIMARY KEY)",
            "CREATE TABLE old_log () INHERITS (log)",
            "INSERT INTO log VALUES (1)",
            "INSERT INTO old_log VALUES (1)",
        )
    assert schema.table("log").primary_key == ("id",)
    assert not is_unique_by(schema.table("log"), frozenset({"id"}))


def test_tables_of_modules_are_left_out():
    """What reads them may not be there."""
    with empty("sqlite") as place:
        schema = read(place, "CREATE VIRTUAL TABLE words USING fts5(body)", *TABLES)
    assert schema.table("words") is None
    assert schema.table("book") is not None


def test_key_of_sqlite_that_is_no_rowid_may_be_null():
    """An old mistake that SQLite keeps."""
    with empty("sqlite") as place:
        schema = read(
            place,
            "CREATE TABLE a (name TEXT PRIMARY KEY)",
            "CREATE TABLE b (name TEXT PRIMARY KEY) WITHOUT ROWID",
        )
    assert not is_unique_by(schema.table("a"), frozenset({"name"}))
    assert is_unique_by(schema.table("b"), frozenset({"name"}))


def test_hostile_names_are_read(database):
    """Quotes, keywords and spaces."""
    name = 'or"d`er -- x'
    made = quoted(name, database.vendor)
    table = read(
        database,
        f"CREATE TABLE {made} ({made} INTEGER NOT NULL PRIMARY KEY)",
        f"INSERT INTO {made} VALUES (1)",
    ).table(name)
    assert (table.name, table.primary_key, table.rows) == (name, (name,), 1)


def test_other_database_is_refused():
    """With its name."""
    with pytest.raises(UnknownDatabaseError, match="oracle"):
        schema_of(None, "oracle")


# -- what follows ---------------------------------------------------------------------------------


def a_table(*indexes, columns=("id", "a", "b", "c"), foreign_keys=(), nullable=()):
    """Return a table with a key and these indexes."""
    own = Index("key", (IndexColumn("id"),), unique=True, primary=True, constraint=True)
    return Table(
        name="t",
        columns=tuple(Column(name, "int", name in nullable) for name in columns),
        indexes=(own, *indexes),
        foreign_keys=foreign_keys,
    )


def an_index(name, *columns, **more):
    """Return an index of columns; ``-a`` is downwards."""
    parts = tuple(IndexColumn(item.lstrip("-"), descending=item[0] == "-") for item in columns)
    return Index(name, parts, **more)


def said(table):
    """Return which indexes could go, by which, and how."""
    return [(item.needless.name, item.by.name, item.how) for item in redundant_indexes(table)]


@pytest.mark.parametrize(
    "indexes",
    [
        (an_index("i", "a"), an_index("j", "b", "a")),
        (an_index("i", "a"), an_index("j", "a", "b", predicate="b > 1")),
        (an_index("i", "a", predicate="b > 1"), an_index("j", "a", "b")),
        (an_index("i", "a", unique=True), an_index("j", "a", "b")),
        (an_index("i", "a", unique=True, constraint=True), an_index("j", "a", unique=True)),
        (an_index("i", "a", "-b"), an_index("j", "a", "b", "c")),
        (an_index("i", "a", method="hash"), an_index("j", "a", "b")),
        (an_index("i", "a"), an_index("j", "a", "b", valid=False)),
        (an_index("i", "a", included=("c",)), an_index("j", "a", "b")),
        (an_index("i", "a", constraint=True), an_index("j", "a", "b")),
        (
            Index("i", (IndexColumn("a", detail="varchar_pattern_ops"),)),
            an_index("j", "a"),
        ),
        (Index("i", (IndexColumn("", "lower(a)"),)), Index("j", (IndexColumn("", "upper(a)"),))),
    ],
)
def test_index_that_does_what_no_other_does_stays(indexes):
    """Other columns, rows, order or methods, and what keeps a constraint."""
    assert said(a_table(*indexes)) == []


def test_index_of_a_foreign_key_stays():
    """The database needs it where rows are deleted that it points to."""
    key = ForeignKey("f", ("a",), "other", ("id",))
    table = a_table(an_index("i", "a"), an_index("j", "a", "b"), foreign_keys=(key,))
    assert said(table) == []


@pytest.mark.parametrize(
    ("indexes", "found"),
    [
        ((an_index("i", "a"), an_index("j", "a")), [("j", "i", "duplicate")]),
        ((an_index("i", "a"), an_index("j", "-a")), [("j", "i", "duplicate")]),
        ((an_index("i", "a"), an_index("j", "a", unique=True)), [("i", "j", "duplicate")]),
        ((an_index("i", "id"),), [("i", "key", "duplicate")]),
        ((an_index("i", "a"), an_index("j", "a", "b")), [("i", "j", "prefix")]),
        ((an_index("i", "a", "-b"), an_index("j", "-a", "b", "c")), [("i", "j", "prefix")]),
        (
            (an_index("i", "a"), an_index("j", "a", "b"), an_index("k", "a", "b", "c")),
            [("i", "j", "prefix"), ("j", "k", "prefix")],
        ),
        (
            (an_index("i", "a"), an_index("j", "a"), an_index("k", "a")),
            [("j", "i", "duplicate"), ("k", "i", "duplicate")],
        ),
    ],
)
def test_index_that_another_answers_for_could_go(indexes, found):
    """The one that answers for it stays, or has one that answers for it."""
    assert said(a_table(*indexes)) == found


def test_twin_of_a_foreign_keys_index_could_go():
    """One of the two backs the key as well."""
    key = ForeignKey("f", ("a",), "other", ("id",))
    table = a_table(an_index("i", "a"), an_index("j", "a"), foreign_keys=(key,))
    assert said(table) == [("j", "i", "duplicate")]


def test_rows_are_unique_by_a_key_without_nulls():
    """NULLs are alike for DISTINCT, and not for a unique index."""
    table = a_table(an_index("u", "a", "b", unique=True), nullable=("b",))
    assert is_unique_by(table, frozenset({"id", "c"}))
    assert not is_unique_by(table, frozenset({"a", "b"}))
    assert finds_one(table, frozenset({"a", "b"}))
    assert not finds_one(table, frozenset({"a"}))


def test_unknown_table_is_none():
    """Whatever its schema."""
    assert Schema("sqlite").table("book") is None
    assert Schema("sqlite").table("book", "main") is None
