"""Flask: blueprints, class-based and async views, streams, teardown, templates, and its errors."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import flask.templating
import pytest
from flask import got_request_exception, request_started

import queryscope
from queryscope.trace.events import TemplateNode
from tests.frameworks import flasks
from tests.frameworks.conftest import TEMPLATES, everything, newest, stands

FILE = Path(flasks.__file__)
PAGE = TEMPLATES / "jinja2" / "volumes.html"


class Site:
    """The application behind the middleware, asked as a server does."""

    def __init__(self, path, recording):
        self.app, self.close = flasks.make(path)
        settings = {
            "mode": "development", "recording": recording, "console": False, "store": False,
        }  # fmt: skip
        self.app.wsgi_app = queryscope.wsgi.Middleware(self.app.wsgi_app, settings)
        self.state = {"let go": threading.Event()}
        self.environ = {"tests.async_url": f"sqlite+aiosqlite:///{path}", "tests.state": self.state}

    def ask(self, path, **more):
        """Make one request to its end and return the answer."""
        with self.app.test_client().get(path, environ_overrides=self.environ, **more) as answer:
            answer.get_data()
        return answer

    def get(self, path, **more):
        """Make one request and return what was seen of it."""
        return newest(self.ask(path, **more))


@pytest.fixture
def site(recording, tmp_path):
    """The application, its connections given back at the end."""
    site = Site(tmp_path / "shelves.db", recording)
    yield site
    site.close()


def test_template_is_the_origin(site):
    """A relation that a template of Flask's asks for: its line, and the view's select to mend."""
    seen = site.get("/v1/volumes/page")
    (finding,) = seen.repeated
    assert (finding.code, finding.count) == ("QS101", flasks.VOLUMES)
    assert isinstance(finding.origin.first, TemplateNode)
    assert stands(finding.origin.first, PAGE, "volume.shelf.name")
    assert finding.mend.write == "joinedload(Volume.shelf)"
    assert stands(finding.mend.at, FILE, "# page select")
    assert seen.trace.name == "GET /v1/volumes/page"


def test_template_is_a_stage(site):
    """What a template asks is in the stage of its rendering; loaded rows ask for nothing."""
    for path, asked in (("page", flasks.VOLUMES), ("page/repaired", 0)):
        seen = site.get(f"/v1/volumes/{path}")
        stages = {stage.name: stage for stage in seen.trace.stages}
        assert stages["render volumes.html"].queries == asked
        assert stages["render volumes.html"].parent == stages["application"].number
    assert seen.repeated == []


def test_trace_is_named_by_the_blueprints_route(site):
    """Requests for two objects have one name; a view that aborts is no error."""
    seen = site.get("/v1/volumes/7")
    assert seen.trace.name == "GET /v1/volumes/<int:number>"
    assert stands(seen.queries[0].origin.first, FILE, "# look-up")
    assert seen.trace.attributes["endpoint"] == f"{FILE}::tests.frameworks.flasks::one"
    missing = site.get("/v1/volumes/99")
    assert (missing.answer.status_code, missing.trace.error) == (404, None)
    assert site.get("/nowhere").trace.name == "GET /nowhere"


def test_class_based_view_answers(site):
    """A method view is named by its class, and its method's line is the origin."""
    seen = site.get("/v1/volumes/shelves")
    assert seen.trace.attributes["endpoint"] == f"{FILE}::tests.frameworks.flasks::Shelves"
    assert stands(seen.queries[0].origin.first, FILE, "# method")


def test_stream_is_found_at_its_line(site):
    """A stream with the request's context is the request's, its session closed in its teardown."""
    seen = site.get("/v1/volumes/stream")
    (finding,) = seen.repeated
    assert (finding.code, finding.count) == ("QS101", flasks.VOLUMES)
    assert stands(finding.origin.first, FILE, "# streamed loop")
    assert stands(finding.mend.at, FILE, "# streamed select")
    assert seen.trace.stages[seen.queries[-1].stage].name == "response iteration"
    (session,) = seen.trace.sessions
    assert stands(session.opener.first, FILE, "# the session")
    assert session.closed_ns is not None


