"""Clones: what they leave alone, what they change, and which wrong statements show on them."""

from __future__ import annotations

import hashlib
import sqlite3
from contextlib import closing
from itertools import islice
from urllib.parse import quote

import pytest

from queryscope.errors import SettingsError
from queryscope.plans.connection import rows_of
from queryscope.plans.database import Database
from queryscope.verify.clones import source_of
from queryscope.verify.clones.source import DatabaseError
from tests.services import mariadb_url, postgresql_url
from tests.verify import library

LITERALS = ("draft", 7, 100, 2.5)


@pytest.fixture(scope="module", params=["sqlite", "postgresql", "mariadb"])
def url(request, tmp_path_factory):
    """Return the URL of a library of our own."""
    if request.param != "sqlite":
        tests = postgresql_url() if request.param == "postgresql" else mariadb_url()
        found = library.server_url(tests)
        library.make(found)
        return found
    path = tmp_path_factory.mktemp("user") / "library.sqlite3"
    sqlite3.connect(path).close()
    found = f"sqlite:///{path}"
    library.make(found)
    return found


@pytest.fixture(scope="module")
def source(url, tmp_path_factory):
    """Return what makes clones of the library, and drop those that are left."""
    source = source_of(url, tmp_path_factory.mktemp("clones"), "run")
    made = []
    copy = source.copy
    source.copy = lambda *given: made.append(copy(*given)) or made[-1]
    yield source
    for clone in made:
        source.drop(clone)


@pytest.fixture(scope="module")
def pristine(source):
    """Return the one copy that the clones are made of."""
    clone = source.pristine(10.0)
    yield clone
    source.drop(clone)


@pytest.fixture(scope="module")
def telling(source, pristine):
    """Return all telling clones by name."""
    return {clone.name: clone for clone in source.telling(pristine, LITERALS)}


def ask(clone, statement):
    """Return the rows of a statement on a clone, in their order."""
    with closing(Database.of_url(clone.url).connect()) as connection:
        return [tuple(row) for row in rows_of(connection, statement)]


def column(clone, statement):
    """Return the first column of a statement's rows."""
    return [row[0] for row in ask(clone, statement)]


def shown_on(telling, right, wrong):
    """Return the names of the clones on which two statements give different rows."""
    return [name for name, clone in telling.items() if ask(clone, right) != ask(clone, wrong)]


# -- what stays as it is ----------------------------------------------------------------------


def test_users_database_is_left_alone(url, source, pristine, telling, tmp_path):
    """Changing the copies reaches neither it nor the pristine copy."""
    again = source_of(url, tmp_path, "again")
    copy = again.pristine(10.0)
    assert again.state(copy) == source.state(pristine) == source.state(telling["as is"])
    again.drop(copy)


def test_first_clone_is_the_data_as_it_is(source, pristine):
    """The first clone has nothing changed and says so."""
    first = next(iter(source.telling(pristine, LITERALS)))
    assert (first.name, first.changed, first.skipped) == ("as is", "", ())
    assert source.state(first) == source.state(pristine)


def test_clones_are_the_same_each_time(source, pristine, telling):
    """Two runs make the same data: an answer can be asked for again."""
    assert len(telling) == 17
    most = 17 if source.vendor == "sqlite" else 3
    for clone in islice(source.telling(pristine, LITERALS), most):
        assert source.state(clone) == source.state(telling[clone.name])


def test_credentials_are_left_alone(telling):
    """Who logged in before can log in on every clone, and every one of them is there."""
    for clone in telling.values():
        tokens = column(clone, "SELECT token FROM reader ORDER BY id LIMIT 4")
        assert tokens == [f"token-{n}" for n in range(1, 5)]


