"""SQLAlchemy: statements whose plan has to show what is wrong with them (QS312, QS401 to QS404)."""

from __future__ import annotations

from sqlalchemy import func, or_, select, text

from benchmarks.detection.scenario import dirty, innocent, repaired
from benchmarks.detection.sqlalchemy_shelf import data
from benchmarks.detection.sqlalchemy_shelf.data import Session
from benchmarks.detection.sqlalchemy_shelf.models import Book, Reading

# -- QS401: scans ------------------------------------------------------------------------------


@dirty("QS401", table="reading")
def filter_on_a_column_without_index():
    with Session() as session:
        return session.scalars(select(Reading.value).where(Reading.taken == 4_711)).all()  # mend


@repaired(filter_on_a_column_without_index)
def filter_on_the_key():
    with Session() as session:
        first = session.scalar(select(func.min(Reading.id)))
        return session.scalars(select(Reading.value).where(Reading.id == first + 4_711)).all()


@innocent("QS401")
def filter_on_an_indexed_column():
    with Session() as session:
        return session.scalars(select(Reading.value).where(Reading.sensor == 7)).first()


@innocent("QS401")
def scan_of_a_tiny_table():
    with Session() as session:
        return session.scalars(select(Book.title).where(Book.price == 12)).all()


@innocent("QS401", also=("QS304",))
def most_of_a_table():
    with Session() as session:
        return len(session.scalars(select(Reading.value).where(Reading.value >= 3)).all())


# -- QS402, QS312: what keeps an index from being used -----------------------------------------


@dirty("QS402", table="reading")
def index_hidden_by_a_function():
    with Session() as session:
        found = session.scalars(select(Reading.value).where(func.abs(Reading.sensor) == 7))  # mend
        return sorted(found)


@repaired(index_hidden_by_a_function)
def index_used():
    with Session() as session:
        return sorted(session.scalars(select(Reading.value).where(Reading.sensor == 7)))


@innocent("QS402")
def function_beside_an_index():
    wanted = select(Reading.value).where(func.abs(Reading.value) == 7, Reading.sensor == 7)
    with Session() as session:
        return sorted(session.scalars(wanted))


@innocent("QS402")
def function_on_a_tiny_table():
    with Session() as session:
        return session.scalars(select(Book.title).where(func.upper(Book.isbn) == "ISBN-1")).all()


@dirty("QS312", table="reading")
def or_of_two_columns():
    either = or_(Reading.sensor == 7, Reading.taken == 8)
    with Session() as session:
        return sorted(session.scalars(select(Reading.id).where(either)))  # mend


@repaired(or_of_two_columns)
def union_of_two_selects():
    one = select(Reading.id).where(Reading.sensor == 7)
    two = select(Reading.id).where(Reading.taken == 8)
    with Session() as session:
        return sorted(session.scalars(one.union(two)))


# -- QS404: slow -------------------------------------------------------------------------------

_SLOW = {
    "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 6000000) "
    "SELECT count(*) > 0 FROM n",
    "postgresql": "SELECT pg_sleep(0.8) IS NOT NULL",
    "mysql": "SELECT SLEEP(0.8) = 0",
}


@dirty("QS404")
def slow_statement():
    with Session() as session:
        return bool(session.scalar(text(_SLOW[data.engine.dialect.name])))  # mend


@repaired(slow_statement)
def quick_statement():
    with Session() as session:
        return bool(session.scalar(text("SELECT 1")))


@innocent("QS404")
def count_of_a_table():
    with Session() as session:
        return session.scalar(select(func.count(Reading.id)))


@innocent("QS404")
def lookup_by_key():
    with Session() as session:
        return session.get(Book, 1).title
