"""QS506: transactions that hold locks for nothing, and those that are long for good reason."""

from __future__ import annotations

import pytest

from queryscope.detectors.registry import judge
from queryscope.trace.events import ExternalCall
from queryscope.trace.pool import Gap, gaps_outside, locked_intervals
from tests.builders import MS, a_checkout, a_frame, a_query, a_trace, a_transaction, an_origin
from tests.detectors.judging import said

UPDATE = 'UPDATE "shop_order" SET "state" = %s WHERE "shop_order"."id" = %s'
LOCK = "SELECT `id` FROM `shop_order` WHERE `id` = %s FOR UPDATE"
READ = 'SELECT "id" FROM "shop_order" WHERE "id" = %s'


def at(start_ms, statement=UPDATE, took_ms=1, **facts):
    """Return a statement of the transaction at a moment."""
    return a_query(
        statement,
        start_ns=int(start_ms * MS),
        duration_ns=int(took_ms * MS),
        **{"transaction": 0, **facts},
    )


def a_call(start_ms, took_ms=5, **facts):
    """Return an HTTP request."""
    return ExternalCall(
        0, int(start_ms * MS), int(took_ms * MS), "pay.example", None, -1,
        facts.pop("thread", 1001), facts.pop("origin", an_origin(60)),
    )  # fmt: skip


def within(*queries, ends_ms=200, calls=(), facts=None, **trace):
    """Return a Trace with one transaction from 1 ms on."""
    transaction = a_transaction(started_ns=MS, ended_ns=int(ends_ms * MS), **(facts or {}))
    return a_trace(*queries, transactions=[transaction], external_calls=tuple(calls), **trace)


def found(*queries, chosen=None, **facts):
    """Return what QS506 says about one transaction."""
    return said(within(*queries, **facts), "QS506", **(chosen or {}))


# -- innocent --------------------------------------------------------------------------------


def test_short_transaction_is_clean():
    """A short view under ATOMIC_REQUESTS."""
    assert found(at(2), at(5), ends_ms=15) == []


def test_transaction_that_only_reads_is_clean():
    """It holds no row locks; QS502 speaks of the connection."""
    assert found(at(2, READ)) == []
    assert "QS502" in {item.code for item in judge(within(at(2, READ)))}


def test_busy_transaction_is_clean():
    """An import sends one statement after the other, for long."""
    assert found(*(at(2 + 5 * n, took_ms=4) for n in range(39))) == []


def test_time_before_the_first_write_is_clean():
    """What was computed before took no locks."""
    assert found(at(2, READ), at(195)) == []


def test_time_after_the_commit_is_clean():
    """The answer is rendered when all is done."""
    assert found(at(2), ends_ms=4, duration_ns=300 * MS) == []


def test_ordered_row_locks_are_clean():
    """Two rows locked in order, changed and committed."""
    assert found(at(2, LOCK), at(4, LOCK), at(6), at(8), ends_ms=10) == []


def test_savepoints_are_clean():
    """A savepoint for each row is no idling."""
    queries = [at(2 + n, "SAVEPOINT s1" if n % 2 else UPDATE, 0.5) for n in range(20)]
    assert found(*queries, ends_ms=24, facts={"savepoints": 10}) == []


def test_test_case_is_clean():
    """Its transaction lasts as long as the test."""
    assert found(at(2), kind="test") == []


def test_statement_outside_every_transaction_is_clean():
    """Autocommit holds nothing, and Django's connection may idle."""
    assert said(a_trace(at(2, transaction=None), duration_ns=500 * MS), "QS506") == []


def test_what_another_connection_does_is_no_idling():
    """The thread asks elsewhere meanwhile: that is a nested checkout."""
    other = at(4, READ, 195, transaction=None, connection=2)
    assert found(at(2), other) == []


@pytest.mark.parametrize(
    "call", [a_call(205), a_call(0.5), a_call(50, thread=7)], ids=["after", "before", "elsewhere"]
)
def test_request_outside_the_transaction_is_clean(call):
    """Before the first write, after the commit, in another thread."""
    assert found(at(2), at(4), ends_ms=6, calls=[call], duration_ns=300 * MS) == []