def test_references_stay_whole(telling):
    """No clone refers to rows that are not there, and no link is doubled."""
    for name, clone in telling.items():
        for child, key, parent in (
            ("book", "author_id", "author"),
            ("review", "book_id", "book"),
            ("review", "reader_id", "reader"),
            ("book_tag", "book_id", "book"),
            ("book_tag", "tag_id", "tag"),
        ):
            lost = column(
                clone,
                f"SELECT count(*) FROM {child} WHERE {key} IS NOT NULL "
                f"AND {key} NOT IN (SELECT id FROM {parent})",
            )
            assert lost == [0], name


def test_constraints_are_respected(telling):
    """What must not be NULL is not, what is checked holds, and nothing is longer than declared."""
    for clone in telling.values():
        wrong = column(
            clone,
            "SELECT count(*) FROM book WHERE title IS NULL OR price IS NULL OR pages < 0 "
            "OR length(title) > 40 OR length(status) > 10",
        )
        assert wrong == [0]


def test_what_a_constraint_forbids_is_stated(telling):
    """Values that a CHECK refuses are named with the column, and so is a table without a key."""
    said = " ".join(line for clone in telling.values() for line in clone.skipped)
    assert "book.pages: " in said
    assert "pages_not_negative" in said
    assert "note" in said
    assert "syntax" not in said


def test_what_is_stated_holds_no_values(telling):
    """No value of a row goes into the evidence, and no name of a clone."""
    said = " ".join(line for clone in telling.values() for line in clone.skipped)
    assert "isbn-" not in said
    assert "Title" not in said
    assert "queryscope_clone" not in said


def test_changed_cells_keep_the_number_of_rows(source, telling):
    """In place means that no row comes or goes."""
    rows = {table: state.split()[0] for table, state in source.state(telling["as is"]).items()}
    for name, clone in telling.items():
        if "in place" in name or "ties" in name or "order" in name:
            found = source.state(clone)
            assert {table: state.split()[0] for table, state in found.items()} == rows


def test_every_second_row_is_left_alone(telling):
    """Half of the copies leave every second row of a column as it was."""
    before = column(telling["as is"], "SELECT title FROM book ORDER BY id")
    for name, clone in telling.items():
        if name.startswith("every second row"):
            after = column(clone, "SELECT title FROM book ORDER BY id")
            same = sum(one == other for one, other in zip(before, after, strict=True))
            assert same == library.BOOKS // 2


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        (
            (
                "SELECT book.id, author.name FROM book LEFT JOIN author ON "
                "author.id = book.author_id "
                "ORDER BY book.id"
            ),
            (
                "SELECT id, (SELECT name FROM author WHERE author.id = "
                "author_id) FROM book ORDER BY id"
            ),
        ),
        (
            "SELECT id FROM book WHERE status = 'open' ORDER BY position, id",
            (
                "SELECT id FROM book WHERE status IN ('open') AND status IS NOT NULL "
                "ORDER BY position ASC, id ASC"
            ),
        ),
        (
            "SELECT book_id, count(*) FROM review GROUP BY book_id ORDER BY book_id",
            (
                "SELECT id, (SELECT count(*) FROM review WHERE book_id = book.id) FROM book "
                "WHERE id IN (SELECT book_id FROM review) ORDER BY id"
            ),
        ),
        (
            (
                "SELECT DISTINCT book.id FROM book JOIN book_tag ON book_id = book.id "
                "JOIN tag ON tag.id = tag_id WHERE tag.name = 'tag2' ORDER BY book.id"
            ),
            (
                "SELECT id FROM book WHERE EXISTS (SELECT 1 FROM book_tag "
                "JOIN tag ON tag.id = tag_id "
                "WHERE book_id = book.id AND tag.name = 'tag2') ORDER BY id"
            ),
        ),
    ],
)
def test_equivalent_statement_shows_on_no_clone(telling, right, wrong):
    """What always gives the same rows gives them on each clone, too."""
    assert shown_on(telling, right, wrong) == []


