"""Workers of every pool, on both ORMs: each execution of a task is a Trace of its own."""

from __future__ import annotations

import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from queryscope.cli.main import main
from tests import services
from tests.celery.workers import BOOKS, KILLING, SPREAD, play

LAUNCHED = ("bookshop", "solo")
"""This worker is started by ``queryscope run``; nothing in its code names us."""
WORKERS = (
    ("bookshop", "prefork"),
    ("bookshop", "threads"),
    ("bookshop", "gevent"),
    ("bookstore", "prefork"),
    ("bookstore", "threads"),
    ("bookstore", "gevent"),
    LAUNCHED,
)
AT_A_TIME = 4
"""Most of a worker's life it waits, for its time limits and for its end."""


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """What each worker did, and the folder that it left; all are started once."""
    redis = services.redis_url()
    folders = {worker: tmp_path_factory.mktemp("-".join(worker)) for worker in WORKERS}

    def played(worker):
        project, pool = worker
        folder = folders[worker]
        launcher = ()
        if worker == LAUNCHED:
            launcher = (sys.executable, "-m", "queryscope", "run", "--")
        return folder, play(folder, redis, project, pool, launcher=launcher)

    with ThreadPoolExecutor(AT_A_TIME) as runners:
        # The slow ones first.
        order = sorted(WORKERS, key=lambda worker: worker[1] not in {"gevent", "prefork"})
        return dict(zip(order, runners.map(played, order), strict=True))


@pytest.fixture(params=WORKERS, ids="-".join)
def worker(request):
    """A project and a pool."""
    return request.param


@pytest.fixture
def folder(outcomes, worker):
    """The folder with a worker's store."""
    return outcomes[worker][0]


@pytest.fixture
def played(outcomes, worker):
    """What a worker did."""
    return outcomes[worker][1]


def only(played, name):
    """Return the Trace of what was executed once."""
    (trace,) = played.traces[played.results[name]]
    return trace


def test_tasks_answer_as_without_us(played, worker):
    """Values, errors, retries, chains, chords and time limits come out as Celery has them."""
    answers = dict(played.answers)
    assert type(answers.pop("fails")) is ValueError
    if worker[1] == "prefork":
        assert answers.pop("limited") == "limited"
        assert "WorkerLostError" in repr(answers.pop("killed"))
    if worker[1] in KILLING:
        assert "TimeLimitExceeded" in repr(answers.pop("hangs"))
        assert "terminated" in repr(answers.pop("terminated"))
    assert answers == {
        "loop": [f"author {number}" for number in range(1, BOOKS + 1)],
        "retries": "done",
        "nests": 2,
        "spread": list(SPREAD),
        "chain": 2,
        "chord": 3,
        "last": 4,
    }


def test_every_execution_is_a_trace_with_its_own_statements(played):
    """Tasks that run side by side keep apart, and the last before the worker's end is stored."""
    for times, uid in zip(SPREAD, played.results["spread"], strict=True):
        (trace,) = played.traces[uid]
        assert (trace.kind, trace.name) == ("task", "count")
        assert trace.attributes["status"] == "SUCCESS"
        assert trace.attributes["queue"] == "celery"
        assert len(trace.queries) == times
    assert len(only(played, "last").queries) == 4
    assert Counter(item.name for item in played.listed) - Counter(hangs=3, limited=1) == Counter(
        loop=1, fails=1, retries=2, ignored=1, nests=1, total=1, count=len(SPREAD) + 5
    )


def test_nothing_of_ours_failed_or_came_late(played):
    """No hook failed, no statement came after its task, and Celery has logged no error of ours."""
    for stored in played.judged.values():
        assert stored.trace.failures == ()
        assert stored.trace.orphans == 0
        killed = stored.trace.attributes["task_id"] == played.results.get("killed")
        assert stored.trace.dropped == ({"killed": 1} if killed else {})
    assert "queryscope" not in played.log
    assert "Signal handler" not in played.log


def test_state_and_error_are_celerys(played):
    """A failure has its error; a retry and what a task ignores are no errors."""
    failed = only(played, "fails")
    assert failed.attributes["status"] == "FAILURE"
    assert failed.error == "ValueError: as it should"
    first, second = played.traces[played.results["retries"]]
    assert (first.attributes["status"], first.error) == ("RETRY", None)
    assert (second.attributes["status"], second.error) == ("SUCCESS", None)
    assert "retries" not in first.attributes
    assert second.attributes["retries"] == "1"
    ignored = only(played, "ignored")
    assert (ignored.attributes["status"], ignored.error) == ("IGNORED", None)


