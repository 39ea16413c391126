"""What each budget counts, on SQLAlchemy with a real pool."""

from __future__ import annotations

import re
import time
from concurrent.futures import ThreadPoolExecutor
from threading import Event, Thread

import pytest
from sqlalchemy import insert, inspect, text
from sqlalchemy.orm import Session

from queryscope import profile
from tests.pytest_plugin.models import Shelf, Slot


@pytest.fixture
def filled(engine):
    """Four shelves with two slots each."""
    Shelf.metadata.create_all(engine)
    with Session(engine) as session, session.begin():
        session.add_all(
            Shelf(name=f"s{n}", slots=[Slot(number=1), Slot(number=2)]) for n in range(4)
        )
    return engine


def one(session, value=1):
    """Send one statement and fetch its one row."""
    return session.execute(text("SELECT :value"), {"value": value}).all()


def check_used(block, work, **used):
    """Check that work keeps budgets of exactly what it uses, and breaks each one below."""
    with block(**used):
        work()
    for name, amount in used.items():
        if amount:
            with (
                pytest.raises(pytest.fail.Exception, match=r"budget .* over\)"),
                block(**{name: amount - 1}),
            ):
                work()


def test_statements_count_without_control(budget, filled):
    """Transactions, savepoints and looks into the catalogue are no queries."""

    def work():
        with Session(filled) as session, session.begin():
            session.execute(text("SELECT 1"))
            with session.begin_nested():
                session.execute(text("SELECT 2"))
        inspect(filled).get_table_names()

    check_used(budget, work, queries=2)


def test_failed_statement_counts(budget, filled):
    """A statement that the database refuses was sent."""

    def work():
        with filled.connect() as connection, pytest.raises(Exception, match="no such table"):
            connection.execute(text("SELECT * FROM nowhere"))

    check_used(budget, work, queries=1)


def test_rows_count_as_fetched(budget, filled):
    """Rows are those that were fetched; rows written are not."""

    def work():
        with Session(filled) as session:
            assert len(session.query(Slot).all()) == 8
            session.execute(insert(Shelf), [{"name": "x"}, {"name": "y"}])

    check_used(budget, work, rows=8, queries=2)


def test_sessions_count_once_used(budget, filled):
    """A session that never used a connection is none; one used twice is one."""

    def work():
        Session(filled).close()
        for _ in range(2):
            with Session(filled) as session:
                session.execute(text("SELECT 1"))
                session.rollback()
                session.execute(text("SELECT 1"))

    check_used(budget, work, sessions=2)


def test_held_connections_are_those_at_once(budget, filled):
    """Two connections one after the other are one held, two at a time are two."""

    def work():
        with filled.connect() as first:
            first.execute(text("SELECT 1"))
        with filled.connect() as first, filled.connect() as second:
            first.execute(text("SELECT 1"))
            second.execute(text("SELECT 1"))

    check_used(budget, work, connections_held=2)


def test_duplicates_are_beyond_the_first(budget, filled):
    """Equal text and parameters repeat, other parameters and batches do not, writes or not."""

    def work():
        with Session(filled) as session:
            for value in (1, 2, 1, 1):
                session.execute(text("SELECT :value"), {"value": value})
                session.execute(insert(Shelf), [{"name": "a"}, {"name": "b"}])

    check_used(budget, work, duplicates=2, queries=8)


def test_lazy_loop_is_one_finding(budget, filled):
    """A relation loaded per row is one finding, however many rows there are."""

    def work():
        with Session(filled) as session:
            return [len(shelf.slots) for shelf in session.query(Shelf)]

    check_used(budget, work, n_plus_one=1, queries=5, duplicates=0)


def test_slow_block_exceeds_time(budget):
    """The wall time of the block counts, without any statement too."""
    with pytest.raises(pytest.fail.Exception) as raised, budget(time_ms=5):
        time.sleep(0.02)
    assert re.match(r"[\d.]+ ms, budget 5 ms \([\d.]+ over\)\n", str(raised.value))
    assert re.search(r"\n  0\.0 ms in statements, [\d.]+ ms elsewhere\n", str(raised.value))


def test_nested_traces_count_once(budget, filled):
    """Facts of a profiled block inside are in the outer budget, once."""

    def work():
        with Session(filled) as session:
            one(session)
            with profile("inner"):
                one(session)
                with Session(filled) as other:
                    one(other)
            one(session)

    check_used(budget, work, queries=4, sessions=2, connections_held=2, duplicates=3, rows=4)


def test_nested_budgets_judge_their_own(budget, filled):
    """An inner budget sees the inner block, the outer one sees both."""

    def work():
        with Session(filled) as session:
            one(session)
            with budget(queries=2, sessions=1):
                one(session)
                one(session)

    check_used(budget, work, queries=3)


def test_failed_inner_budget_passes_outwards(budget, filled):
    """An inner budget that fails is the failure; the outer one is not judged."""
    with (
        pytest.raises(pytest.fail.Exception, match=r"^1 query, budget 0 \(1 over\)"),
        budget(rows=0),
        budget(queries=0),
        Session(filled) as session,
    ):
        session.execute(text("SELECT 1"))


def test_block_can_be_entered_again(budget, filled):
    """Each time a block is entered it counts from nothing."""
    block = budget(queries=1)
    for _ in range(2):
        with block, Session(filled) as session:
            session.execute(text("SELECT 1"))


def test_threads_of_the_block_are_counted(budget, filled):
    """What the block hands to a thread is the block's; a thread that was there before is not."""

    def work():
        with Session(filled) as session:
            session.execute(text("SELECT 1"))

    wanted = Event()
    earlier = Thread(target=lambda: (wanted.wait(10), work()))
    earlier.start()

    def block():
        with budget(queries=0), ThreadPoolExecutor(1) as pool:
            pool.submit(work).result()
            wanted.set()
            earlier.join()

    with pytest.raises(pytest.fail.Exception, match="1 query, budget 0"):
        block()


def test_hostile_names_stay_on_their_line(budget, filled):
    """What is not seen or moves the terminal's text comes out as an escape."""

    def work():
        with Session(filled) as session:
            session.execute(text('SELECT 1 AS "a\x1b[2J\u202eb\nc"')).all()

    with pytest.raises(pytest.fail.Exception) as raised, budget(queries=0):
        work()
    assert "\n        SELECT ? AS a\\x1b[2J\\u202eb c\n" in str(raised.value)


def test_exception_passes_unjudged(budget, filled):
    """When the block raises, that is the failure, whatever it has sent."""

    def work():
        with budget(queries=0), Session(filled) as session:
            raise LookupError(one(session))

    with pytest.raises(LookupError):
        work()