def test_settings_are_left_alone(tmp_path):
    """Names with values, which the application parses, are changed on no clone."""
    path = tmp_path / "settings.sqlite3"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(
            """
            CREATE TABLE setting (id integer PRIMARY KEY, key varchar(20), value varchar(20));
            INSERT INTO setting (key, value) VALUES ('page_size', '20'), ('currency', 'EUR');
            CREATE TABLE measurement (id integer PRIMARY KEY, name varchar(20), value integer,
                room integer REFERENCES room (id));
            CREATE TABLE room (id integer PRIMARY KEY);
            INSERT INTO room VALUES (1), (2);
            INSERT INTO measurement (name, value, room) VALUES ('a', 1, 1), ('b', 2, 2);
            """
        )
    source = source_of(f"sqlite:///{path}", tmp_path / "clones", "run")
    clones = list(source.telling(source.pristine(10.0), LITERALS))
    states = {source.state(clone)["setting"] for clone in clones}
    assert len(states) == 1
    assert any("names and values that are parsed" in str(clone.skipped) for clone in clones)
    assert len({source.state(clone)["measurement"] for clone in clones}) > 8


def test_table_that_never_changes_is_left_alone(tmp_path):
    """What a patch may hold in the source, because the user said so, is the same on each clone."""
    path = tmp_path / "library.sqlite3"
    sqlite3.connect(path).close()
    library.make(f"sqlite:///{path}")
    source = source_of(f"sqlite:///{path}", tmp_path / "clones", "run", fixed=("Tag",))
    clones = list(source.telling(source.pristine(10.0), LITERALS))
    assert len({source.state(clone)["tag"] for clone in clones}) == 1
    assert len({source.state(clone)["book_tag"] for clone in clones}) > 3
    assert any("never changes" in str(clone.skipped) for clone in clones)


