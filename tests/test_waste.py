"""The waste ledger: what findings and lines cost, what would be left, and what is no waste."""

from __future__ import annotations

import pytest

from queryscope.detectors.finding import Cost, Known
from queryscope.detectors.registry import judge_all
from queryscope.trace.events import Read
from queryscope.waste import Account, Amounts, total_of, waste_of
from tests.builders import MS, a_checkout, a_finding, a_load, a_query, a_trace, some


def a_loop(times=10, **facts):
    """Return books, and their publishers loaded one by one."""
    return [
        a_query('SELECT "id" FROM "library_book"', rows=times, model="library.Book", origin=38),
        *some(
            times,
            parameters=lambda n: (n,),
            load=lambda n: a_load(parent=n, parent_query=0),
            operation="lazy",
            model="library.Publisher",
            **facts,
        ),
    ]


def found(*numbers, avoidable=None, code="QS101", **facts):
    """Return a finding about statements."""
    spared = len(numbers) if avoidable is None else avoidable
    cost = Cost(statements=len(numbers), avoidable=spared, rows=len(numbers))
    return a_finding(code, queries=numbers, cost=cost, **facts)


def test_trace_without_findings_wastes_nothing():
    """All that was sent is left."""
    waste = waste_of(a_trace(*a_loop()), ())
    assert waste.total.ratio == 0.0
    assert waste.total.left == waste.total.spent
    assert waste.total.spent.statements == 11


def test_trace_without_statements_wastes_nothing():
    """Nothing is no part of nothing."""
    assert waste_of(a_trace(), ()).total.ratio == 0.0


@pytest.mark.parametrize(
    "facts",
    [{"confidence": "low"}, {"known": Known("comment", "views.py:41", "one row at most")}],
    ids=["suspected", "known"],
)
def test_what_is_suspected_or_meant_is_no_waste(facts):
    """An ignore that somebody wrote, and a guess, count for nothing."""
    waste = waste_of(a_trace(*a_loop()), [found(*range(1, 11), **facts)])
    assert waste.total.ratio == 0.0
    assert waste.findings == ()


def test_transactions_and_catalogue_are_not_counted():
    """The ratio is over what budgets count."""
    trace = a_trace(a_query("BEGIN"), a_query("SAVEPOINT a"), *some(2))
    assert waste_of(trace, [found(2, 3, avoidable=1)]).total.ratio == 0.5


def test_findings_that_overlap_are_counted_once():
    """Two codes about one statement spare it once, by the larger share."""
    trace = a_trace(*some(4))
    waste = waste_of(
        trace, [found(0, 1, 2, 3, avoidable=3), found(0, 1, avoidable=1, code="QS511")]
    )
    assert waste.total.wasted.statements == 3
    assert waste.total.ratio == 0.75
    assert [account.wasted.statements for _, account in waste.findings] == [3, 1]


def test_loop_keeps_its_rows_and_loses_its_statements():
    """A join brings the same rows along: statements and time are spared, rows are not."""
    trace = a_trace(*a_loop(duration_ns=2 * MS))
    waste = waste_of(trace, judge_all(trace))
    assert waste.total.spent.statements == 11
    assert waste.total.left.statements == 1
    assert waste.total.ratio == pytest.approx(10 / 11)
    assert waste.total.wasted.duration_ns == 20 * MS
    assert waste.total.wasted.rows == 0


def test_equal_statement_loses_its_rows_too():
    """The answer was there: one of two equal statements goes with its rows."""
    trace = a_trace(*some(2, rows=30, origin=lambda n: 40 + n))
    waste = waste_of(trace, judge_all(trace))
    assert waste.total.wasted[:3] == (1, 30, MS)


def test_lines_are_ordered_by_what_they_waste():
    """The line to look at first stands first, with its codes."""
    trace = a_trace(*a_loop())
    waste = waste_of(trace, judge_all(trace))
    first, second = waste.lines
    assert (first.place.line, waste.codes[first]) == (41, ("QS101",))
    assert (second.place.line, waste.codes[second]) == (38, ())
    assert waste.lines[first].wasted.statements == 10


def test_nested_traces_are_in_the_ledger():
    """A block around a request has the request's waste."""
    inner = a_trace(*a_loop(), id="inner")
    outer = a_trace(a_query(), id="outer", children=(inner,))
    waste = waste_of(outer, judge_all(outer))
    assert waste.total.spent.statements == 12
    assert waste.total.wasted.statements == 10


def test_connection_time_spared_is_no_more_than_was_idle():
    """Two findings about one connection do not give its idle time back twice."""
    trace = a_trace(checkouts=[a_checkout(returned_ns=10 * MS, busy_ns=4 * MS)])
    idle = [
        a_finding(code, queries=(), cost=Cost(connection_ns=6 * MS)) for code in ("QS502", "QS505")
    ]
    waste = waste_of(trace, idle)
    assert waste.total.spent.connection_ns == 10 * MS
    assert waste.total.left.connection_ns == 4 * MS


def test_columns_and_bytes_are_those_that_were_tracked():
    """What was never read of the rows is not left; without tracking nobody knows."""
    query = a_query(rows=3)
    assert waste_of(a_trace(query), ()).total.spent.size_bytes is None
    read = Read(0, "library.Book", "", 3, ("id", "title", "text"), (8, 20, 900), ("id",),
                ("title",), opaque=False, known=True, alive=False)  # fmt: skip
    total = waste_of(a_trace(query, reads=(read,)), ()).total
    assert (total.spent.columns, total.left.columns) == (3, 2)
    assert (total.spent.size_bytes, total.left.size_bytes) == (2_784, 84)


def test_rows_that_may_be_read_later_are_not_counted():
    """Instances that outlive the Trace, and values handed out whole, tell nothing."""
    for facts in ({"known": False, "alive": False}, {"known": True, "alive": True}):
        read = Read(0, "library.Book", "", 3, ("id",), (8,), (), (), opaque=False, **facts)
        assert waste_of(a_trace(a_query(), reads=(read,)), ()).total.spent.columns is None


def test_suite_has_the_ratio_of_its_sums():
    """Large requests weigh more than small ones."""
    accounts = [
        Account(Amounts(statements=90), Amounts(statements=0)),
        Account(Amounts(statements=10), Amounts(statements=10)),
    ]
    assert total_of(accounts).ratio == 0.9
