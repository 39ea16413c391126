"""QS507: writes committed one by one, and the transactions that are small on purpose."""

from __future__ import annotations

import pytest

from tests.builders import MS, a_query, a_session, a_trace, a_transaction
from tests.detectors.judging import said

INSERT = 'INSERT INTO "entry" ("account_id") VALUES (%s)'
UPDATE = "UPDATE `account` SET `balance` = (`account`.`balance` - %s) WHERE `id` = %s"


def write(statement=INSERT, **facts):
    """Return a write; without a transaction it is in autocommit."""
    return a_query(statement, **{"session": 0, **facts})


def committed(times, *statements, apart_ms=0.5, framework="sqlalchemy", lines=(41,), kind="request",
              outcome="commit", savepoints=0, opener=40, **facts):  # fmt: skip
    """Return a Trace of transactions one after the other, each with the statements."""
    queries, transactions = [], []
    now = MS
    for number in range(times):
        start = now
        for at, statement in enumerate(statements or (INSERT,)):
            now += MS
            queries.append(
                write(statement, start_ns=now, transaction=number,
                      origin=lines[(number + at) % len(lines)], **facts)
            )  # fmt: skip
            now += MS
        transactions.append(
            a_transaction(started_ns=start, ended_ns=now + MS, outcome=outcome, opener=opener,
                          savepoints=savepoints)
        )  # fmt: skip
        now += int(MS + apart_ms * MS)
    return a_trace(
        *queries, transactions=transactions, sessions=[a_session(framework=framework)], kind=kind
    )


def unit(*lines, statement=INSERT, **facts):
    """Return a Django request that writes in autocommit, line by line."""
    queries = [write(statement, origin=line, **facts) for line in lines]
    return a_trace(*queries, sessions=[a_session(framework="django")])


def found(trace, **chosen):
    """Return what QS507 says."""
    return said(trace, "QS507", **chosen)


# -- innocent --------------------------------------------------------------------------------


def test_one_transaction_for_all_is_clean():
    """However many writes it has."""
    trace = committed(1, *([INSERT] * 30), lines=(1, 2, 3))
    assert found(trace) == []


def test_few_writes_are_clean():
    """Four commits are no habit, nor are four saves in autocommit."""
    assert found(committed(4)) == []
    assert found(unit(1, 2, 3, 4)) == []


def test_unit_of_work_in_each_turn_is_clean():
    """An order with its lines is one transaction; nine orders are nine."""
    assert found(committed(9, INSERT, UPDATE)) == []


def test_chunks_are_clean():
    """Bulk writes that are committed chunk by chunk."""
    assert found(committed(9, many=500, rows=500)) == []
    assert found(committed(9, rows=100)) == []
    assert found(unit(*range(9), rows=50)) == []


def test_reads_are_clean():
    """A transaction for each read changes nothing."""
    assert found(committed(9, "SELECT 1 FROM entry")) == []


def test_worker_that_takes_jobs_is_clean():
    """A job is locked, marked as taken, and committed so that others see it."""
    assert found(committed(9, "SELECT id FROM job FOR UPDATE SKIP LOCKED", UPDATE)) == []


@pytest.mark.parametrize("apart_ms", [20, 500])
def test_work_between_commits_is_clean(apart_ms):
    """Nobody should hold locks while a service is asked for each row."""
    assert found(committed(9, apart_ms=apart_ms)) == []


def test_rows_that_may_fail_each_are_clean():
    """One was rolled back, so each stands for itself."""
    trace = committed(9)
    transactions = list(trace.transactions)
    transactions[3] = transactions[3]._replace(outcome="rollback")
    assert found(a_trace(*trace.queries, transactions=transactions, sessions=trace.sessions)) == []
    queries = [*trace.queries[:3], trace.queries[3]._replace(error="IntegrityError"),
               *trace.queries[4:]]  # fmt: skip
    assert found(a_trace(*queries, transactions=trace.transactions, sessions=trace.sessions)) == []


def test_savepoints_are_clean():
    """They isolate rows already."""
    assert found(committed(9, savepoints=1)) == []


