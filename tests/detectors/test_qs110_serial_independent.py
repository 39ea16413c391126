"""QS110: slow statements in a row that need nothing of one another, and those that may."""

from __future__ import annotations

import pytest

from tests.builders import MS, a_load, a_query, a_trace, a_transaction
from tests.detectors.judging import said


def slow(table, line, *, ms=80, parameters=(), **facts):
    """Return a SELECT that takes a while."""
    statement = f'SELECT SUM("{table}"."amount") AS "total" FROM "{table}"'
    return a_query(
        statement, duration_ns=ms * MS, parameters=parameters, origin=line,
        operation="aggregate", **facts,
    )  # fmt: skip


def three(**facts):
    """Return three of them, of three tables and lines, without parameters."""
    return [slow(table, 41 + n, **facts) for n, table in enumerate(("orders", "bills", "goods"))]


def found(*queries, **facts):
    """Return what QS110 says."""
    return said(a_trace(*queries, **facts), "QS110")


# -- innocent -----------------------------------------------------------------------------------


def test_quick_statements_are_clean():
    """29 ms each are not worth a second connection."""
    assert found(*three(ms=29), *three(ms=29)) == []


def test_little_saved_is_clean():
    """Two of 60 ms save 60."""
    assert found(slow("orders", 41, ms=60), slow("bills", 42, ms=60)) == []


def test_small_share_is_clean():
    """160 ms of two seconds are not where the time goes."""
    assert found(*three(), duration_ns=2_000 * MS) == []


def test_parameters_that_may_come_from_the_answer_are_clean():
    """``get(pk=order.customer_id)`` needs the order."""
    queries = [slow(f"t{n}", 41 + n, parameters=(n,)) for n in range(3)]
    assert found(*queries) == []


def test_relation_of_a_row_is_clean():
    """A load is for the row that came before."""
    one, two, three_ = three()
    assert found(one, two._replace(load=a_load()), three_._replace(load=a_load("author"))) == []


def test_statements_after_a_write_in_the_transaction_are_clean():
    """On another connection the write is not there yet."""
    write = a_query('UPDATE "orders" SET "a" = %s', transaction=0, operation="update")
    assert found(write, *three(transaction=0), transactions=[a_transaction()]) == []


def test_write_or_lock_in_the_row_is_clean():
    """Order matters there."""
    one, two, last = three()
    locked = two._replace(statement=two.statement + " FOR UPDATE", vendor="postgresql")
    assert found(one, locked) == []
    assert found(one, two._replace(statement='DELETE FROM "bills"'), last) == []


def test_threads_that_go_together_are_clean():
    """Each has a statement of its own."""
    queries = [query._replace(thread=n, start_ns=1) for n, query in enumerate(three())]
    assert found(*queries) == []


# -- found --------------------------------------------------------------------------------------


def test_independent_statements_are_info():
    """What they take, and what is saved: all but the slowest."""
    (finding,) = found(*three())
    assert (finding.severity, finding.count) == ("info", 3)
    assert "(orders, bills, goods) wait for one another, 240.0 ms" in finding.message
    assert "would save 160.0 ms" in finding.message
    assert finding.cost.duration_ns == 160 * MS
    assert finding.queries == (0, 1, 2)


def test_parameters_that_were_known_before_are_independent():
    """All of them ask for the tenant that the first look-up was given."""
    user = a_query("SELECT 1 FROM users WHERE tenant = %s", parameters=(7,), duration_ns=MS)
    (finding,) = found(user, *three(parameters=(7,)))
    assert finding.queries == (1, 2, 3)


def test_quick_statements_between_do_not_matter():
    """A look-up of 1 ms between two slow ones feeds neither."""
    one, two, last = three(ms=120)
    (finding,) = found(one, a_query(duration_ns=MS), two, last)
    assert finding.queries == (0, 2, 3)


@pytest.mark.parametrize(
    "chosen",
    [
        {"serial_statement_min_ms": 90},
        {"serial_min_saved_ms": 200},
        {"serial_min_saved_percent": 90},
    ],
)
def test_thresholds_are_settings(chosen):
    """Each of the three silences it."""
    assert said(a_trace(*three()), "QS110", **chosen) == []
