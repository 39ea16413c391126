"""Tasks that run where they are called: Traces within the Trace of their caller."""

from __future__ import annotations

import signal
import sys
import types

import celery.app.trace
import pytest
from celery import signals
from celery.contrib.testing.worker import start_worker
from celery.exceptions import Ignore, Reject, Retry, SoftTimeLimitExceeded
from sqlalchemy import func, select
from sqlalchemy.orm import Session

import queryscope
import queryscope.celery as adapter
from queryscope import adapters, requests, runtime, wsgi
from queryscope.errors import InstallError, SettingsError
from queryscope.trace import guard
from queryscope.trace.recorder import Recorder
from queryscope.trace.scope import ACTIVE
from tests.faults.serving import environ_of
from tests.sqlalchemy.shop import Author


@pytest.fixture
def ask(app, engine, installed):
    """A task that sends so many statements, and then raises what it is told to."""

    @app.task(name="ask", bind=True, shared=False)
    def ask(self, times=1, *, error=None):
        with Session(engine) as session:
            for number in range(times):
                session.scalar(select(func.count(Author.id)).where(Author.id > number))
        if error == "retry" and not self.request.retries:
            raise self.retry(countdown=0)
        if error == "retries":
            raise self.retry(args=["secret"], countdown=0, max_retries=0)
        if error is not None and error != "retry":
            raise ERRORS[error]
        return times

    return ask


ERRORS = {
    "error": ValueError("as it should"),
    "ignore": Ignore(),
    "reject": Reject("no"),
    "exit": SystemExit(3),
}


def traced(call):
    """Return what a call returned, and the Traces of the tasks that it ran."""
    with queryscope.profile("caller") as run:
        value = call()
    return value, run.trace.children


def test_eager_task_is_a_trace_in_its_callers(ask):
    """Its statements are its own; kind, name, state and id are told, its arguments are not."""
    result, (trace,) = traced(lambda: ask.delay(2))
    assert result.get() == 2
    assert (trace.kind, trace.name, len(trace.queries)) == ("task", "ask", 2)
    assert dict(trace.attributes) == {"task_id": result.id, "status": "SUCCESS"}
    assert trace.error is None


def test_budget_of_the_caller_counts_its_tasks(ask, query_budget):
    """A budget is about the whole subtree."""
    with query_budget(queries=3):
        ask.delay(1)
        ask.apply([2])
    with pytest.raises(pytest.fail.Exception, match="3 queries"), query_budget(queries=2):
        ask.delay(3)


def test_tasks_of_a_worker_in_the_test_hang_under_it(app, ask):
    """Celery's own worker for tests is a thread of the test's: its tasks count in budgets."""
    app.conf.task_always_eager = False

    def call():
        with start_worker(app, perform_ping_check=False):
            return ask.delay(2).get(timeout=30)

    value, (trace,) = traced(call)
    assert value == len(trace.queries) == 2
    assert trace.attributes["queue"] == "celery"


def test_task_called_as_a_function_is_no_trace(ask):
    """``ask(1)`` is a call like any other: its statements are the caller's."""
    with queryscope.profile("caller") as run:
        assert ask(1) == 1
    assert run.trace.children == ()
    assert len(run.trace.queries) == 1


def test_eager_task_hangs_under_the_request(ask):
    """A view that sends a task away, in a project that runs tasks eagerly."""

    def application(environ, start_response):
        start_response("200 OK", [])
        ask.delay(2)
        return [b"done"]

    middleware = wsgi.Middleware(application, {"store": False}, debug=False)
    body = middleware(environ_of("/send"), lambda *_: None)
    assert b"".join(body) == b"done"
    body.close()
    found = runtime.get()
    assert found.flush()
    (judged,) = found.ring.newest()
    assert judged.trace.name == "GET /send"
    (task,) = judged.trace.children
    assert (task.name, len(task.queries)) == ("ask", 2)


def test_first_task_of_an_eager_caller_ends_no_script(ask):
    """Only a worker's task says that the process is no script."""
    ended = []
    requests.before_first.append(lambda: ended.append(1))
    try:
        ask.delay()
        assert ended == []
        tracer(ask)("an id", (1,), {}, {"id": "an id", "is_eager": False})
        assert ended == [1]
    finally:
        requests.before_first.clear()


def tracer(task):
    """Return what a worker runs a task by."""
    return celery.app.trace.build_tracer(task.name, task, app=task.app)