def test_stream_that_breaks_has_its_error(site):
    """The server sees the error of a stream, and so does the Trace."""
    with pytest.raises(RuntimeError, match="the stream is broken"):
        site.ask("/v1/volumes/stream/broken")
    seen = newest()
    assert seen.trace.error == "RuntimeError: the stream is broken"
    assert seen.trace.statements == 1


def test_what_is_asked_around_the_view_has_its_lines(site):
    """Before the request and in its teardown: each at its line, in the one Trace."""
    seen = site.get("/v1/volumes/7", headers={"x-count": "1"})
    before, look_up, teardown = seen.queries
    assert stands(before.origin.first, FILE, "# before the request")
    assert stands(look_up.origin.first, FILE, "# look-up")
    assert stands(teardown.origin.first, FILE, "# teardown")


def test_async_view_is_the_requests(site):
    """A coroutine runs in a loop of its own, in another thread: its loop is found at its line."""
    seen = site.get("/v1/volumes/async")
    assert len(seen.answer.get_json()) == flasks.VOLUMES
    assert seen.trace.statements == flasks.VOLUMES + 1
    (finding,) = seen.repeated
    assert (finding.code, finding.count) == ("QS102", flasks.VOLUMES)
    assert stands(finding.origin.first, FILE, "# async loop")


def test_thread_of_a_view_is_its_requests(site):
    """What a joined thread asks has the thread's line."""
    seen = site.get("/v1/volumes/thread")
    assert stands(seen.queries[0].origin.first, FILE, "# in a thread")


def test_thread_that_outlives_its_request_is_counted(site, monkeypatch):
    """What it asks after the end is in no Trace: the ended Recorder counts it."""
    ended = []
    original = queryscope.requests.end

    def end(runtime, recorder, *rest):
        ended.append(recorder)
        original(runtime, recorder, *rest)

    monkeypatch.setattr(queryscope.requests, "end", end)
    site.ask("/v1/volumes/outliving")
    site.state["let go"].set()
    site.state["thread"].join(30)
    assert not site.state["thread"].is_alive()
    (recorder,) = set(ended)
    assert recorder.orphans + recorder.late.orphans >= 1
    assert newest().trace.statements == 0


def test_error_that_flask_answers_is_noted(site):
    """Flask makes a response of an error: the Trace has the status and the error."""
    seen = site.get("/v1/volumes/broken")
    assert (seen.answer.status_code, seen.trace.attributes["status"]) == (500, "500")
    assert seen.trace.error == "RuntimeError: the view is broken"
    assert seen.trace.statements == 1
    assert seen.trace.name == "GET /v1/volumes/broken"


def test_error_that_the_server_gets_is_noted(site):
    """In testing and debug Flask lets the error through."""
    site.app.testing = True
    with pytest.raises(RuntimeError):
        site.ask("/v1/volumes/broken")
    assert newest().trace.error == "RuntimeError: the view is broken"


def test_error_that_the_application_answers_is_none(site):
    """What an error handler of the user's answers is an answer."""
    seen = site.get("/v1/volumes/teapot")
    assert (seen.answer.status_code, seen.trace.error) == (418, None)


def test_concurrent_requests_do_not_mix(site):
    """Requests side by side in threads: each Trace has its own statements and session."""
    numbers = list(range(1, 13))
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda number: site.ask(f"/v1/volumes/numbered/{number}"), numbers))
    traces = [item.trace for item in everything()]
    assert len(traces) == len(numbers)
    for trace in traces:
        assert trace.statements == int(trace.attributes["path"].rpartition("/")[2])
        assert len({query.parameters_key for query in trace.queries}) == 1
        assert len(trace.sessions) == 1


def test_uninstall_takes_everything_out(tmp_path):
    """Flask's signals and its rendering are as they were."""
    render = flask.templating._render
    receivers = [len(signal.receivers) for signal in (request_started, got_request_exception)]
    site = Site(tmp_path / "shelves.db", "light")
    assert flask.templating._render is not render
    queryscope.uninstall()
    assert flask.templating._render is render
    assert [
        len(signal.receivers) for signal in (request_started, got_request_exception)
    ] == receivers
    assert site.ask("/v1/volumes/7").status_code == 200
    site.close()
