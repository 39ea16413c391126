"""What parameters say without their values: their order, which are equal, LIMIT and OFFSET."""

from __future__ import annotations

import sys

import pytest

from queryscope.trace.facts import ConnectionInfo, clock
from queryscope.trace.freeze import freeze
from queryscope.trace.recorder import Recorder
from queryscope.trace.sent import MAX_VALUES, in_order, window_of
from tests.builders import BOOK_BY_KEY, a_query


@pytest.mark.parametrize(
    ("statement", "parameters", "values"),
    [
        ("a = %s AND b = %s", ("x", "y"), ("x", "y")),
        ("a = ? AND b = ?", ["x", "y"], ("x", "y")),
        ("a = $2 AND b = $1 OR c = $2", ("x", "y"), ("y", "x", "y")),
        ("a = %(two)s AND b = %(one)s", {"one": 1, "two": 2}, (2, 1)),
        ("a = :two::int AND b = :one", {"one": 1, "two": 2}, (2, 1)),
        ("a = 1", None, ()),
        ("a = %(two)s", {"one": 1}, None),
        ("a = $3", ("x",), None),
        ("a IN (?)", tuple(range(MAX_VALUES + 1)), None),
        ("a = %s", 5, None),
    ],
)
def test_values_stand_in_order_of_the_text(statement, parameters, values):
    """Drivers that name or number their placeholders are no exception."""
    assert in_order(statement, parameters) == values


@pytest.mark.parametrize(
    ("end", "values", "window"),
    [
        ("LIMIT 21", (), (21, None)),
        ("LIMIT 10 OFFSET 5000", ("x",), (10, 5000)),
        ("LIMIT ? OFFSET ?", ("x", 10, 40), (10, 40)),
        ("LIMIT %(p_1)s OFFSET %(p_2)s", ("x", 10, 40), (10, 40)),
        ("LIMIT $2::INTEGER", ("x", 10), (10, None)),
        ("LIMIT -1 OFFSET 30", (), (None, 30)),
        ("LIMIT ? OFFSET 30", (7,), (7, 30)),
        ("LIMIT %s, %s", (40, 10), (10, 40)),
        ("LIMIT 40, 10", (), (10, 40)),
        ("OFFSET %s", (40,), (None, 40)),
        ("LIMIT 5 FOR UPDATE SKIP LOCKED", (), (5, None)),
        ("LIMIT 5;", (), (5, None)),
        ("LIMIT ?", ("many",), (None, None)),
        ("LIMIT ?", None, (None, None)),
        ("LIMIT 5) AS page", (), (None, None)),
        ("ORDER BY x", (), (None, None)),
        ("LIMIT 99999999999999999999999", (), (None, None)),
    ],
)
def test_window_is_read_off_the_end(end, values, window):
    """Written out or as parameters; a LIMIT further in is another statement's."""
    assert window_of(f"SELECT * FROM book WHERE a = 1 {end}", values) == window


def test_equal_values_have_one_number():
    """Across statements, so that filters can be compared; the values are nowhere."""
    one = a_query(BOOK_BY_KEY, parameters=("x",))
    two = a_query("SELECT 1 FROM b WHERE a = %s AND b = %s", parameters=("y", "x"))
    assert one.values is not None
    assert two.values is not None
    assert one.values[0] == two.values[1] != two.values[0]


class Odd(dict):
    """What a user may hand to a driver."""

    def __contains__(self, key):
        """Refuse."""
        raise RuntimeError


def test_freezing_numbers_values_and_survives_odd_ones():
    """Equal values of two statements have one number; what an odd mapping says is not asked."""
    recorder = Recorder("request", "GET /books/")
    recorder.open()
    info = ConnectionInfo("default", "sqlite")
    for statement, parameters in (
        ("SELECT * FROM book WHERE a = %s LIMIT %s", ("x", 20)),
        ("SELECT * FROM book WHERE b = %s AND a = %s", ("y", "x")),
        ("SELECT * FROM book WHERE a = %(x)s", Odd(x=1)),
    ):
        now = clock()
        recorder.add_query(now, now, statement, parameters, 0, info, -1, None, sys._getframe())
    recorder.close()
    one, two, odd = freeze(recorder).queries
    assert one.values[0] == two.values[1] != two.values[0]
    assert (one.limit, one.offset, two.limit) == (20, None, None)
    assert (len(odd.values), odd.limit) == (1, None)
