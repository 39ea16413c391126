"""The clauses of a SELECT, as Django and SQLAlchemy write them for each database."""

from __future__ import annotations

import pytest

from queryscope.trace.clauses import clauses_of

BOOKS = 'FROM "book" WHERE "book"."genre" = %s'


@pytest.mark.parametrize(
    ("statement", "vendor"),
    [
        ('SELECT "b"."id" FROM "book" "b" WHERE ("b"."genre" = %s AND "b"."year" > %s)', "sqlite"),
        ("SELECT `b`.`id` FROM `book` AS `b` WHERE `b`.`genre` = %s AND `b`.`year` > %s", "mysql"),
        ("SELECT b.id FROM s.book AS b WHERE b.genre = $1 AND b.year > $2", "postgresql"),
        ("SELECT b.id FROM book b WHERE b.genre = ? AND b.year > ?;", "sqlite"),
        ("SELECT b.id FROM book b\nWHERE b.genre = %(g)s AND b.year > %(y)s", "postgresql"),
    ],
)
def test_quoting_and_placeholders_do_not_matter(statement, vendor):
    """One question reads the same in every dialect."""
    read = clauses_of(statement, vendor)
    assert (read.table, read.alias) == ("book", "b")
    assert read.columns == ("b.id",)
    assert read.conjuncts == (("b.genre = ?", 0, 1), ("b.year > ?", 1, 2))


@pytest.mark.parametrize(
    ("statement", "schema", "joined"),
    [
        ("SELECT 1 FROM book", "", ""),
        ('SELECT 1 FROM "shop"."book" JOIN author ON true', "shop", ""),
        ('SELECT 1 FROM db.shop.book AS b, "shop"."author"', "db.shop", "shop"),
    ],
)
def test_schemas_stand_apart_from_their_tables(statement, schema, joined):
    """A table of the same name in another schema is another table."""
    read = clauses_of(statement)
    assert (read.schema, read.table) == (schema, "book")
    assert [(join.schema, join.table) for join in read.joins[:1]] in ([], [(joined, "author")])


def test_joins_are_told_apart():
    """Kind, table and alias of each, with the placeholders of its condition."""
    read = clauses_of(
        'SELECT 1 FROM "book" INNER JOIN "author" "T2" ON ("book"."a" = "T2"."id" AND "T2"."x" = ?)'
        ' LEFT OUTER JOIN "house" ON ("book"."h" = "house"."id"), "other" WHERE "book"."id" = %s'
    )
    assert [(join.kind, join.table, join.alias) for join in read.joins] == [
        ("inner", "author", "t2"),
        ("left", "house", "house"),
        ("cross", "other", "other"),
    ]
    assert read.joins[0].part.first == 0
    assert read.joins[0].part.last == read.where.first == 1


def test_values_written_out_stay_in_the_text():
    """Other values, another set."""
    read = clauses_of("SELECT a FROM t WHERE b = 'x' AND c = 5 ORDER BY a, c DESC LIMIT 5")
    assert [part.text for part in read.conjuncts] == ["b = 'x'", "c = 5"]
    assert read.order == ("a", "c desc")
    assert read.limited


def test_or_is_one_condition():
    """Nothing of it holds by itself; an AND of BETWEEN parts nothing either."""
    read = clauses_of("SELECT a FROM t WHERE (b = ? OR c = ?)")
    assert [part.text for part in read.conjuncts] == ["b = ? or c = ?"]
    read = clauses_of("SELECT a FROM t WHERE b BETWEEN ? AND ? AND c = ?")
    assert [part.text for part in read.conjuncts] == ["b between ? and ?", "c = ?"]


@pytest.mark.parametrize(
    ("statement", "probe"),
    [
        (f'SELECT COUNT(*) AS "__count" {BOOKS}', "count"),
        (f'SELECT 1 AS "a" {BOOKS} LIMIT 1', "exists"),
        (f"SELECT EXISTS (SELECT * {BOOKS}) AS anon_1", "exists"),
        (f"SELECT count(*) AS count_1 FROM (SELECT book.id {BOOKS}) AS anon_1", "count"),
        (f'SELECT COUNT("book"."author_id") AS "n" {BOOKS}', ""),
        (f'SELECT COUNT(*) AS "n", MAX("book"."year") {BOOKS}', ""),
        (f'SELECT COUNT(*) + 1 AS "n" {BOOKS}', ""),
        (f"SELECT EXISTS (SELECT * {BOOKS}) AND 1 AS anon_1", ""),
        (f"SELECT * {BOOKS}", ""),
    ],
)
def test_counts_and_probes_are_recognised(statement, probe):
    """As the ORMs ask them; what they are asked of is the condition inside."""
    read = clauses_of(statement)
    if read is None:
        assert not probe
        return
    assert read.probe == probe
    if probe:
        assert read.asked.table == "book"
        assert read.asked.where.text == "book.genre = ?"


@pytest.mark.parametrize(
    "statement",
    [
        "",
        ";",
        "SELECT (",
        "SELECT a FROM t WHERE b = 1)",
        "SELECT a FROM t UNION SELECT b FROM u",
        "WITH x AS (SELECT 1) SELECT * FROM x",
        "INSERT INTO t SELECT a FROM u",
        "SELECT a FROM (VALUES (1)) AS v",
        "SELECT a FROM t WHERE b = 1 WHERE c = 2",
        "SELECT a FROM t WHERE b = " + "x" * 20_000,
        "SELECT " + "(" * 3_000,
    ],
    ids=range(11),
)
def test_what_cannot_be_told_apart_is_none(statement):
    """No guess, and nothing raised."""
    assert clauses_of(statement) is None


def test_selects_in_selects_end_somewhere():
    """Nesting is followed to a stated depth, whatever was sent."""
    statement = "SELECT a FROM t"
    for _ in range(200):
        statement = f"SELECT a FROM ({statement}) AS x"
    assert clauses_of(statement) is None