def test_transaction_left_open_counts_only_between_statements():
    """A session that is never closed is QS503's."""
    trace = a_trace(
        at(2), transactions=[a_transaction(ended_ns=None, outcome="open")], duration_ns=300 * MS
    )
    assert said(trace, "QS506") == []


# -- dirty -----------------------------------------------------------------------------------


@pytest.mark.parametrize("statement", [UPDATE, LOCK, "INSERT INTO [shop_order] VALUES (?)"])
def test_idle_time_with_locks_is_found(statement):
    """After the first write or lock, whatever the database."""
    vendor = "mysql" if "`" in statement else "sqlite" if "[" in statement else "postgresql"
    (finding,) = found(at(2, statement, vendor=vendor, rows=0), at(150, READ, rows=0))
    assert finding.cost.connection_ns == (147 + 49) * MS
    assert (finding.severity, finding.confidence) == ("warning", "high")
    assert finding.message == (
        "A transaction that began here held row locks for 196.0 ms with nothing executed "
        "before library/views.py:41."
    )


def test_pooled_connection_is_one_finding():
    """QS502 leaves the time with locks to this code, and keeps the rest."""
    trace = within(
        at(2), checkouts=[a_checkout(asked_ns=MS, returned_ns=400 * MS)], duration_ns=401 * MS
    )
    assert sorted(item.code for item in judge(trace)) == ["QS502", "QS506"]
    by_code = {item.code: item for item in judge(trace)}
    assert by_code["QS506"].cost.connection_ns == 197 * MS
    assert by_code["QS502"].cost.connection_ns == 200 * MS


def test_http_request_in_a_transaction_is_found():
    """However fast it was answered this time; the host and the line are named."""
    view = a_frame(50, function="pay")
    trace = within(
        at(2, origin=an_origin(view)),
        calls=[a_call(4, 2, origin=an_origin(a_frame(9, function="charge"), 60, view))],
        facts={"opener": an_origin(a_frame(48, function="pay"))},
        ends_ms=8,
    )
    (finding,) = said(trace, "QS506")
    assert finding.evidence["asked"] == "pay.example"
    assert finding.mend.at.line == 50
    assert "pay.example" in finding.message


def test_transactions_of_one_line_are_one_finding():
    """A loop that holds locks in each turn."""
    queries = [at(100 * n + 2, transaction=n) for n in range(3)]
    transactions = [
        a_transaction(started_ns=100 * n * MS, ended_ns=(100 * n + 60) * MS) for n in range(3)
    ]
    (finding,) = said(a_trace(*queries, transactions=transactions), "QS506")
    assert finding.count == 3
    assert finding.cost.connection_ns == 3 * 57 * MS


def test_script_is_told_as_information():
    """Nobody else may be there."""
    (finding,) = found(at(2), kind="script")
    assert finding.severity == "info"


def test_threshold_is_of_the_mode():
    """Production allows more."""
    assert found(at(2), ends_ms=40, mode="production") == []
    assert len(found(at(2), ends_ms=40)) == 1
    assert found(at(2), ends_ms=40, chosen={"transaction_idle_min_ms": 90}) == []


# -- arithmetic ------------------------------------------------------------------------------


def test_locks_begin_with_the_first_write_that_succeeded():
    """A failed write, and a read before it, take none."""
    trace = within(at(2, READ), at(4, error="IntegrityError"), at(6), at(9))
    assert locked_intervals(trace) == {0: (7 * MS, 200 * MS)}


def test_gaps_are_cut_where_they_are_taken():
    """Before, in the middle, and altogether."""
    gap = Gap(0, 100, None, None)
    cut = gaps_outside([gap], [(20, 30), (90, 200), (300, 400)])
    assert [(item.start_ns, item.end_ns) for item in cut] == [(0, 20), (30, 90)]
    assert gaps_outside([gap], [(0, 100)]) == []
