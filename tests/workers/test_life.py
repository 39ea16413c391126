"""A worker's life: forks, reloads, recycling, shutdowns; no Trace is lost and none comes twice."""

from __future__ import annotations

import itertools
import os
import signal
import threading
import time
from collections import Counter

import pytest

from tests.serving import DJANGO, FLASK, served, until
from tests.workers.test_answers import end, stored

REQUESTS = 6


def pids_of(server, count, requests=REQUESTS):
    """Ask until so many processes have answered; return the Answers, and who gave them."""
    answers = []

    def enough():
        answers.append(server.get("/cases/pid"))
        return len({answer.body for answer in answers}) >= count

    until(enough, lambda: server.log)
    answers += [server.get("/cases/pid") for _ in range(requests)]
    return answers


def check_stored(server, answers, *others):
    """Check that the store has exactly these Traces, each with its statement, and the others."""
    traces = stored(server)
    requests = {key: one for key, one in traces.items() if one.trace.kind == "request"}
    assert sorted(requests) == sorted(answer.trace for answer in answers)
    for trace, _ in requests.values():
        assert trace.failures == ()
        assert trace.orphans == 0
        slow = trace.name.endswith("slow")
        assert trace.statements == (2 if slow else 1)
        # A session of SQLAlchemy for each statement, or Django's one connection.
        assert len(trace.sessions) == (2 if slow and server.application == FLASK else 1)
    assert sorted(one.trace.name for one in traces.values() if one.trace.kind != "request") == [
        *others
    ]
    assert "queryscope" not in server.log


@pytest.mark.parametrize(
    ("kind", "application"),
    [("sync", DJANGO), ("gthread", FLASK), ("gevent", FLASK), ("gunicorn uvicorn", DJANGO)],
)
def test_preloaded_workers_write_their_own_traces(kind, application, tmp_path, databases):
    """The master has a writer, an open store and a Trace of its own before it forks."""
    given = ("--preload", "--workers", "2")
    with served(
        kind, application, tmp_path, databases(application), arguments=given, SITE_PRELOADED="1"
    ) as server:
        answers = pids_of(server, 2)
        assert server.stop() == 0
        check_stored(server, answers, "preloaded")
        processes = {judged.trace.process for judged in stored(server).values()}
        assert len(processes) == 3


@pytest.mark.parametrize(
    ("kind", "application"), [("uvicorn", DJANGO), ("uvicorn", FLASK), ("hypercorn", DJANGO)]
)
def test_several_processes_write_to_one_store(kind, application, tmp_path, databases):
    """Two workers, ended right after the last answer."""
    with served(
        kind, application, tmp_path, databases(application), arguments=("--workers", "2")
    ) as server:
        answers = pids_of(server, 2)
        assert server.stop() in (0, -signal.SIGTERM)
        until(lambda: len(stored(server)) == len(answers), lambda: server.log)
        check_stored(server, answers)


@pytest.mark.parametrize(("kind", "application"), [("sync", FLASK), ("gthread", DJANGO)])
def test_hup_and_recycling_lose_nothing(kind, application, tmp_path, databases):
    """Workers that end after five requests each, and all of them at a HUP."""
    with served(
        kind, application, tmp_path, databases(application), arguments=("--max-requests", "5")
    ) as server:
        answers = [server.get("/cases/pid") for _ in range(2)]
        server.process.send_signal(signal.SIGHUP)
        until(lambda: "Handling signal: hup" in server.log, lambda: server.log)
        answers += pids_of(server, 3)
        assert server.stop() == 0
        answered = [answer for answer in answers if answer.bytes]
        assert len(answered) == len(answers), "gunicorn itself dropped a request"
        assert max(Counter(answer.body for answer in answers).values()) <= 5
        check_stored(server, answers)


PARTS = [
    ("runserver", DJANGO, ()),
    ("uvicorn", DJANGO, ("--reload", "--reload-dir", ".")),
    ("flask run", FLASK, ("--reload",)),
]
# These serve on daemon threads: the old process may send one more answer when all its `atexit` has
# run, and the interpreter ends such a thread wherever it is.
ANSWERS_WHILE_IT_EXITS = ("runserver", "flask run")


@pytest.mark.parametrize(("kind", "application", "arguments"), PARTS, ids=str)
def test_changed_file_reloads_and_loses_nothing(kind, application, arguments, tmp_path, databases):
    """Traces right before the change are there as are those after it."""
    part = tmp_path / "part.py"
    part.write_text("VALUE = 1\n")
    before = part.stat().st_mtime
    with served(
        kind, application, tmp_path, databases(application), arguments=arguments, SITE_PART="1"
    ) as server:
        answers = [server.get("/cases/part") for _ in range(3)]
        assert {answer.body for answer in answers} == {answers[0].body}
        assert answers[0].body.strip().endswith(b"1")
        part.write_text("VALUE = 22\n")
        later = itertools.count(10)

        def changed():
            # Again and again: what changes before a reloader has looked at all is nothing to it.
            moment = before + next(later)
            os.utime(part, (moment, moment))
            try:
                answer = server.get("/cases/part")
            except OSError:
                return False  # between the old process and the new one
            if not answer.trace:
                return False
            answers.append(answer)
            time.sleep(0.1)
            return answer.body.strip().endswith(b"22")

        until(changed, lambda: server.log)
        assert end(server) in (0, -signal.SIGINT, -signal.SIGTERM)
        last = [answer for answer in answers if answer.body.strip().endswith(b"1")][-1]
        if kind in ANSWERS_WHILE_IT_EXITS and last.trace not in stored(server):
            answers.remove(last)
        until(lambda: len(stored(server)) >= len(answers), lambda: server.log)
        check_stored(server, answers)


@pytest.mark.parametrize(
    ("kind", "application"),
    [("sync", DJANGO), ("gthread", FLASK), ("gevent", DJANGO), ("uvicorn", DJANGO),
     ("hypercorn", FLASK)],
)  # fmt: skip
def test_request_that_outlasts_the_signal_is_stored(kind, application, tmp_path, databases):
    """SIGTERM comes while a request is served: it is answered, and its Trace is whole."""
    with served(kind, application, tmp_path, databases(application)) as server:
        answers = []
        asking = threading.Thread(target=lambda: answers.append(server.get("/cases/slow")))
        asking.start()
        until((tmp_path / "slow-began").exists, lambda: server.log)
        code = server.stop()
        asking.join()
        assert code in (0, -signal.SIGTERM)
        assert answers[0].status == 200
        check_stored(server, answers)


@pytest.mark.parametrize("order", ["first", "early", "outside"])
def test_order_of_imports_does_not_matter(order, tmp_path, databases, references):
    """Installed before SQLAlchemy is imported, the middleware alone before it, or after all."""
    with served("sync", FLASK, tmp_path, databases(FLASK), SITE_ORDER=order) as server:
        answers = [server.get("/admin-board/") for _ in range(2)]
        assert server.stop() == 0
        trace = stored(server)[answers[1].trace].trace
        expected = references(FLASK)["/admin-board/"]
        assert sorted(query.statement for query in trace.queries) == expected["statements"]
        assert len(trace.sessions) == expected["sessions"]
        assert trace.failures == ()
