"""A short form of the load run: real servers answer the same with and without queryscope."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

from benchmarks.load.page import wrong
from benchmarks.load.run import SMALLEST, UNBOUNDED, Cell, Load, counted, databases, measure, pair

SECONDS = 1.0
CELLS = (
    Cell("booking_sqlalchemy", "gunicorn gthread", "v2/detail"),
    Cell("booking_sqlalchemy", "gunicorn gevent", "detail"),
    Cell("booking_django", "gunicorn sync", "v2/discovery"),
    Cell("booking_django", "uvicorn", "v2/board"),
)


@pytest.fixture(scope="module")
def urls(tmp_path_factory):
    """The database of each application."""
    return databases(tmp_path_factory.mktemp("load"))


def need(cell):
    """Skip where what a cell is made of is not installed."""
    for name in {*cell.worker.split(), "flask", "rest_framework"} - {"gthread", "sync"}:
        if find_spec(name) is None:
            pytest.skip(f"{name} is not installed")


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.name)
def test_answers_are_equal_and_traces_right(urls, cell):
    """Under 20 clients nothing is answered differently, mixed, or lost without being counted."""
    need(cell)
    found = measure(cell, urls[cell.application], SECONDS)
    assert wrong(found) == "all well", found["texts"]
    assert found["requests"] >= 20
    assert found["stored"] + found["dropped"] == found["requests"] + found["alone"]


def test_full_queue_counts_what_it_drops(urls, tmp_path):
    """Where Traces come faster than they are written, stored and dropped ones are all there are."""
    cell = CELLS[0]
    need(cell)
    bare, recorded, store = pair(cell, tmp_path, urls[cell.application], queue_traces=3)
    with bare as one, recorded as other:
        asked = Load(one, other).ask([SMALLEST], clients=20, seconds=UNBOUNDED, requests=400)
        dropped = sum(process["dropped"] for process in other.counters().values())
    assert (asked["different"], asked["broken"]) == (0, 0), asked["texts"]
    found = counted(store, [asked], dropped)
    assert (found["recorded"], found["lost"], found["strange"]) == (400, 0, 0), found
    assert found["dropped"] > 0
    assert found["stored"] > 0