@pytest.mark.parametrize("propagates", [False, True])
def test_failed_task_has_its_error(ask, propagates):
    """Whether Celery keeps the error or raises it to the caller."""
    ask.app.conf.task_eager_propagates = propagates

    def call():
        if not propagates:
            return ask.delay(1, error="error").state
        with pytest.raises(ValueError, match="as it should"):
            ask.delay(1, error="error")
        return "FAILURE"

    state, (trace,) = traced(call)
    assert state == trace.attributes["status"] == "FAILURE"
    assert trace.error == "ValueError: as it should"


def test_retry_is_no_error(ask):
    """Each execution is a Trace, and the first of two says that it asked for another."""
    _, (first, second) = traced(lambda: ask.apply([1], {"error": "retry"}).get())
    assert (first.attributes["status"], first.error) == ("RETRY", None)
    assert (second.attributes["status"], second.error) == ("SUCCESS", None)
    assert second.attributes["retries"] == "1"


def test_retry_that_reaches_the_caller_is_no_error(ask):
    """Where errors propagate, Celery raises the retry itself and does not run it."""

    def call():
        with pytest.raises(Retry):
            ask.apply([1], {"error": "retry"}, throw=True)

    _, (trace,) = traced(call)
    assert (trace.attributes["status"], trace.error) == ("RETRY", None)


@pytest.mark.parametrize(("error", "state"), [("ignore", "IGNORED"), ("reject", "REJECTED")])
def test_what_a_task_tells_celery_is_no_error(ask, error, state):
    """An execution that is ignored or rejected has not failed."""
    _, (trace,) = traced(lambda: ask.delay(1, error=error))
    assert (trace.attributes["status"], trace.error) == (state, None)


def test_exit_in_a_task_passes(ask):
    """What is no ``Exception`` goes through Celery, and through us."""

    def call():
        with pytest.raises(SystemExit) as raised:
            ask.delay(1, error="exit")
        return raised.value.code

    code, (trace,) = traced(call)
    assert code == 3
    assert trace.error.startswith("SystemExit")


def test_error_of_too_many_retries_does_not_quote_arguments(ask):
    """Celery puts the task's arguments into its text; they are values, and stay at home."""
    result, (trace,) = traced(lambda: ask.delay(1, error="retries"))
    assert "secret" in str(result.result)
    assert trace.error == "celery.exceptions.MaxRetriesExceededError"


def test_worker_task_takes_trace_context_from_its_message(ask):
    """What an instrumented client put into the headers is read; nothing is added to messages."""
    trace_id = "0af7651916cd43dd8448eb211c80319c"
    header = f"00-{trace_id}-b7ad6b7169203331-01"
    for message in ({"traceparent": header}, {"headers": {"traceparent": header}}):
        request = {"id": "an id", "is_eager": False, "parent_id": "other", "root_id": "an id"}
        _, (trace,) = traced(
            lambda request=request, message=message: tracer(ask)(
                "an id", (1,), {}, {**request, **message}
            )
        )
        assert trace.w3c_trace_id == trace_id
        assert trace.attributes["parent_id"] == "other"
        assert "root_id" not in trace.attributes


def test_statement_ends_with_the_task(ask):
    """The chain of lines has the task's and none of its caller's: as in a worker."""
    _, (trace,) = traced(lambda: ask.delay(1))
    (query,) = trace.queries
    assert [step.function.rpartition(".")[2] for step in query.origin.steps] == ["ask"]


def test_canvas_runs_each_task_as_a_trace(ask):
    """Chains and groups, eagerly, too."""
    chained = ask.si(1) | ask.si(2)
    grouped = celery.group(ask.si(times) for times in (3, 4))
    _, traces = traced(lambda: (chained.delay(), grouped.delay()))
    assert sorted(len(trace.queries) for trace in traces) == [1, 2, 3, 4]


def test_nothing_is_recorded_when_it_is_off(app, engine, installed):
    """``enabled`` off: the task runs, and there is no Recorder."""
    adapter.install({"enabled": False})
    seen = []

    @app.task(shared=False)
    def look():
        seen.append(ACTIVE.get())

    look.delay()
    assert seen == [None]