def test_tree_stays_a_tree(tmp_path):
    """Who walks up from a row to its parent comes to an end, on every clone."""
    path = tmp_path / "tree.sqlite3"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(
            "CREATE TABLE folder (id integer PRIMARY KEY, name text,"
            " parent_id integer REFERENCES folder (id))"
        )
        connection.executemany(
            "INSERT INTO folder VALUES (?, ?, ?)",
            [(number, f"folder {number}", number // 2 or None) for number in range(1, 301)],
        )
        connection.commit()
    source = source_of(f"sqlite:///{path}", tmp_path / "clones", "run")
    moved = 0
    for clone in source.telling(source.pristine(10.0), LITERALS):
        parents = dict(ask(clone, "SELECT id, parent_id FROM folder"))
        moved += any(number > 1 and parent is None for number, parent in parents.items())
        for above in parents.values():
            steps, at = 0, above
            while at is not None:
                steps, at = steps + 1, parents.get(at)
                assert steps < 20, clone.name
    assert moved


def test_large_table_is_not_put_below_one_parent(tmp_path):
    """Half of all rows below one is a page that takes minutes, and that no application has."""
    path = tmp_path / "places.sqlite3"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(
            "CREATE TABLE place (id integer PRIMARY KEY);"
            "CREATE TABLE item (id integer PRIMARY KEY,"
            " place_id integer NOT NULL REFERENCES place (id));"
        )
        connection.executemany("INSERT INTO place VALUES (?)", [(n,) for n in range(1, 101)])
        connection.executemany(
            "INSERT INTO item VALUES (?, ?)", [(n, (n - 1) // 10 + 1) for n in range(1, 1001)]
        )
        connection.commit()
    source = source_of(f"sqlite:///{path}", tmp_path / "clones", "run")
    below = "SELECT count(*) FROM item GROUP BY place_id"
    changed = [one for one in source.telling(source.pristine(10.0), ()) if "in place" in one.name]
    most = max(max(column(clone, below)) for clone in changed)
    assert 10 < most <= 120
    before = dict(ask(changed[0], "SELECT id, (id - 1) / 10 + 1 FROM item"))
    assert any(
        row[0] > 200 and row[1] != before[row[0]]
        for clone in changed
        for row in ask(clone, "SELECT id, place_id FROM item")
    )


# -- what shows -------------------------------------------------------------------------------

WRONG = {
    "inner join drops rows without an author": (
        (
            "SELECT book.id, author.name FROM book LEFT JOIN author ON author.id = book.author_id "
            "ORDER BY book.id"
        ),
        (
            "SELECT book.id, author.name FROM book JOIN author ON author.id = book.author_id "
            "ORDER BY book.id"
        ),
    ),
    "filter dropped": (
        (
            "SELECT book.id FROM book JOIN author ON author.id = "
            "author_id WHERE author.active = TRUE "
            "ORDER BY book.id"
        ),
        "SELECT book.id FROM book JOIN author ON author.id = author_id ORDER BY book.id",
    ),
    "filter of a literal dropped": (
        "SELECT id FROM book WHERE status <> 'draft' OR status IS NULL ORDER BY id",
        "SELECT id FROM book ORDER BY id",
    ),
    "NULL is not unequal": (
        "SELECT id FROM book WHERE status <> 'sold' OR status IS NULL ORDER BY id",
        "SELECT id FROM book WHERE status <> 'sold' ORDER BY id",
    ),
    "order lost": (
        "SELECT id, title FROM book ORDER BY id",
        "SELECT id, title FROM book",
    ),
    "order of some lost": (
        "SELECT id, title FROM book WHERE id IN (3, 5, 1) ORDER BY id",
        "SELECT id, title FROM book WHERE id IN (3, 5, 1)",
    ),
    "tie-break lost": (
        "SELECT id, title FROM book ORDER BY position, id",
        "SELECT id, title FROM book ORDER BY position",
    ),
    "tie-break lost downwards": (
        "SELECT id, title FROM book ORDER BY position DESC, id",
        "SELECT id, title FROM book ORDER BY position DESC",
    ),
    "tie-break turned": (
        "SELECT id FROM book ORDER BY published, id",
        "SELECT id FROM book ORDER BY published, id DESC",
    ),
    "duplicates from a join": (
        (
            "SELECT id FROM book WHERE id IN (SELECT book_id FROM "
            "book_tag JOIN tag ON tag.id = tag_id "
            "WHERE tag.name = 'tag2') ORDER BY id"
        ),
        (
            "SELECT book.id FROM book JOIN book_tag ON book_id = book.id "
            "JOIN tag ON tag.id = tag_id "
            "WHERE tag.name = 'tag2' ORDER BY book.id"
        ),
    ),
    "book without reviews dropped": (
        "SELECT id, (SELECT count(*) FROM review WHERE book_id = book.id) FROM book ORDER BY id",
        "SELECT book_id, count(*) FROM review GROUP BY book_id ORDER BY book_id",
    ),
    "0 for NULL": (
        "SELECT id, pages FROM book ORDER BY id",
        "SELECT id, coalesce(pages, 0) FROM book ORDER BY id",
    ),
    "NULL for 0": (
        "SELECT id, pages FROM book ORDER BY id",
        "SELECT id, nullif(pages, 0) FROM book ORDER BY id",
    ),
    "NULL for ''": (
        "SELECT id, subtitle FROM book ORDER BY id",
        "SELECT id, nullif(subtitle, '') FROM book ORDER BY id",
    ),
    "one too few": (
        "SELECT id FROM book WHERE pages >= 7 OR pages IS NULL ORDER BY id",
        "SELECT id FROM book WHERE pages > 7 OR pages IS NULL ORDER BY id",
    ),
    "hidden limit": (
        "SELECT id FROM review ORDER BY id",
        "SELECT id FROM review ORDER BY id LIMIT 100",
    ),
    "day in another time zone": (
        "SELECT count(*) FROM book WHERE published < '2026-03-05 23:00:00'",
        "SELECT count(*) FROM book WHERE published < '2026-03-06 00:00:00'",
    ),
    "summer taken for winter": (
        "SELECT count(*) FROM book WHERE published < '2026-03-29 22:00:00'",
        "SELECT count(*) FROM book WHERE published < '2026-03-29 23:00:00'",
    ),
    "average ignores NULL": (
        "SELECT sum(weight) / count(*) FROM book",
        "SELECT avg(weight) FROM book",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_statement_shows_on_a_clone(telling, name):
    """Each of them gives the same rows on the data as it is, and other rows on some clone."""
    right, wrong = WRONG[name]
    if name == "order lost" and "mysql:" in telling["as is"].url:
        assert "all tables: rows that nothing orders" in str(telling["other order"].skipped)
        return
    found = shown_on(telling, right, wrong)
    assert found
    assert "as is" not in found


def test_constant_answer_shows_on_most_clones(telling):
    """What does not follow the data is seen on nearly every clone."""
    rows = ask(telling["as is"], "SELECT id, title, price FROM book ORDER BY id")
    other = [
        name
        for name, clone in telling.items()
        if ask(clone, "SELECT id, title, price FROM book ORDER BY id") != rows
    ]
    assert len(other) >= 11


def test_tempting_values_are_there(telling):
    """Each value of the recipe stands somewhere, where its column may hold it."""
    titles, subtitles, prices, pages, statuses, weights = (
        {value for clone in telling.values() for value in column(clone, f"SELECT {name} FROM book")}
        for name in ("title", "subtitle", "price", "pages", "status", "weight")
    )
    assert {"", "0", " a", "Zoë 100%_É", "draft"} <= titles
    assert {None, ""} <= subtitles
    assert {None, 0, 7, 6, 8, 1_600} <= pages
    assert max(page for page in pages if page is not None) == 1_600
    assert {None, "draft", "open", "sold"} <= statuses
    assert {None, 0.0, 2.5, 0.125} <= weights
    assert any(float(price) == 0 for price in prices)
    assert any(float(price) % 1 == 0.5 for price in prices)
    late = (
        str(value)
        for clone in telling.values()
        for value in column(clone, "SELECT published FROM book")
    )
    assert any("23:30:00" in value for value in late)


def test_booleans_go_both_ways(telling):
    """Active and inactive rows stand side by side, in both halves of the rows."""
    off = {
        row
        for name, clone in telling.items()
        if "in place" in name
        for row, active in ask(clone, "SELECT id, active FROM author")
        if not active
    }
    assert len(off) == 6


def test_empty_clone_keeps_who_may_ask(source, telling):
    """No row is left but of those by whom people log in."""
    rows = {table: int(state.split()[0]) for table, state in source.state(telling["empty"]).items()}
    assert rows.pop("reader") == 4
    assert set(rows.values()) == {0}


def test_one_row_keeps_what_it_refers_to(source, telling):
    """A review, its book, its author: one of each."""
    state = source.state(telling["one row"])
    rows = {table: int(found.split()[0]) for table, found in state.items()}
    assert rows == {
        "reader": 4,
        "author": 1,
        "tag": 1,
        "book": 1,
        "review": 1,
        "book_tag": 1,
        "note": 0,
    }


def test_filled_clone_is_larger_than_the_sources_numbers(telling):
    """More rows than the literal 100, more children of one parent, and keys beyond it."""
    clone = telling["more rows than the source has numbers"]
    for table in ("author", "book", "review", "tag"):
        assert column(clone, f"SELECT count(*) FROM {table}")[0] > 100
    assert column(clone, "SELECT count(*) FROM book_tag") == [2 * library.BOOKS]
    for table, parent, crowded in (("book", "author_id", 6), ("review", "book_id", 8)):
        statement = f"SELECT count(*) FROM {table} GROUP BY {parent} ORDER BY 1 DESC"
        assert sum(count > 100 for count in column(clone, statement)) >= crowded
    assert column(clone, "SELECT max(id) FROM book")[0] > 200


def test_large_literal_moves_keys_alone(tmp_path):
    """A million in the source makes no million rows."""
    path = tmp_path / "library.sqlite3"
    sqlite3.connect(path).close()
    library.make(f"sqlite:///{path}")
    source = source_of(f"sqlite:///{path}", tmp_path / "clones", "run")
    *_, last = source.telling(source.pristine(10.0), (1_000_000,))
    assert last.name == "more rows than the source has numbers"
    assert 16 < column(last, "SELECT count(*) FROM book")[0] < 100
    assert column(last, "SELECT max(id) FROM book")[0] > 1_000_000


# -- their lives ------------------------------------------------------------------------------


def test_working_copy_is_restored_under_open_connections(source, pristine):
    """Who has it open sees the clone's rows again, and goes on to write."""
    work = source.copy(pristine, "work")
    with closing(Database.of_url(work.url).connect(writable=True)) as connection:
        rows_of(connection, "INSERT INTO tag (name) VALUES ('new')")
        rows_of(connection, "DELETE FROM review")
        _commit(connection)
        assert source.state(work) != source.state(pristine)
        source.restore(work, pristine)
        assert source.state(work) == source.state(pristine)
        assert [tuple(row) for row in rows_of(connection, "SELECT count(*) FROM tag")] == [(4,)]
        rows_of(connection, "INSERT INTO tag (name) VALUES ('new')")
        _commit(connection)
        assert rows_of(connection, "SELECT max(id) FROM tag")[0][0] == 5


def _commit(connection):
    if not isinstance(connection, sqlite3.Connection):
        rows_of(connection, "COMMIT")


def test_state_names_the_table_that_changed(source, pristine):
    """One row more, one value else: the table's digest says so, and no other's."""
    work = source.copy(pristine, "work")
    with closing(Database.of_url(work.url).connect(writable=True)) as connection:
        rows_of(connection, "UPDATE tag SET name = 'tagX' WHERE id = 1")
        _commit(connection)
    before, after = source.state(pristine), source.state(work)
    assert {table for table in before if before[table] != after[table]} == {"tag"}


def test_dropped_clone_may_be_dropped_again(source, pristine):
    """What is gone is none to complain of."""
    work = source.copy(pristine, "work")
    source.drop(work)
    source.drop(work)


# -- SQLite's own -----------------------------------------------------------------------------


def test_sqlite_file_is_byte_identical(tmp_path):
    """Not one byte of the user's file changes, and nothing is put beside it."""
    (tmp_path / "user").mkdir()
    path = tmp_path / "user" / "library.sqlite3"
    sqlite3.connect(path).close()
    library.make(f"sqlite:///{path}")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    source = source_of(f"sqlite:///{path}", tmp_path / "clones", "run")
    for clone in source.telling(source.pristine(10.0), LITERALS):
        source.drop(clone)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == digest
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    assert len(list((tmp_path / "clones").iterdir())) == 1


def test_sqlite_writes_in_the_log_come_along(tmp_path):
    """Rows that are committed to the log of writes, not yet to the file, are copied."""
    path = tmp_path / "wal.sqlite3"
    with closing(sqlite3.connect(path, isolation_level=None)) as writer:
        writer.execute("PRAGMA journal_mode = WAL")
        writer.execute("CREATE TABLE t (id integer PRIMARY KEY)")
        writer.execute("INSERT INTO t VALUES (1)")
        source = source_of(f"sqlite:///{path}", tmp_path / "clones", "run")
        clone = source.pristine(10.0)
        assert column(clone, "SELECT id FROM t") == [1]
        source.drop(clone)
    assert list((tmp_path / "clones").iterdir()) == []


def test_sqlite_locked_for_writing_ends_at_the_deadline(tmp_path):
    """Somebody's open transaction ends the copy with a word about it, not never."""
    path = tmp_path / "locked.sqlite3"
    with closing(sqlite3.connect(path, isolation_level=None)) as writer:
        writer.execute("CREATE TABLE t (id integer PRIMARY KEY)")
        writer.execute("BEGIN EXCLUSIVE")
        source = source_of(f"sqlite:///{path}", tmp_path / "clones", "run")
        with pytest.raises(DatabaseError, match=r"locked by somebody's writes for more than 0\.3"):
            source.pristine(0.3)
    assert list((tmp_path / "clones").iterdir()) == []


@pytest.mark.parametrize(
    ("content", "said"), [(None, "There is no SQLite database"), (b"x" * 4096, "not a database")]
)
def test_sqlite_that_is_none_is_refused(tmp_path, content, said):
    """No file, or one of something else: a sentence, and nothing left behind."""
    path = tmp_path / "none.sqlite3"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DatabaseError, match=said):
        source_of(f"sqlite:///{path}", tmp_path / "clones", "run").pristine(10.0)
    assert list((tmp_path / "clones").iterdir()) == []


def test_sqlite_in_memory_is_refused(tmp_path):
    """It belongs to the process that made it."""
    with pytest.raises(DatabaseError, match="in memory"):
        source_of("sqlite:///:memory:", tmp_path, "run").pristine(10.0)


def test_unknown_database_is_refused(tmp_path):
    """A URL of something else is the caller's mistake."""
    with pytest.raises(SettingsError, match="oracle"):
        source_of("oracle://me@host/shop", tmp_path, "run")


def test_sqlite_decimals_keep_their_digits(tmp_path):
    """Django's decimals say nothing of their digits there, and more than they have is an error."""
    path = tmp_path / "decimals.sqlite3"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE item (id integer PRIMARY KEY, price decimal NOT NULL)")
        rows = [(number * 1.5,) for number in range(1, 40)]
        connection.executemany("INSERT INTO item (price) VALUES (?)", rows)
        connection.commit()
    source = source_of(f"sqlite:///{path}", tmp_path / "clones", "run")
    literals = (1_000_000, 2_147_483_648, 2.5, 0.125, 7)
    prices = {
        price
        for clone in source.telling(source.pristine(10.0), literals)
        for price in column(clone, "SELECT price FROM item")
    }
    assert max(prices) == 99
    assert {0, -1, 2.5, 7} <= prices
    assert all(round(price, 2) == price for price in prices)


def test_sqlite_of_odd_names_is_cloned(tmp_path):
    """Names that need quotes, computed columns, keys of texts and of nothing."""
    path = tmp_path / "odd name %20.sqlite3"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(
            """
            CREATE TABLE "or""der" ("group" text PRIMARY KEY, "a?b" integer, "%s" real,
                total integer GENERATED ALWAYS AS ("a?b" * 2) STORED, data json, plain);
            INSERT INTO "or""der" ("group", "a?b", "%s", data) VALUES ('x', 1, 2.5, '{}');
            INSERT INTO "or""der" ("group", "a?b", "%s", data) VALUES ('y', 2, NULL, '[]');
            CREATE TABLE child ("or""der" text REFERENCES "or""der"("group"));
            INSERT INTO child VALUES ('x'), ('y'), (NULL);
            CREATE VIEW v AS SELECT 1;
            CREATE TABLE alone (id integer PRIMARY KEY, code varchar(9) UNIQUE, n integer UNIQUE);
            INSERT INTO alone VALUES (1, 'a', 1), (2, 'b', 2);
            CREATE TABLE nobody (id integer PRIMARY KEY);
            CREATE TABLE self (id integer PRIMARY KEY, up integer REFERENCES self(id));
            INSERT INTO self VALUES (1, NULL), (2, 1), (3, 2);
            CREATE TRIGGER no_more BEFORE DELETE ON self BEGIN SELECT raise(ABORT, 'never'); END;
            """
        )
        connection.commit()
    source = source_of(f"sqlite:///{quote(str(path))}", tmp_path / "clones", "run")
    clones = list(source.telling(source.pristine(10.0), LITERALS))
    assert len(clones) == 17
    said = " ".join(line for clone in clones for line in clone.skipped)
    assert "never" in said
    assert column(clones[-1], "SELECT count(*) FROM alone")[0] > 100
    assert any(None in column(clone, 'SELECT "a?b" FROM "or""der"') for clone in clones)
