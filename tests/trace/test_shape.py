"""Shapes: equal for the same question, different for others, linear on whatever is sent."""

from __future__ import annotations

import time

import pytest

from queryscope.trace.shape import MAX_SHAPES, MAX_SHAPES_CHARS, SHAPES, shape_of
from queryscope.trace.tokens import MAX_CACHED_CHARS, MAX_READ_CHARS, without_literals

VENDORS = ("sqlite", "postgresql", "mysql", "mariadb", "")


def text(statement, vendor=""):
    """Return the folded text of a statement."""
    return shape_of(statement, vendor).text


# -- folding ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("vendor", "one", "other"),
    [
        ("", "SELECT a FROM t WHERE b = 1", "SELECT a FROM t WHERE b = 27.5e-3"),
        ("", "SELECT a FROM t WHERE b = 'x'", "SELECT a FROM t WHERE b = 'it''s'"),
        ("", "SELECT a FROM t WHERE b = %s", "SELECT a FROM t WHERE b = 'x'"),
        ("", "SELECT a FROM t WHERE b = -1", "SELECT a FROM t WHERE b = 1"),
        ("", "SELECT a  FROM t\n WHERE b=?", "SELECT a FROM t WHERE b = ?"),
        ("", "SELECT a FROM t -- why\nWHERE b = 1", "SELECT a FROM t WHERE b = 1"),
        ("", "SELECT a FROM t /* it's; -- why */ WHERE b = 1", "SELECT a FROM t WHERE b = 1"),
        ("", "SELECT a FROM t;", "SELECT a FROM t"),
        ("", "SELECT a FROM t WHERE b IN (1)", "SELECT a FROM t WHERE b IN (1, 2, -3, NULL)"),
        ("", "SELECT a FROM t WHERE b IN(1)", "SELECT a FROM t WHERE b IN (%s,%s)"),
        ("", "SELECT a FROM t WHERE b IN (%(b_1)s)", "SELECT a FROM t WHERE b IN (%(b_1)s, :c)"),
        ("sqlite", "SELECT a FROM t WHERE b = ?1", "SELECT a FROM t WHERE b = $name"),
        ("sqlite", "SELECT a FROM t WHERE b = @x", "SELECT a FROM t WHERE b = X'00ff'"),
        ("sqlite", "SELECT a FROM t WHERE b = '\\'", "SELECT a FROM t WHERE b = 'x'"),
        ("postgresql", "SELECT a FROM t WHERE b = $1", "SELECT a FROM t WHERE b = $tag$it's$tag$"),
        ("postgresql", "SELECT a FROM t WHERE b = $$ $1 $$", "SELECT a FROM t WHERE b = $2"),
        ("postgresql", "SELECT a FROM t WHERE b = E'it\\'s'", "SELECT a FROM t WHERE b = 'x'"),
        ("postgresql", "SELECT /* a /* b */ c */ a FROM t", "SELECT a FROM t"),
        (
            "postgresql",
            "SELECT a FROM t WHERE b IN (%s::uuid)",
            "SELECT a FROM t WHERE b IN (%s::uuid, %s::uuid)",
        ),
        (
            "postgresql",
            "SELECT a FROM t WHERE b IN (%s::TIMESTAMP WITHOUT TIME ZONE)",
            "SELECT a FROM t WHERE b IN (%s::NUMERIC(10, 2), %s::INTEGER[], %s::double precision)",
        ),
        ("mysql", "SELECT a FROM t WHERE b = 'it\\'s'", "SELECT a FROM t WHERE b = 'x'"),
        ("mysql", 'SELECT a FROM t WHERE b = "it\\"s"', "SELECT a FROM t WHERE b = 'x'"),
        ("mysql", "SELECT a FROM t # it's\nWHERE b = 1", "SELECT a FROM t WHERE b = 1"),
        ("mysql", "SELECT a FROM t WHERE b = 0x1F", "SELECT a FROM t WHERE b = 12"),
        ("", "INSERT INTO t (a, b) VALUES (1, 2)", "INSERT INTO t (a, b) VALUES (3, 4), (5, 6)"),
        (
            "",
            "INSERT INTO t (a, b) VALUES (%s, now())",
            "INSERT INTO t (a, b) VALUES (%s, now()), (%s, now()), (%s, now())",
        ),
        (
            "postgresql",
            "INSERT INTO t (a) SELECT p0::VARCHAR FROM (VALUES (%s, 0)) AS s(p0, n) ORDER BY n",
            (
                "INSERT INTO t (a) SELECT p0::VARCHAR FROM (VALUES (%s, 0), (%s, 1)) AS s(p0, n) "
                "ORDER BY n"
            ),
        ),
        (
            "",
            "SELECT a FROM t WHERE (b, c) IN ((1, 2))",
            "SELECT a FROM t WHERE (b, c) IN ((1, 2), (3, 4))",
        ),
    ],
)
def test_values_and_lists_alone_differ_the_shape_is_equal(vendor, one, other):
    """Two texts of one question have one shape."""
    assert text(one, vendor) == text(other, vendor)