def test_chained_task_names_its_parent(played):
    """The ids of Celery lead from one Trace to the other."""
    parent, child = only(played, "parent"), only(played, "chain")
    assert child.attributes["parent_id"] == parent.attributes["task_id"]
    assert child.attributes["root_id"] == parent.attributes["task_id"]


def test_task_applied_in_a_task_hangs_under_it(played):
    """``apply()`` runs at once: its Trace is part of the other one, and in no list."""
    outer = only(played, "nests")
    (inner,) = outer.children
    assert (inner.kind, inner.name, inner.attributes["status"]) == ("task", "count", "SUCCESS")
    assert (len(outer.queries), len(inner.queries)) == (1, 2)


def test_statement_comes_from_the_task_and_nothing_further_out(played, worker):
    """The chain of lines begins in the task's module and ends with the task."""
    module = "bookstore.tasks" if worker[0] == "bookstore" else "bookshop"
    for stored in played.judged.values():
        for query in stored.trace.queries:
            steps = query.origin.steps
            assert steps
            assert {step.module for step in steps} == {module}
            assert steps[-1].function == stored.trace.name


def test_loop_in_a_task_is_found(played):
    """A finding of a task is that of a request: one query for each book, and its line."""
    findings = played.judged[only(played, "loop").id].findings
    # A busy machine makes idle connections, which are another finding.
    (finding,) = [finding for finding in findings if finding.code == "QS101"]
    assert finding.count == BOOKS
    assert finding.origin.frame.function.startswith("loop")


def test_sessions_end_with_their_task(played):
    """Celery gives Django's connections back before the Trace ends: none of them leaks."""
    for stored in played.judged.values():
        assert stored.trace.sessions or stored.trace.dropped  # its process was killed
        assert all(session.closed_ns is not None for session in stored.trace.sessions)
        assert "QS503" not in {finding.code for finding in stored.findings}


@pytest.mark.parametrize(
    "worker", [worker for worker in WORKERS if worker[1] == "prefork"], ids="-".join
)
def test_soft_time_limit_reaches_the_task(played):
    """It is raised into our frames as often as into others; the task handles it and goes on."""
    limited = only(played, "limited")
    assert limited.attributes["status"] == "SUCCESS"
    assert limited.error is None
    *many, last = limited.queries
    assert len(many) > 10
    assert "book" in last.statement


@pytest.mark.parametrize(
    "worker", [worker for worker in WORKERS if worker[1] == "gevent"], ids="-".join
)
def test_greenlet_that_celery_ends_leaves_its_trace(played):
    """What ends it is raised in the task; a process that is killed has no time for it."""
    for name, error in (("hangs", "gevent.timeout.Timeout"), ("terminated", "GreenletExit")):
        trace = only(played, name)
        assert trace.attributes["status"] == "FAILURE"
        assert error in trace.error
        assert len(trace.queries) == 1


@pytest.mark.parametrize(
    "worker", [worker for worker in WORKERS if worker[1] == "prefork"], ids="-".join
)
def test_task_whose_process_is_killed_is_a_trace_that_says_so(played):
    """Its own went with the process; the worker's main process knows that it ran, and no more."""
    killed = only(played, "killed")
    assert (killed.kind, killed.name, killed.queries) == ("task", "hangs", ())
    assert killed.attributes["status"] == "FAILURE"
    assert "WorkerLostError" in killed.error
    assert killed.process != only(played, "last").process
    assert killed.dropped == {"killed": 1}


@pytest.mark.parametrize(
    "worker", [worker for worker in WORKERS if worker[1] == "prefork"], ids="-".join
)
def test_task_that_celery_ends_leaves_its_own_trace(played):
    """SIGTERM comes before SIGKILL: what was recorded until then is written in between."""
    for name in ("hangs", "terminated"):
        trace = only(played, name)
        assert trace.attributes["status"] == "FAILURE"
        assert trace.error == "SystemExit"
        assert len(trace.queries) == 1
        assert trace.dropped == {}


def test_list_shows_tasks(folder, played, capsys):
    """``queryscope list --kind task`` on the worker's store has every one."""
    main(["--store", str(folder / "traces.db"), "list", "--kind", "task", "--limit", "100"])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) - 1 == len(played.listed)
    assert sum(" RETRY " in line for line in lines) == 1
    assert {item.kind for item in played.listed} == {"task"}