@pytest.mark.parametrize("kind", ["test", "script"])
def test_tests_and_scripts_are_clean(kind):
    """A test case has a transaction of its own; scripts want to go on where they stopped."""
    assert found(committed(9, kind=kind)) == []
    assert found(unit(*range(9))) != []
    assert found(a_trace(*unit(*range(9)).queries, sessions=[a_session()], kind=kind)) == []


@pytest.mark.parametrize("kind", ["block", "task"])
def test_block_may_stand_in_a_transaction(kind):
    """What began before it, it does not know: autocommit cannot be told from that."""
    assert found(a_trace(*unit(*range(9)).queries, sessions=[a_session()], kind=kind)) == []


def test_request_inside_a_test_case_is_clean():
    """There atomic() makes a savepoint, and no transaction that we have seen begin."""
    queries = [
        a_query("SAVEPOINT s1"), *unit(*range(9)).queries, a_query("RELEASE SAVEPOINT s1"),
    ]  # fmt: skip
    assert found(a_trace(*queries, sessions=[a_session(framework="django")])) == []


def test_djangos_own_transactions_in_a_loop_are_left_to_the_loop():
    """genres.add(), delete() and bulk_create() begin one each at the line that writes."""
    assert found(committed(9, framework="django", opener=41, lines=(41,))) == []


def test_loop_in_autocommit_is_left_to_the_loop():
    """QS107 says what to do, and its advice makes one transaction of it."""
    assert found(unit(*([7] * 30), 8)) == []


def test_bookkeeping_is_clean():
    """A session, a log and a last log-in are no unit of work."""
    statement = 'INSERT INTO "audit_log" ("text") VALUES (%s)'
    assert found(unit(*range(9), statement=statement)) == []


def test_pause_parts_units():
    """Three saves, an answer from a payment service, and three saves more."""
    queries = [write(origin=n, start_ns=(10 + 2 * n) * MS) for n in range(3)]
    queries += [write(origin=n, start_ns=(90 + 2 * n) * MS) for n in range(3, 6)]
    assert found(a_trace(*queries, sessions=[a_session(framework="django")])) == []


# -- dirty -----------------------------------------------------------------------------------


def test_commit_in_each_turn_is_found():
    """One row, one commit, thirty times; the write in a loop is the same thing, and silent."""
    (finding,) = found(committed(30))
    assert (finding.count, finding.severity, finding.confidence) == (30, "warning", "high")
    assert finding.mend.write == "session.commit()"
    assert finding.message == "30 rows written at library/views.py:41 are committed one by one."


def test_atomic_in_each_turn_is_found():
    """On Django the block that was written by hand tells it from the ORM's own."""
    (finding,) = found(committed(6, UPDATE, framework="django", opener=40))
    assert finding.mend.write == "with transaction.atomic():"
    assert finding.subject == "account"


def test_task_is_told_as_information():
    """It may want to go on where it was stopped."""
    (finding,) = found(committed(30, kind="task"))
    assert finding.severity == "info"


@pytest.mark.parametrize("statement", [INSERT, UPDATE, "DELETE FROM [entry] WHERE [id] = ?"])
def test_unit_of_work_in_autocommit_is_found(statement):
    """Five writes of five lines, with nothing that holds them together."""
    (finding,) = found(unit(1, 2, 3, 4, 5, statement=statement))
    assert (finding.count, finding.confidence) == (5, "medium")
    assert finding.mend.write == "with transaction.atomic():"
    assert finding.mend.how == (
        "Put the writes from library/views.py:1 to library/views.py:5 into one transaction."
    )


def test_unit_of_small_transactions_is_found():
    """Transactions with one write each leave half of the work done, too."""
    (finding,) = found(committed(6, lines=(1, 2, 3, 4, 5, 6)))
    assert finding.count == 6
    assert "6 lines" in finding.message


def test_unit_beside_a_loop_names_its_own_statements():
    """The loop's statements stay with QS107."""
    (finding,) = found(unit(1, *([7] * 9), 2, 3))
    assert finding.count == 12
    assert len(finding.queries) == 3


def test_threshold_is_a_setting():
    """A stricter project."""
    assert len(found(unit(1, 2, 3), transaction_per_statement_min_writes=3)) == 1
