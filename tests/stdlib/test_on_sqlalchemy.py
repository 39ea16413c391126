"""What is found, counted and recorded of SQLAlchemy's work in threads and pools."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from multiprocessing.pool import ThreadPool

import pytest
from sqlalchemy import create_engine, select, text
from sqlalchemy.orm import Session
from sqlalchemy.pool import QueuePool

import queryscope.sqlalchemy as adapter
from queryscope import adapters
from queryscope.detectors.registry import judge
from queryscope.pytest_plugin.budget import Block, Reports
from tests.detectors.judging import check_clean, check_found
from tests.recording import recorded
from tests.sqlalchemy.shop import AUTHORS, BOOKS_EACH, Author, Book, fill, line_of

TIMEOUT_S = 10


@pytest.fixture(autouse=True)
def adapted(hooks):
    """Put SQLAlchemy's hooks in, too."""
    adapter.install()
    yield
    adapters.uninstall()  # a budget installs whatever is imported, Django's hooks among them


@pytest.fixture
def engine(tmp_path):
    """The shop, behind a pool of six connections that never grows."""
    made = create_engine(
        f"sqlite:///{tmp_path / 'shop.db'}",
        poolclass=QueuePool,
        pool_size=6,
        max_overflow=0,
        connect_args={"check_same_thread": False},
    )
    fill(made)
    yield made
    made.dispose()


@pytest.fixture
def executor():
    """A pool of four workers, born outside every Trace."""
    with ThreadPoolExecutor(4) as made:
        list(made.map(int, range(4)))
        yield made


def judged(run):
    """Return the Trace of a run as tests are judged: two parents are many."""
    return replace(run.trace, mode="tests")


def author_of(session, book):
    """Follow a book to its author."""
    return book.author.name  # the lazy load


def name_of(engine, key):
    """Look one book up, in a session of its own."""
    with Session(engine) as session:
        return session.get(Book, key).title  # the look-up


# -- findings ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["executor", "ThreadPool"])
def test_lazy_loads_in_a_pool_are_found_at_their_line(engine, executor, kind):
    """An N+1 through ``map`` of a pool names the line in the submitted function."""
    lock = threading.Lock()  # one session is not for two threads at a time

    def load(book):
        with lock:
            return author_of(session, book)

    with Session(engine) as session, recorded() as run, ThreadPool(1) as other:
        books = session.scalars(select(Book).where(Book.kind == "book")).all()
        if kind == "executor":
            list(executor.map(load, books, timeout=TIMEOUT_S))
        else:
            other.map(load, books)
    finding = check_found(judged(run), "QS101", AUTHORS)
    assert finding.origin.frame.line == line_of(__file__, "the lazy load")


def test_look_ups_in_a_pool_are_found_at_their_line(engine, executor):
    """Each task opens its own session and looks one row up; the loop is not in its stack."""
    keys = list(range(1, AUTHORS * BOOKS_EACH + 1))
    with recorded() as run:
        list(executor.map(name_of, [engine] * len(keys), keys, timeout=TIMEOUT_S))
    finding = check_found(judged(run), "QS102", len(keys))
    assert finding.confidence == "low"
    assert finding.origin.frame.line == line_of(__file__, "the look-up")


def test_one_statement_in_a_pool_is_clean(engine, executor):
    """Work that is handed over once is no loop."""

    def names():
        with Session(engine) as session:
            return session.scalars(select(Author.name)).all()

    with recorded() as run:
        executor.submit(names).result(TIMEOUT_S)
    check_clean(judged(run))
    assert len(run.queries) == 1


def test_same_function_called_directly_and_in_a_pool_has_two_origins(engine, executor):
    """In the pool its chain ends with the function; called by a test, the test's line follows."""
    with recorded() as run:
        for _ in range(3):
            name_of(engine, 1)
            executor.submit(name_of, engine, 1).result(TIMEOUT_S)
    chains = [[step.function for step in query.origin.steps] for query in run.queries]
    assert chains[1::2] == [["name_of"]] * 3
    assert all(chain[:2] == ["name_of", chains[0][1]] for chain in chains[::2])
    assert chains[0][1].startswith("test_same_function")


# -- sessions and pools ------------------------------------------------------------------------


