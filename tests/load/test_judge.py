"""The judge of the load run sees what is mixed, lost or strange, and lets pass what is right."""

from __future__ import annotations

import pytest

from benchmarks.load.judge import judge
from queryscope.detectors.registry import Judged
from queryscope.store.file import Store
from tests.builders import a_query, a_session, a_trace

VARIANTS = [("/items/1", {}), ("/items/2?n=1", {})]
SETTINGS = a_query("SELECT key FROM setting", parameters=(), session=0)


def marked(number):
    """Return a request's mark."""
    return f"{number:032x}"


def items(number, item, *more, **facts):
    """Return the Trace of the request ``number``, which asked for an item."""
    chosen = {
        "sessions": [a_session()],
        "w3c_trace_id": marked(number),
        "attributes": {"path": f"/items/{item}", "status": "200"},
        **facts,
    }
    return a_trace(
        *more, a_query(parameters=(item,), session=0), id=f"t{number}", name="GET /items/", **chosen
    )


def asked(number, item):
    """Return the request that ``items`` is the Trace of."""
    return item - 1, marked(number), f"t{number}", "200"


ALONE = [items(1, 1, SETTINGS), items(2, 2), items(3, 1), items(4, 2)]
ROUNDS = [[asked(1, 1), asked(2, 2)], [asked(3, 1), asked(4, 2)]]
LOADED = [asked(5, 1), asked(6, 2)]


@pytest.fixture
def judged(tmp_path):
    """Return a function that judges two requests under load with these Traces in the store."""

    def judged(*loaded, requests=LOADED, dropped=0):
        path = tmp_path / "traces.db"
        store = Store(path, max_age_days=100_000)
        store.add([Judged(trace, ()) for trace in (*ALONE, *loaded)])
        store.close()
        return judge(path, VARIANTS, ROUNDS, requests, dropped)

    return judged


def test_right_traces_pass(judged):
    """Nothing is mixed or lost where each Trace is its request's."""
    found = judged(items(5, 1), items(6, 2))
    assert (found.recorded, found.stored, found.mixed, found.lost) == (6, 6, 0, 0), found
    assert (found.strange, found.refills) == (0, 0)


def test_refilled_cache_is_no_mixture(judged):
    """A process may read its settings again, as the first request did."""
    found = judged(items(5, 1), items(6, 2, SETTINGS))
    assert (found.mixed, found.refills) == (0, 1), found


@pytest.mark.parametrize(
    "wrong",
    [
        items(5, 1, w3c_trace_id=marked(6)),
        items(5, 2, attributes={"path": "/items/1", "status": "200"}),
        items(5, 1, attributes={"path": "/items/2", "status": "200"}),
        items(5, 1, attributes={"path": "/items/1", "status": "500"}),
        items(5, 1, a_query(parameters=(2,), session=0)),
        items(5, 1, SETTINGS, SETTINGS),
        items(5, 1, sessions=[a_session(), a_session(1)]),
        items(5, 1, orphans=1),
        items(5, 1, dropped={"queries": 1}),
        items(5, 1, children=(items(7, 1),)),
        a_trace(id="t5", w3c_trace_id=marked(5), attributes={"path": "/items/1", "status": "200"}),
    ],
    ids=[
        "mark", "parameters", "path", "status", "more statements", "settings twice", "sessions",
        "orphans", "dropped", "nested", "no statements",
    ],
)  # fmt: skip
def test_foreign_facts_are_mixed(judged, wrong):
    """What a request alone does not do is told, once for its Trace."""
    found = judged(wrong, items(6, 2))
    assert (found.mixed, len(found.problems)) == (1, 1), found
    assert found.problems[0].startswith("/items/1")


def test_one_id_for_two_answers_is_mixed(judged):
    """Each answer must name a Trace of its own."""
    found = judged(items(5, 1), requests=[asked(5, 1), asked(5, 1)])
    assert found.mixed == 1
    assert "answered with id" in found.problems[0]


def test_missing_trace_is_lost_unless_counted(judged):
    """What is neither stored nor counted as dropped is lost."""
    assert judged(items(5, 1)).lost == 1
    assert judged(items(5, 1), dropped=1).lost == 0


def test_unknown_trace_is_strange(judged):
    """A Trace that no answer named is told."""
    assert judged(items(5, 1), items(6, 2), items(9, 1)).strange == 1
