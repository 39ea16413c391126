"""What a SELECT asks of its columns: what an index could answer, and what it could not."""

from __future__ import annotations

import pytest

from queryscope.plans.conditions import conditions_of, order_of
from queryscope.plans.statement import Statement
from tests.builders import a_query


def statement(where, *parameters, vendor="postgresql", keep=True, text=None):
    """Return a SELECT of one table with a condition."""
    text = text or f'SELECT "part"."id" FROM "part" WHERE {where}'
    return Statement.of(a_query(text, parameters=parameters, vendor=vendor, keep=keep))


def forms(where, *parameters, **more):
    """Return (form, column) of each part of a condition."""
    return [(one.form, one.column) for one in conditions_of(statement(where, *parameters, **more))]


@pytest.mark.parametrize(
    ("where", "form"),
    [
        ('"part"."code" = %s', "equal"),
        ('%s = "part"."code"', "equal"),
        ('("part"."code" = %s)', "equal"),
        ('"part"."code" IN (%s, %s)', "equal"),
        ('"part"."code" IS NULL', "equal"),
        ('("part"."code" = %s OR "part"."code" = %s)', "equal"),
        ('"part"."code" >= %s', "range"),
        ('"part"."code" BETWEEN %s AND %s', "range"),
        ('"part"."code"::text LIKE %s', "prefix"),
        ('UPPER("part"."code"::text) = UPPER(%s)', "wrapped"),
        ('("part"."code" + 0) = %s', "wrapped"),
        ('("part"."code" AT TIME ZONE %s)::date = %s', "other"),
        ('"part"."code"::date = %s', "wrapped"),
        ('CAST("part"."code" AS date) = %s', "wrapped"),
        ('"part"."code" COLLATE "C" = %s', "wrapped"),
        ('"part"."code" <> %s', "other"),
        ('NOT ("part"."code" = %s)', "other"),
        ('"part"."code" IS NOT NULL', "other"),
        ('"part"."code" NOT IN (%s, %s)', "other"),
        ('"part"."code" NOT LIKE %s', "other"),
        ('"part"."code" IN (SELECT id FROM "part")', "other"),
        ('EXISTS (SELECT 1 FROM "part")', "other"),
        ('"part"."code" = "part"."price"', "other"),
        ('COALESCE("part"."code", "part"."price") = %s', "other"),
    ],
)
def test_form_of_condition(where, form):
    """Each has one; what is not understood is none that an index answers or is hindered by."""
    parameters = ["a"] * where.count("%s")
    assert [found for found, _ in forms(where, *parameters)] == [form]


@pytest.mark.parametrize(
    ("where", "parameters"),
    [
        ('"part"."code" LIKE %s', ["%x%"]),
        ('"part"."code"::text LIKE %s', ["_x"]),
        ('"part"."price" > %s AND "part"."code" LIKE %s', [1, "%x"]),
        ('"part"."code" LIKE \'%%x\'', []),
        ("\"part\".\"code\" LIKE '%%' || %s || '%%'", ["x"]),
    ],
)
def test_leading_wildcard_is_seen(where, parameters):
    """In the text, or in the value, where values are kept."""
    assert forms(where, *parameters)[-1] == ("wildcard", "code")


@pytest.mark.parametrize("parameters", [["x%"], ["x"]])
def test_prefix_is_no_leading_wildcard(parameters):
    """It is what an index may answer."""
    assert forms('"part"."code" LIKE %s', *parameters) == [("prefix", "code")]


def test_pattern_that_nobody_kept_is_no_leading_wildcard():
    """What is not known is not held against anybody."""
    assert forms('"part"."code" LIKE %s', "%x", keep=False) == [("prefix", "code")]


def test_or_of_two_columns_has_its_alternatives():
    """Each of them is read."""
    (one,) = conditions_of(statement('"part"."code" = %s OR "part"."price" > %s', "a", 1))
    assert one.form == "or"
    assert [(item.form, item.column) for item in one.others] == [
        ("equal", "code"),
        ("range", "price"),
    ]


def test_join_has_both_sides():
    """The tables are told apart by their aliases."""
    text = (
        'SELECT * FROM "part" INNER JOIN "maker" T2 ON ("part"."maker_id" = T2."id") '
        'WHERE T2."name" = %s AND "part"."price" < %s'
    )
    found = conditions_of(statement("", "a", 1, text=text))
    assert {(one.form, one.table, one.column) for one in found} == {
        ("equal", "maker", "name"),
        ("range", "part", "price"),
        ("join", "part", "maker_id"),
    }
    (join,) = [one for one in found if one.form == "join"]
    assert [(one.table, one.column) for one in join.others] == [("maker", "id")]


def test_count_over_a_subquery_is_read_inside():
    """ORMs count so; the conditions are those of the inner SELECT."""
    text = 'SELECT COUNT(*) FROM (SELECT "part"."id" AS c FROM "part" WHERE "part"."code" = %s) sub'
    assert forms("", "a", text=text) == [("equal", "code")]


def test_function_around_a_column_is_named():
    """So that a report can say what to take away."""
    (one,) = conditions_of(statement('UPPER("part"."code"::text) = UPPER(%s)', "a"))
    assert (one.table, one.column, one.how) == ("part", "code", "upper()")


@pytest.mark.parametrize(
    ("order", "columns"),
    [
        ('"part"."code"', ("code",)),
        ('"part"."code" DESC, "part"."id" DESC', ("code", "id")),
        ('"part"."code" DESC, "part"."id" ASC', None),
        ('UPPER("part"."code")', None),
        ("RANDOM()", None),
    ],
)
def test_order_is_of_plain_columns_in_one_direction(order, columns):
    """Another order an index does not give."""
    text = f'SELECT * FROM "part" ORDER BY {order} LIMIT 3'
    found = order_of(statement("", text=text))
    assert (found and found.columns) == columns