def findings(trace, code):
    """Return the findings of one code."""
    return [item for item in judge(trace) if item.code == code]


def at_the_same_time(engine, executor, count):
    """Use a session in each of some workers, all open at once."""
    barrier = threading.Barrier(count)

    def work(_):
        with Session(engine) as session:
            session.execute(text("SELECT 1"))
            barrier.wait(TIMEOUT_S)

    list(executor.map(work, range(count), timeout=TIMEOUT_S))


def test_session_in_each_thread_is_said_as_information(engine, executor):
    """QS501: threads must not share a session, and still take several connections."""
    with recorded() as run:
        at_the_same_time(engine, executor, 3)
    (finding,) = findings(run.trace, "QS501")
    assert (finding.severity, finding.count) == ("info", 3)
    assert len({session.thread for session in run.trace.sessions}) == 3


def test_connection_in_each_thread_counts_to_a_nested_checkout(engine, executor):
    """QS505: the request holds one connection and waits for threads that need theirs."""
    with recorded() as run, Session(engine) as session:
        session.execute(text("SELECT 1"))
        at_the_same_time(engine, executor, 2)
    (finding,) = findings(run.trace, "QS505")
    assert (finding.count, finding.confidence) == (3, "medium")
    threads = {run.trace.checkouts[number].thread for number in finding.checkouts}
    assert len(threads) == 3


def test_session_used_by_two_threads_names_both(engine, executor):
    """A session is not for two threads; the Trace says which ones used it."""
    with recorded() as run, Session(engine) as session:
        session.execute(text("SELECT 1"))
        executor.submit(session.execute, text("SELECT 2")).result(TIMEOUT_S)
    (used,) = run.trace.sessions
    assert used.threads[0] == threading.get_ident()
    assert len(used.threads) == 2
    assert {query.thread for query in run.queries} == set(used.threads)


def test_session_used_by_one_thread_names_it(engine):
    """The usual case."""
    with recorded() as run, Session(engine) as session:
        session.execute(text("SELECT 1"))
    (used,) = run.trace.sessions
    assert used.threads == (threading.get_ident(),)


# -- budgets -----------------------------------------------------------------------------------


def test_budget_counts_what_threads_of_the_block_send(engine, executor, tmp_path):
    """A thread, a pool and a pool of multiprocessing's count; a thread from before does not."""
    go, gone = threading.Event(), threading.Event()

    def before():
        go.wait(TIMEOUT_S)
        name_of(engine, 1)
        gone.set()

    outside = threading.Thread(target=before)
    outside.start()

    def work():
        thread = threading.Thread(target=name_of, args=(engine, 1))
        thread.start()
        thread.join(TIMEOUT_S)
        executor.submit(name_of, engine, 2).result(TIMEOUT_S)
        with ThreadPool(1) as pool:
            pool.apply(name_of, (engine, 3))

    def block(queries):
        reports = Reports(tmp_path, tmp_path)
        return Block({"queries": queries}, reports, test="test_it.py::test_it", name="test_it")

    with block(3):
        work()
        go.set()
        assert gone.wait(TIMEOUT_S)
    with pytest.raises(pytest.fail.Exception, match=r"3 queries, budget 2"), block(2):
        work()
    outside.join(TIMEOUT_S)


# -- many statements ---------------------------------------------------------------------------


def test_thousands_of_statements_in_threads_are_all_there(engine):
    """Six threads with a connection each send 500 statements: none lost, none doubled."""
    each = 500

    def work(number):
        with Session(engine) as session:
            for count in range(each):
                session.execute(text(f"SELECT {number}, :count"), {"count": count}).all()

    with recorded() as run, ThreadPoolExecutor(6) as pool:
        list(pool.map(work, range(6), timeout=60))
    by_thread = {}
    for query in run.queries:
        by_thread.setdefault((query.thread, query.statement), set()).add(query.parameters_key)
    assert [len(keys) for keys in by_thread.values()] == [each] * len(by_thread)
    assert {statement for _, statement in by_thread} == {f"SELECT {n}, ?" for n in range(6)}
    assert len(run.queries) == 6 * each
    assert all(query.rows == 1 for query in run.queries)
    assert [len(session.threads) for session in run.trace.sessions] == [1] * 6