@pytest.mark.parametrize(
    ("vendor", "one", "other"),
    [
        ("", "SELECT a FROM t", "SELECT b FROM t"),
        ("", "SELECT a FROM t WHERE b = 1", "SELECT a FROM t WHERE b > 1"),
        ("", "SELECT a FROM t WHERE b = 1", "SELECT a FROM t WHERE b = c"),
        ("", "SELECT a FROM t WHERE b = 1", "SELECT a FROM t WHERE b IS NULL"),
        ("", "SELECT a FROM t WHERE b IN (1)", "SELECT a FROM t WHERE b IN (SELECT c FROM d)"),
        ("", "SELECT a FROM t ORDER BY a", "SELECT a FROM t ORDER BY a DESC"),
        ("", "SELECT a FROM t", "SELECT a FROM t LIMIT 1"),
        ("", 'SELECT "a" FROM t', "SELECT 'a' FROM t"),
        ("mysql", "SELECT `a` FROM t", 'SELECT "a" FROM t'),
        ("sqlite", "SELECT [a] FROM t", "SELECT [b] FROM t"),
        ("sqlite", "SELECT a FROM t WHERE b = '\\' AND c = d", "SELECT a FROM t WHERE b = 'x'"),
        ("", "SELECT a - b FROM t", "SELECT a FROM t"),
        ("", "SELECT a FROM t WHERE b = c - 1", "SELECT a FROM t WHERE b = c + 1"),
        (
            "",
            "INSERT INTO t (a) VALUES (now()), (1)",
            "INSERT INTO t (a) VALUES (now()), (now())",
        ),
        ("postgresql", "SELECT a #> b FROM t", "SELECT a FROM t"),
    ],
)
def test_another_question_has_another_shape(vendor, one, other):
    """What is not a value or a list stays in the shape."""
    assert text(one, vendor) != text(other, vendor)


def test_shape_reads_as_sql_with_single_spaces():
    """The text is what reports show: one space between tokens, calls kept together."""
    statement = (
        'SELECT "t"."a" , COUNT( * ), coalesce(b,1), now( ) FROM "t"\n\tWHERE ("t"."a"=%s '
        "AND lower(c)  LIKE 'x%%' OR d::text='y')"
    )
    assert text(statement) == (
        'SELECT "t"."a", COUNT(*), coalesce(b, ?), now() FROM "t" WHERE ("t"."a" = ? '
        "AND lower(c) LIKE ? OR d::text = ?)"
    )


def test_equal_statements_give_the_same_object():
    """The cache hands out one Shape per statement and family of databases."""
    one = shape_of("SELECT a FROM t WHERE b = 1", "sqlite")
    assert shape_of("SELECT a FROM t WHERE b = " + "1", "sqlite") is one


def test_vendor_decides_what_a_double_quote_means():
    """Double quotes are a name in the standard and a string in MySQL."""
    assert shape_of('DELETE FROM "t"', "postgresql").writes == {"t"}
    assert shape_of('SELECT a FROM t WHERE b = "x"', "mysql").text.endswith("b = ?")


