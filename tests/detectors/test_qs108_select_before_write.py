"""QS108: SELECTs that only serve a write, and what only looks like them."""

from __future__ import annotations

import pytest

from tests.builders import a_frame, a_query, a_trace, an_origin
from tests.detectors.judging import Source, said

OPTION = 'SELECT 1 FROM "option" WHERE "option"."name" = %s LIMIT 1'
INSERT = 'INSERT INTO "option" ("name") VALUES (%s)'
STEP = """\
def take(stock, other):
    other.seen += 1
    stock.quantity -= 1
    stock.save()

def set_to(stock, number):
    stock.quantity = number
    stock.save()

def commit_all(session, stock):
    stock.quantity = max(stock.quantity - 1, 0)
    session.commit()
"""


def turns(places, count, *, read=OPTION, write=INSERT, every=1, **facts):
    """Return a SELECT for each of so many elements, and a write after each, or each n-th."""
    queries = []
    for n in range(count):
        both = {"parameters": (f"name {n}",), "vendor": "sqlite", **facts}
        queries.append(a_query(read, operation="exists", origin=places.loop, **both))
        if n % every == 0:
            line = an_origin(a_frame(7, function="made"), *places.loop.steps)
            queries.append(a_query(write, operation="create", origin=line, **both))
    return queries


def found(queries, **facts):
    """Return what QS108 says."""
    return said(a_trace(*queries, **facts), "QS108")


# -- innocent -----------------------------------------------------------------------------------


def test_one_row_is_clean(places):
    """Ask, then write: a form."""
    assert found(turns(places, 1), mode="tests") == []


def test_other_table_is_clean(places):
    """A look-up, and a write elsewhere: QS102 and QS107 have words for it."""
    assert found(turns(places, 6, write=INSERT.replace('"option"', '"log"'))) == []


def test_rows_locked_first_are_clean(places):
    """Locking before writing is what protects from lost changes."""
    read = OPTION.replace(" LIMIT 1", " FOR UPDATE")
    assert found(turns(places, 6, read=read, vendor="postgresql")) == []


def test_few_writes_among_many_look_ups_are_clean(places):
    """Two of nine: the loop looks up, and seldom writes."""
    assert found(turns(places, 9, every=5)) == []


def test_writes_outside_the_loop_are_clean(places):
    """Asked in the loop, written behind it."""
    asked = turns(places, 6, every=99)[:1] + turns(places, 6, every=99)[2:]
    written = [a_query(INSERT, operation="create", origin=places.line, many=6)]
    assert found(asked + written) == []


def test_loop_of_a_test_is_clean(tmp_path):
    """A test makes what is not there yet."""
    source = Source(
        tmp_path, "def test_x(keys):\n    for key in keys:\n        made(key)\n", "test_x.py"
    )
    origin = an_origin(source.frame("made(key)", "test_x"))
    queries = [q._replace(origin=origin) for q in [*turns(_At(origin), 6)]]
    assert found(queries, kind="test", mode="tests") == []


class _At:
    """Stands for the places of a view: one line in a loop."""

    def __init__(self, loop):
        """Take the line."""
        self.loop = loop


@pytest.mark.parametrize(
    "statement",
    [
        'UPDATE "stock" SET "quantity" = ("stock"."quantity" - %s) WHERE "stock"."id" = %s',
        'UPDATE "stock" SET "name" = %s WHERE "stock"."id" = %s',
        'UPDATE "stock" SET "quantity" = %s WHERE "stock"."id" = %s AND "stock"."version" = %s',
        'UPDATE "stock" SET "max_quantity" = %s WHERE "stock"."id" = %s',
    ],
)
def test_update_that_loses_nothing_is_clean(tmp_path, statement):
    """An expression, another column, or a version that is compared."""
    assert found(step(tmp_path, "stock.save()", "take", statement)) == []


def test_value_from_outside_is_clean(tmp_path):
    """What a form sets does not come from the old value."""
    assert found(step(tmp_path, "stock.save()", "set_to")) == []


def test_row_that_was_locked_is_clean(tmp_path):
    """Nobody else writes in between."""
    read, write = step(tmp_path, "stock.save()", "take")
    assert found([read._replace(statement=read.statement + " FOR UPDATE"), write]) == []


def test_script_is_clean(tmp_path):
    """It runs once at a time."""
    assert found(step(tmp_path, "stock.save()", "take"), kind="script") == []


# -- found --------------------------------------------------------------------------------------


@pytest.mark.parametrize("quote", ['"', "`"])
def test_ask_then_write_is_one_finding(places, quote):
    """In place of an aggregate in a loop and a write in a loop."""
    texts = {"read": OPTION.replace('"', quote), "write": INSERT.replace('"', quote)}
    vendor = "mysql" if quote == "`" else "sqlite"
    (finding,) = said(a_trace(*turns(places, 6, vendor=vendor, **texts)))
    assert (finding.code, finding.count, finding.severity) == ("QS108", 12, "critical")
    assert "option is selected before each write, inserted row by row" in finding.message
    assert finding.cost.avoidable == 10
    assert places.source.text_at(finding.mend.at) == "keys"


def test_every_second_row_that_is_written_is_found(places):
    """Half of the rows are there already."""
    (finding,) = found(turns(places, 8, every=2))
    assert finding.count == 12


def step(tmp_path, call, function, write=None):
    """Return the SELECT of a row and the UPDATE that a call sends."""
    source = Source(tmp_path, STEP)
    read = 'SELECT "stock"."id", "stock"."quantity" FROM "stock" WHERE "stock"."id" = %s'
    write = write or 'UPDATE "stock" SET "quantity" = %s WHERE "stock"."id" = %s'
    origin = an_origin(source.frame(call, function, after=f"def {function}"))
    return [
        a_query(read, operation="get", model="shop.Stock", vendor="postgresql"),
        a_query(
            write, operation="save", model="shop.Stock", vendor="postgresql", origin=origin
        ),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("call", "function"), [("stock.save()", "take"), ("session.commit()", "commit_all")]
)
@pytest.mark.parametrize("value", ["%s", "?", "%(quantity)s", "$1", ":quantity"])
def test_value_computed_in_python_is_info(tmp_path, call, function, value):
    """The column and the line are named, whatever the driver's placeholders."""
    write = f'UPDATE "stock" SET "quantity" = {value} WHERE "stock"."id" = {value}'
    (finding,) = found(step(tmp_path, call, function, write))
    assert (finding.severity, finding.subject) == ("info", "Stock.quantity")
    assert finding.message.startswith("quantity of Stock is read, changed in Python and written")
    assert 'F("quantity")' in finding.mend.write