def test_error_of_ours_does_not_reach_the_task(ask, monkeypatch):
    """It is counted; the task runs without a Trace, and with one that is not stored."""

    def broken(*_, **__):
        raise LookupError("ours")

    monkeypatch.setattr(runtime.Runtime, "recorder", broken)
    assert ask.delay(2).get() == 2
    monkeypatch.undo()
    monkeypatch.setattr(runtime.Runtime, "finished", broken)
    assert ask.delay(2).get() == 2
    assert ACTIVE.get() is None
    assert {failure.place for failure in guard.failures()} == {"celery.begin", "celery.end"}
    guard.clear()


@pytest.mark.skipif(not hasattr(signal, "raise_signal"), reason="no signals to raise here")
@pytest.mark.parametrize("place", ["open", "close"])
def test_soft_time_limit_in_our_frames_passes(ask, monkeypatch, place):
    """Celery raises it from a signal handler: it reaches who runs the task, and is not ours."""

    def limited(number, frame):
        raise SoftTimeLimitExceeded

    original = getattr(Recorder, place)

    def interrupted(self, *args):
        value = original(self, *args)
        signal.raise_signal(signal.SIGUSR1)
        return value

    before = signal.signal(signal.SIGUSR1, limited)
    monkeypatch.setattr(Recorder, place, interrupted)
    try:
        with pytest.raises(SoftTimeLimitExceeded):
            tracer(ask)("an id", (1,), {}, {"id": "an id"})
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert ACTIVE.get() is None
    assert guard.failures() == ()


def receivers():
    """Return how many receivers each of Celery's signals has."""
    return {
        name: len(value.receivers)
        for name, value in vars(signals).items()
        if type(value) is type(signals.task_prerun)
    }


def functions():
    """Return the functions of every module of Celery, by where they stand."""
    return {
        (name, key): value
        for name, module in list(sys.modules.items())
        if name.partition(".")[0] == "celery"
        for key, value in list(vars(module).items())
        if type(value) is types.FunctionType
    }


def is_ours(function):
    """Tell whether a function is written in queryscope, whatever name it goes by."""
    return function.__globals__["__name__"].startswith("queryscope")


def test_uninstall_restores_celery(app):
    """Functions, signals and the tracers of tasks that were there before are as they were."""
    import celery.worker.consumer.consumer  # noqa: F401 - it has a name of its own

    @app.task(shared=False)
    def early():
        return 1

    tracer_before = early.__trace__ = tracer(early)
    functions_before, receivers_before = functions(), receivers()
    adapter.install({"store": False})
    adapter.install()
    assert type(early.__trace__) is adapter.Recorded
    assert sum(map(is_ours, functions().values())) == 2
    _, (trace,) = traced(lambda: early.__trace__("an id", (), {}, {"id": "an id"}))
    assert trace.name.endswith("early")
    kept = early.__trace__
    adapters.uninstall()
    assert early.__trace__ is tracer_before
    # Celery may have imported more of itself by now.
    functions_after = functions()
    assert {key: functions_after[key] for key in functions_before} == functions_before
    assert not any(map(is_ours, functions_after.values()))
    assert receivers() == receivers_before
    # A worker that took the tracer while it was ours goes on with it.
    with queryscope.profile("caller") as run:
        assert kept("an id", (), {}, {"id": "an id"}).retval == 1
    queryscope.uninstall()
    assert run.trace.children == ()


def test_consumer_imported_while_installed_gets_celerys_function_back(installed, monkeypatch):
    """It takes ours under its own name then, and no patch of ours knows of it."""
    consumer = types.ModuleType("a consumer")
    consumer.build_tracer = celery.app.trace.build_tracer
    monkeypatch.setitem(sys.modules, "celery.worker.consumer.consumer", consumer)
    queryscope.uninstall()
    assert consumer.build_tracer is celery.app.trace.build_tracer
    assert consumer.build_tracer.__module__ == "celery.app.trace"
    assert not hasattr(consumer.build_tracer, "__wrapped__")


def test_install_needs_celery(monkeypatch):
    """Without Celery it says so, and does nothing."""
    monkeypatch.setattr(adapter, "find_spec", lambda _: None)
    with pytest.raises(InstallError, match="needs Celery"):
        adapter.install()


def test_setting_that_does_not_exist_is_named(installed):
    """Its place is in the text."""
    with pytest.raises(SettingsError, match=r"queryscope\.celery\.install: .*'stor'.*store"):
        adapter.install({"stor": True})
