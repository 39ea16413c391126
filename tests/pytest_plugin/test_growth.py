"""``query_growth``: what passes, what fails with which words, and wrong use, on SQLAlchemy."""

from __future__ import annotations

import math
import re

import pytest

from tests.pytest_plugin.test_plugin import CONFTEST, said, tried

APP = """
from sqlalchemy import ForeignKey, Integer, String, create_engine, func, insert, select, text
from sqlalchemy.orm import (
    DeclarativeBase, Session, joinedload, mapped_column, relationship, selectinload
)
from sqlalchemy.pool import StaticPool

class Base(DeclarativeBase):
    pass

class Customer(Base):
    __tablename__ = "customer"
    id = mapped_column(Integer, primary_key=True)
    orders = relationship("Order", back_populates="customer")

class Order(Base):
    __tablename__ = "orders"
    id = mapped_column(Integer, primary_key=True)
    customer_id = mapped_column(ForeignKey("customer.id"))
    customer = relationship(Customer, back_populates="orders")
    lines = relationship("Line")

class Line(Base):
    __tablename__ = "line"
    id = mapped_column(Integer, primary_key=True)
    order_id = mapped_column(ForeignKey("orders.id"))

engine = create_engine("sqlite://", poolclass=StaticPool)

def empty():
    Base.metadata.drop_all(engine)
    Base.metadata.create_all(engine)

def add(n, orders=1, lines=1):
    with Session(engine) as session, session.begin():
        session.add_all(
            Customer(orders=[Order(lines=[Line() for _ in range(lines)]) for _ in range(orders)])
            for _ in range(n)
        )

def lazily():
    with Session(engine) as session:
        orders = session.scalars(select(Order)).all()
        return [order.customer.id for order in orders]

def eagerly():
    with Session(engine) as session:
        orders = session.scalars(select(Order).options(joinedload(Order.customer))).all()
        return [order.customer.id for order in orders]

def batched():
    with Session(engine) as session:
        found = session.scalars(select(Customer).options(selectinload(Customer.orders))).all()
        return [len(customer.orders) for customer in found]

def nested():
    with Session(engine) as session:
        for customer in session.scalars(select(Customer)):
            for order in customer.orders:
                len(order.lines)

def slots():
    with Session(engine) as session:
        session.scalars(select(Order)).all()
        for hour in range(5):
            session.execute(text("SELECT count(*) FROM orders WHERE id > :hour"), {"hour": hour})

def pairs():
    with Session(engine) as session:
        keys = session.scalars(select(Customer.id)).all()
        for one in keys:
            for other in keys:
                session.scalar(select(func.count()).where(Order.customer_id.in_([one, other])))

def first(n):
    with Session(engine) as session:
        orders = session.scalars(select(Order).limit(n)).all()
        return [order.customer.id for order in orders]

async def asynchronously():
    lazily()

def fill(keys, orders):
    with Session(engine) as session, session.begin():
        session.execute(insert(Customer), [{"id": key} for key in keys])
        if orders:
            session.execute(insert(Order), [{"id": key, "customer_id": key} for key in keys])
"""


@pytest.fixture
def project(pytester):
    """A folder with an application whose tables are empty before each test."""
    pytester.makepyfile(app=APP)
    pytester.makeconftest(
        CONFTEST
        + """
import pytest

@pytest.fixture(autouse=True)
def tables():
    import app
    app.empty()
"""
    )
    pytester.syspathinsert()
    return pytester


def outcome(project, body):
    """Run one test, and return what pytest says."""
    return tried(project, test_it=f"import app\ndef test_it(query_growth):\n    {body}\n")


@pytest.mark.parametrize(
    "body",
    [
        "query_growth(app.eagerly, make=app.add)",
        "query_growth(app.batched, make=app.add)",
        "query_growth(app.slots, make=app.add)",
        "query_growth(app.lazily, make=app.add, law='n')",
        "query_growth(app.lazily, make=app.add, law='n*m')",
        "query_growth(app.nested, make=lambda n: app.add(n, orders=3), law='n*m')",
        "query_growth(app.pairs, make=app.add, law='n*m')",
    ],
)
def test_law_that_holds_passes(project, body):
    """Eager loads, batches and loops of constant length are constant; slower than said is fine."""
    outcome(project, body).assert_outcomes(passed=1)


def test_warm_caches_are_no_growth(project):
    """What the first run alone asks for makes it dearer, not cheaper."""
    body = (
        "once = []\n"
        "    def run():\n"
        "        if not once:\n"
        "            once.append(app.lazily())\n"
        "        app.eagerly()\n"
        "    query_growth(run, make=app.add)"
    )
    outcome(project, body).assert_outcomes(passed=1)