# -- kinds -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "statement"),
    [
        ("select", "SELECT 1"),
        ("select", "(SELECT a FROM t) UNION (SELECT a FROM u)"),
        ("select", "WITH x AS (SELECT a FROM t) SELECT a FROM x"),
        ("select", "VALUES (1, 2)"),
        ("select", "/* SELECT */ -- INSERT\n select a from t"),
        ("insert", "INSERT INTO t (a) VALUES (1)"),
        ("insert", "INSERT OR REPLACE INTO t (a) VALUES (1)"),
        ("insert", "REPLACE INTO t (a) VALUES (1)"),
        ("insert", "WITH x AS (SELECT a FROM t) INSERT INTO u SELECT a FROM x"),
        ("update", "UPDATE t SET a = 1"),
        ("delete", "DELETE FROM t"),
        ("ddl", "CREATE TABLE t (a integer)"),
        ("ddl", "DROP INDEX i"),
        ("transaction", "BEGIN"),
        ("transaction", "BEGIN IMMEDIATE"),
        ("transaction", "START TRANSACTION"),
        ("transaction", "COMMIT"),
        ("transaction", "ROLLBACK"),
        ("transaction", "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED"),
        ("transaction", "PREPARE TRANSACTION '_sa_9f'"),
        ("transaction", "COMMIT PREPARED '_sa_9f'"),
        ("transaction", "XA PREPARE %s"),
        ("other", "PREPARE plan AS SELECT 1"),
        ("savepoint", 'SAVEPOINT "s1_x2"'),
        ("savepoint", "RELEASE SAVEPOINT s1"),
        ("savepoint", "ROLLBACK TO SAVEPOINT s1"),
        ("savepoint", "ROLLBACK TO s1"),
        ("catalogue", "PRAGMA table_info('t')"),
        ("catalogue", "SELECT name FROM sqlite_master WHERE type = 'table'"),
        ("catalogue", "SELECT relname FROM pg_catalog.pg_class"),
        ("catalogue", "SELECT t.typname FROM pg_type AS t JOIN pg_namespace n ON n.oid = t.x"),
        ("catalogue", "SELECT column_name FROM information_schema.columns"),
        ("catalogue", "SELECT name FROM pragma_table_info('t')"),
        ("catalogue", "select pg_catalog.version()"),
        ("catalogue", "show standard_conforming_strings"),
        ("catalogue", "SELECT @@transaction_isolation"),
        ("catalogue", "SET NAMES utf8mb4"),
        ("catalogue", "EXPLAIN SELECT a FROM t"),
        ("other", "CALL work()"),
        ("other", ""),
        ("other", "-- nothing"),
    ],
)
def test_first_verb_gives_the_kind(kind, statement):
    """Statements sort into kinds; budgets leave three of them out."""
    vendor = "mysql" if "@@" in statement else ""
    assert shape_of(statement, vendor).kind == kind


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT version FROM app_release",
        "SELECT a FROM t WHERE tags @> '{}'",
        "SELECT '{1}'::int[] @> '{1}'",
        "SELECT a FROM pg_stories",
        "SELECT 1",
    ],
)
def test_selects_of_the_application_are_no_catalogue_statements(statement):
    """A select that only looks like one of the catalogue's is counted."""
    assert shape_of(statement, "postgresql").kind == "select"


def test_savepoint_names_fold_away():
    """Savepoints have names that count up; their shape has not."""
    assert text('SAVEPOINT "s140_x1"') == text('SAVEPOINT "s140_x2"') == "SAVEPOINT ?"
    assert text("ROLLBACK TO SAVEPOINT a") == "ROLLBACK TO SAVEPOINT ?"


# -- tables ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("statement", "reads"),
    [
        ('SELECT a FROM "Library_Book"', {"library_book"}),
        ("SELECT a FROM public.book AS b, s.author a", {"book", "author"}),
        ("SELECT a FROM t LEFT OUTER JOIN u ON t.a = u.a INNER JOIN v USING (a)", set("tuv")),
        ("SELECT a FROM t LEFT JOIN (u JOIN v ON u.a = v.a) ON t.a = u.a", set("tuv")),
        ("SELECT a FROM (SELECT a FROM t) x, u WHERE EXISTS (SELECT 1 FROM v)", set("tuv")),
        ("SELECT a FROM t WHERE a IN (SELECT b FROM u), c", set("tu")),
        ("WITH x AS (SELECT a FROM t) SELECT a FROM x JOIN u ON x.a = u.a", set("tu")),
        ("WITH t AS (SELECT a FROM t) SELECT a FROM t", {"t"}),
        ("WITH x (n) AS NOT MATERIALIZED (SELECT a FROM t) SELECT n FROM x", {"t"}),
        (
            (
                "WITH RECURSIVE x(n) AS (SELECT a FROM t UNION ALL "
                "SELECT b FROM u JOIN x ON x.n = b) SELECT n FROM x"
            ),
            set("tu"),
        ),
        ("SELECT EXTRACT(year FROM born) FROM t WHERE a IS DISTINCT FROM b", {"t"}),
        ("SELECT TRIM(BOTH ' ' FROM a), SUBSTRING(a FROM 2 FOR 3) FROM t", {"t"}),
        ("SELECT n FROM generate_series(1, 3) AS n", set()),
        ("SELECT n FROM unnest(ids) AS n JOIN t ON t.a = n", {"t"}),
        ("SELECT a FROM ONLY t, LATERAL (SELECT b FROM u) x", set("tu")),
        ("SELECT a FROM t UNION SELECT a FROM u ORDER BY 1, 2", set("tu")),
        ("SELECT a, b FROM t ORDER BY c, d", {"t"}),
        ("INSERT INTO t (a, b) SELECT a, b FROM u", {"u"}),
        ("UPDATE t SET a = u.a FROM u WHERE t.b = u.b", {"u"}),
        ("DELETE FROM t USING u WHERE t.a = u.a", {"u"}),
        ("SELECT 1", set()),
    ],
)
def test_tables_read_are_named(statement, reads):
    """Reads are tables: no CTE, function, alias or column."""
    assert shape_of(statement, "postgresql").reads == reads


@pytest.mark.parametrize(
    ("vendor", "statement", "writes"),
    [
        ("", "INSERT INTO t (a) VALUES (1)", {"t"}),
        ("", 'INSERT INTO "public"."T" ("a") VALUES (1)', {"t"}),
        ("", "INSERT INTO t (a) VALUES (1) ON CONFLICT (a) DO UPDATE SET b = excluded.b", {"t"}),
        ("mysql", "INSERT IGNORE INTO `t` (a) VALUES (1) ON DUPLICATE KEY UPDATE b = 2", {"t"}),
        ("mysql", "INSERT t VALUES (1)", {"*"}),
        ("sqlite", "UPDATE OR IGNORE t SET a = 1", {"t"}),
        ("", "UPDATE ONLY t SET a = (SELECT max(b) FROM u)", {"t"}),
        ("", "DELETE FROM t WHERE a IN (1)", {"t"}),
        ("mysql", "DELETE `t` FROM `t` INNER JOIN `u` ON t.a = u.a", {"t"}),
        ("", "MERGE INTO t USING u ON t.a = u.a WHEN MATCHED THEN DO NOTHING", {"t"}),
        ("", "WITH x AS (DELETE FROM t RETURNING a) SELECT a FROM x", {"t"}),
        ("", "SELECT a INTO t FROM u", {"t"}),
        ("", "TRUNCATE t", {"*"}),
        ("", "CALL work()", {"*"}),
        ("", "SELECT a FROM t FOR UPDATE", set()),
        ("", "SELECT a FROM t FOR NO KEY UPDATE", set()),
        ("", "COMMIT", set()),
        ("", "PRAGMA foreign_keys = ON", set()),
    ],
)
def test_tables_written_are_named(vendor, statement, writes):
    """Writes are tables, or a star where a statement may have written anything."""
    shape = shape_of(statement, vendor)
    assert shape.writes == writes
    assert shape.is_write is bool(writes)


# -- what the select list and the clauses say -------------------------------------------------


@pytest.mark.parametrize(
    ("aggregate", "statement"),
    [
        ("count", 'SELECT COUNT(*) AS "__count" FROM t'),
        ("count", "SELECT count(*) AS count_1 FROM (SELECT a FROM t GROUP BY a) AS anon_1"),
        ("count", "SELECT COUNT(DISTINCT a), MAX(b) FROM t"),
        ("sum", "SELECT COALESCE(SUM(a), %s) AS s FROM t WHERE b = 1"),
        ("max", "WITH x AS (SELECT a FROM t) SELECT MAX(a) FROM x"),
        ("exists", 'SELECT 1 AS "a" FROM t WHERE b = 2 LIMIT 1'),
        ("exists", "SELECT %s AS a FROM t LIMIT 1"),
        ("exists", "SELECT EXISTS (SELECT 1 FROM t) AS anon_1"),
        ("", "SELECT a, COUNT(*) FROM t GROUP BY a"),
        ("", "SELECT COUNT(*) FROM t GROUP BY a"),
        ("", "SELECT COUNT(*) OVER (PARTITION BY a) FROM t"),
        ("", "SELECT COALESCE(a, 0) FROM t"),
        ("", "SELECT counted FROM t"),
        ("", "SELECT 1"),
        ("", "SELECT 1, a FROM t"),
        ("", "INSERT INTO t (a) SELECT COUNT(*) FROM u"),
    ],
)
def test_aggregate_is_what_the_whole_select_list_asks(aggregate, statement):
    """Only a select list of nothing but aggregates is one."""
    assert shape_of(statement).aggregate == aggregate