def test_failure_points_at_the_call_and_names_the_line(project):
    """Counts, law, the number for 10,000 rows, the line, its statement and the remedy."""
    result = outcome(project, "query_growth(app.lazily, make=app.add)")
    result.assert_outcomes(failed=1)
    lines = said(result)
    assert ">       query_growth(app.lazily, make=app.add)" in lines
    text = "\n".join(line.removeprefix("E").strip() for line in lines if line.startswith("E"))
    source = APP.strip().splitlines()
    loop = source.index("        return [order.customer.id for order in orders]") + 1
    assert re.fullmatch(
        r"Failed: 3, 5, 9 statements for 2, 4, 8 rows: O\(n\), asserted O\(1\); "
        r"10,001 for 10,000 rows\n"
        rf"O\(n\)  app\.py:{loop} in lazily  2, 4, 8; 10,000 for 10,000 rows\n"
        r"SELECT .* FROM customer WHERE customer\.id = \?\n"
        rf"QS101 n-plus-one: try: joinedload\(Order\.customer\)  at app\.py:{loop - 1}\n"
        r"report: \.queryscope/test_it\.html",
        text,
    ), text
    assert (project.path / ".queryscope" / "test_it.html").exists()


def test_loop_in_a_loop_is_more_than_linear(project):
    """Three orders a customer: the lines are asked for once for each of n x m orders."""
    result = outcome(
        project, "query_growth(app.nested, make=lambda n: app.add(n, orders=3), law='n')"
    )
    text = "\n".join(said(result))
    assert "9, 17, 33 statements for 2, 4, 8 rows: O(n*m), asserted O(n); 40,001 for 10,000" in text
    assert "6, 12, 24 (3 rows of Customer.orders for each parent); 30,000 for 10,000 rows" in text
    assert "in nested  2, 4, 8" not in text


def test_pairs_of_rows_are_a_square(project):
    """Each row against each: 2, 4 and 8 rows tell that 10,000 make a hundred million."""
    result = outcome(project, "query_growth(app.pairs, make=app.add, law='n')")
    text = "\n".join(said(result))
    assert "4, 16, 64 (in proportion to pairs of rows); 100,000,000 for 10,000 rows" in text


def test_without_make_the_run_is_told_the_rows(project):
    """Data that are there already: the run asks for so many of them."""
    result = outcome(project, "app.add(8)\n    query_growth(app.first)")
    assert "3, 5, 9 statements for 2, 4, 8 rows" in "\n".join(said(result))


def test_loop_on_a_page_ends_with_the_page(project):
    """SQLAlchemy sends the LIMIT as a parameter: the number is known all the same."""
    result = outcome(project, "query_growth(lambda: app.first(50), make=app.add)")
    text = "\n".join(said(result))
    assert "2, 4, 8; 50 for 10,000 rows, as far as LIMIT 50 lets it" in text
    assert "O(1); 51 for 10,000 rows" in text


def test_other_sizes_are_run(project):
    """Sizes are the user's to choose."""
    result = outcome(project, "query_growth(app.lazily, make=app.add, sizes=(1, 3, 9, 27))")
    assert "2, 4, 10, 28 statements for 1, 3, 9, 27 rows" in "\n".join(said(result))


@pytest.mark.parametrize("work", ["lazily", "batched", "nested"])
def test_ten_thousand_rows_are_met(project, work):
    """What three small runs foretell is what ten thousand rows send, within 2 %."""
    orders = 0 if work == "nested" else 1
    result = outcome(
        project,
        f"make = lambda n: app.add(n, orders={orders}, lines=0)\n"
        f"    growth = query_growth(app.{work}, make=make, law='n')\n"
        f"    app.fill(range(9, 10_001), {orders})\n"
        "    from queryscope import profile\n"
        "    with profile() as run:\n"
        f"        app.{work}()\n"
        "    with open('counts.txt', 'w') as file:\n"
        "        file.write(f'{growth.at(10_000)} {run.trace.statements}')\n",
    )
    result.assert_outcomes(passed=1)
    foretold, sent = map(int, (project.path / "counts.txt").read_text().split())
    assert sent > 20
    assert math.isclose(foretold, sent, rel_tol=0.02), (foretold, sent)


def test_coroutine_functions_are_awaited(project):
    """An asynchronous run is measured like another one."""
    result = outcome(
        project,
        "import asyncio\n"
        "    async def work():\n"
        "        await query_growth(app.asynchronously, make=app.add)\n"
        "    asyncio.run(work())",
    )
    assert "3, 5, 9 statements" in "\n".join(said(result))


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("query_growth(app.lazily, make=app.add, sizes=(4,))", "sizes must be two or more"),
        ("query_growth(app.lazily, make=app.add, sizes=(8, 4))", "ascending"),
        ("query_growth(app.lazily, make=app.add, sizes=(2.0, 4))", "whole numbers"),
        ("query_growth(app.lazily, make=app.add, sizes=(8, 9, 10))", "too close together"),
        ("query_growth(app.lazily, make=app.add, law='n2')", "there is no law 'n2'"),
        ("query_growth(lambda: None, make=app.add)", "no run sent any statement"),
        ("query_growth(lambda: app.asynchronously(), make=app.add)", "nobody awaits"),
    ],
)
def test_wrong_use_is_an_error(project, body, words):
    """A usage error says what is wrong, and the test does not pass."""
    result = outcome(project, body)
    result.assert_outcomes(failed=1)
    (error,) = [line for line in result.outlines if line.startswith("E ")]
    assert error.startswith("E       pytest.UsageError: query_growth: ")
    assert words in error


def test_error_of_the_run_passes_through(project):
    """What the work raises is what the test fails with."""
    result = outcome(project, "query_growth(lambda: 1 / 0, make=app.add)")
    assert "ZeroDivisionError" in "\n".join(result.outlines)