@pytest.mark.parametrize(
    ("length", "statement"),
    [
        (0, "SELECT a FROM t WHERE b = 1"),
        (0, "SELECT a FROM t WHERE b IN (SELECT c FROM u)"),
        (0, "SELECT coalesce(1, 2, 3) FROM t"),
        (1, "SELECT a FROM t WHERE b IN (%s)"),
        (3, "SELECT a FROM t WHERE b NOT IN (1, 2, 3) AND c IN (4)"),
        (2, "SELECT a FROM t WHERE (b, c) IN ((1, 2), (3, 4))"),
        (2, "SELECT a FROM t WHERE (b, c) IN (VALUES (1, 2), (3, 4))"),
        (2, "SELECT a FROM t WHERE b IN (SELECT c FROM u WHERE d IN (1, 2))"),
    ],
)
def test_in_list_is_the_length_of_the_longest(length, statement):
    """The length of the longest IN list is kept when the list is folded."""
    assert shape_of(statement).in_list == length


def test_list_cut_off_at_the_end_still_folds():
    """A statement cut in the middle of its list has the shape of the whole one."""
    whole = "SELECT a FROM t WHERE b IN (" + ", ".join(["%s"] * 40_000) + ")"
    assert len(whole) > MAX_READ_CHARS
    shape = shape_of(whole)
    assert shape.text == "SELECT a FROM t WHERE b IN (?)"
    assert shape.in_list > 10_000


@pytest.mark.parametrize(
    ("flag", "statement"),
    [
        ("limited", "SELECT a FROM t LIMIT 5"),
        ("limited", "SELECT a FROM t FETCH FIRST 5 ROWS ONLY"),
        ("offset", "SELECT a FROM t LIMIT 5 OFFSET 10"),
        ("offset", "SELECT a FROM t LIMIT 10, 5"),
        ("locks", "SELECT a FROM t FOR UPDATE SKIP LOCKED"),
        ("locks", "SELECT a FROM t FOR KEY SHARE"),
        ("locks", "SELECT a FROM t LOCK IN SHARE MODE"),
        ("filtered", "SELECT a FROM t WHERE b = 1"),
    ],
)
def test_clause_sets_its_flag(flag, statement):
    """A clause is seen; the same statement without it has not the flag."""
    assert getattr(shape_of(statement), flag)
    assert not getattr(shape_of("SELECT lock, \"limit\", 'WHERE' FROM t"), flag)


def test_joins_are_counted():
    """Every JOIN counts, of whatever kind."""
    assert shape_of("SELECT a FROM t JOIN u ON 1 LEFT JOIN v ON 1, w CROSS JOIN x").joins == 3


# -- hostile input ---------------------------------------------------------------------------


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize(
    "statement",
    [
        "SELECT 'unterminated",
        "SELECT 'ends in a backslash\\",
        'SELECT "unterminated',
        "SELECT `unterminated",
        "SELECT [unterminated",
        "SELECT $tag$unterminated",
        "SELECT /* unterminated /* twice */",
        "SELECT E'",
        "SELECT (",
        "SELECT )))) FROM",
        "WITH",
        "WITH x AS (",
        "AS (",
        ") AS (",
        "FROM",
        "DELETE",
        "UPDATE",
        "INSERT INTO",
        "SELECT a FROM t WHERE b IN (",
        "VALUES (1), (",
        "VALUES )",
        "LIMIT",
        "SELECT \x00 FROM \x00t",
        "SELECT '\ud800' FROM \udfff",
        "SELECT '\u202e' FROM \u05d0\u05d1",
        "SELECT ² FROM ٣ WHERE \U0001f600",
        "</script><script>alert(1)</script>",
        "SELECT a::",
        "SELECT (1::",
        "SELECT %(",
    ],
)
def test_broken_statement_has_a_shape(vendor, statement):
    """Whatever is sent, a Shape comes back, and its text can be encoded for a report."""
    shape = shape_of(statement, vendor)
    assert shape.text.encode("utf-8", "replace") is not None
    assert shape.kind


QUOTES = [
    "'", '"', "`", "\\", "'\\", '"\\', "''", "[", "$", "$a", "$a$", "$$", "/*", "*/", "/*/", "--",
    "#", "%(", "%(a", ":a", "@@a.", "1.", "1e", "a", "a$", " ", "\n", "E'\\'", "\x00", "\ud800",
]  # fmt: skip
GRAMMAR = [
    "(", ")", "((1", "(1,", "(1,(", "(1::a(", "IN (", "IN ((1),", "VALUES (a),", "VALUES (",
    ") AS (", "x AS (", "WITH x AS (", "FROM (", "FROM a,", "FROM a(", "JOIN a ", "DELETE a ",
    "SAVEPOINT ", "SELECT a FROM t WHERE b IN (1, 2) UNION ", "1::a[]", "COUNT(a),",
]  # fmt: skip


@pytest.mark.parametrize(
    ("vendor", "unit"),
    [(vendor, unit) for vendor in ("sqlite", "postgresql", "mysql") for unit in QUOTES]
    + [("", unit) for unit in GRAMMAR],
)
def test_repeated_unit_is_read_in_linear_time(vendor, unit):
    """A megabyte of any unit takes no longer than ordinary text: nothing is tried twice.

    Quadratic reading of the part that is read takes tens of seconds; two seconds of this
    thread's own time leave room for a slow machine.
    """
    statement = "SELECT " + unit * (1_000_000 // len(unit))
    began = time.thread_time()
    shape_of(statement, vendor)
    assert time.thread_time() - began < 2


def test_long_statement_is_read_once():
    """Each detector asks again, and to read a long list of keys takes a tenth of a second."""
    statement = "SELECT a FROM t WHERE b IN (" + "%s, " * MAX_CACHED_CHARS + "%s)"
    assert shape_of(statement) is shape_of(statement)


def test_kept_shapes_are_bounded_by_number_and_by_characters():
    """Beyond either bound all are forgotten, and reading starts anew."""
    for number in range(MAX_SHAPES + 10):
        shape_of(f"SELECT {number} FROM bounded")
        assert len(SHAPES) <= MAX_SHAPES
    long = "x" * (1 << 20)
    for number in range(20):
        shape_of(f"SELECT a FROM t WHERE b = '{long}{number}'")
        assert sum(len(text) for text, _ in SHAPES) <= MAX_SHAPES_CHARS + len(long) + 100


@pytest.mark.parametrize(
    ("statement", "vendor", "kept"),
    [
        ("SELECT a FROM t WHERE b = 'secret' AND c = 4", "sqlite",
         "SELECT a FROM t WHERE b = ? AND c = ?"),
        ("SELECT 1 AS a FROM t WHERE id IN (1, %s, %(x)s)", "postgresql",
         "SELECT ? AS a FROM t WHERE id IN (?, %s, %(x)s)"),
        ('SELECT "secret" FROM t', "mysql", "SELECT ? FROM t"),
        ('SELECT "name" FROM t', "postgresql", 'SELECT "name" FROM t'),
        ("SELECT $$secret$$, $1, :name, ? FROM t2", "postgresql", "SELECT ?, $1, :name, ? FROM t2"),
        ("SELECT E'it\\'s secret' -- 'kept'\nFROM t", "postgresql", "SELECT ? -- 'kept'\nFROM t"),
        ("SELECT 'never closed", "sqlite", "SELECT ?"),
    ],
)  # fmt: skip
def test_literals_are_taken_out_and_the_shape_stays(statement, vendor, kept):
    """Values in the text become ``?``; placeholders, names and comments stay, and the shape."""
    assert without_literals(statement, vendor) == kept
    assert shape_of(kept, vendor) == shape_of(statement, vendor)
