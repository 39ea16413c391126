"""The Django middleware: one Trace a request, headers, viewer, console, and no harm."""

from __future__ import annotations

from io import StringIO

import pytest
from django.core.management import call_command
from django.test import Client, RequestFactory

from queryscope import runtime
from queryscope.django import Middleware, hooks
from queryscope.errors import SettingsError
from queryscope.trace import guard
from tests.django.recorded import here

ROUTE = "queryscope.django.Middleware"


@pytest.fixture
def app(settings, books, tmp_path, monkeypatch):
    """A client of the test project with the middleware, in development."""
    monkeypatch.chdir(tmp_path)
    settings.MIDDLEWARE = [ROUTE]
    settings.QUERYSCOPE = {"mode": "development", "console": False}
    guard.clear()
    yield Client(raise_request_exception=False)
    hooks.uninstall()
    runtime.reset()


def traces():
    """Return the Traces recorded so far, the oldest first."""
    found = runtime.get()
    assert found.flush()
    return [judged.trace for judged in reversed(found.ring.newest(50))]


def test_request_is_a_trace_with_route_status_and_statements(app):
    """A request's Trace has method, route, status, its statements and the view as a stage."""
    app.get("/books/")
    (trace,) = traces()
    assert (trace.kind, trace.name) == ("request", "GET /books/")
    assert trace.attributes["status"] == "200"
    assert trace.statements == 7
    assert [(stage.name, stage.parent) for stage in trace.stages] == [
        ("middleware", -1),
        ("view", 0),
    ]
    assert [stage.queries for stage in trace.stages] == [0, 7]


def test_route_has_its_pattern_not_its_values(app):
    """Requests for two objects have one name."""
    app.get("/books/1/")
    assert traces()[0].name == "GET /books/<int:pk>/"


def test_loop_in_view_is_found_at_its_line(app):
    """The finding names where the query ran and which line to mend, with the text to write."""
    app.get("/books/")
    found = runtime.get()
    found.flush()
    (judged,) = found.ring.newest(50)
    (finding,) = judged.findings
    assert (finding.code, finding.count) == ("QS101", 6)
    assert here(finding.origin, "# the loop")
    assert finding.mend.write == '.select_related("publisher")'


def test_loop_in_template_is_found_at_its_node(app):
    """A loop that only a template makes is found, at the tag."""
    app.get("/page/")
    found = runtime.get()
    found.flush()
    (judged,) = found.ring.newest(50)
    assert [finding.code for finding in judged.findings] == ["QS101"]
    assert judged.findings[0].origin.first.source == "book.publisher.name"


def test_headers_name_the_trace_and_where_the_time_went(app):
    """Responses carry Server-Timing and the id of their Trace."""
    response = app.get("/books/")
    (trace,) = traces()
    assert response.headers["X-Queryscope-Trace"] == trace.id
    assert '7 statements"' in response.headers["Server-Timing"]


def test_production_sends_no_headers_and_shows_no_viewer(app, settings):
    """Without development nothing of us is to be seen from outside."""
    settings.QUERYSCOPE = {"mode": "production"}
    client = Client()
    assert "X-Queryscope-Trace" not in client.get("/books/").headers
    assert client.get("/__queryscope__/").status_code == 404
    assert traces()[-1].recording == "light"


def test_view_that_raises_is_one_trace_with_its_error(app):
    """A view's exception is noted, answered by Django as ever, and its query is counted."""
    assert app.get("/broken/").status_code == 500
    (trace,) = traces()
    assert (trace.error, trace.statements) == ("RuntimeError: the view is broken", 1)
    assert trace.attributes["status"] == "500"


def test_stream_belongs_to_its_request(app):
    """Statements of a streamed response are its request's, and the Trace ends with the stream."""
    response = app.get("/stream/")
    assert traces() == []
    body = b"".join(response.streaming_content)
    response.close()
    (trace,) = traces()
    assert len(body.splitlines()) == 6
    assert trace.statements == 7
    assert trace.stages[-1].name == "response iteration"
    assert trace.stages[-1].queries == 7


def test_stream_that_is_broken_off_ends_its_trace(app):
    """A client that goes away closes the response: the Trace has what was sent."""
    response = app.get("/stream/")
    next(iter(response.streaming_content))
    response.close()
    (trace,) = traces()
    assert trace.statements == 2


def test_viewer_lists_and_shows_traces_to_loopback_only(app):
    """The list and the report answer local clients; others and proxied ones get 403."""
    trace_id = app.get("/books/").headers["X-Queryscope-Trace"]
    listing = app.get("/__queryscope__/")
    assert listing.status_code == 200
    assert listing.headers["Cache-Control"] == "no-store"
    assert trace_id in listing.content.decode()
    report = app.get(f"/__queryscope__/{trace_id}")
    assert report.status_code == 200
    assert "QS101" in report.content.decode()
    assert app.get("/__queryscope__/nothing").status_code == 404
    for environ in (
        {"REMOTE_ADDR": "192.0.2.1"},
        {"HTTP_X_FORWARDED_FOR": "192.0.2.1"},
        {"HTTP_HOST": "evil.example"},
    ):
        assert app.get("/__queryscope__/", **environ).status_code == 403
    assert len(traces()) == 1


def test_plan_is_asked_for_by_a_link_in_development(app, settings):
    """Over a connection of its own; in production the viewer has no such link and no such page."""
    settings.QUERYSCOPE = {"mode": "development", "console": False, "viewer": True}
    client = Client()
    trace_id = client.get("/books/").headers["X-Queryscope-Trace"]
    report = client.get(f"/__queryscope__/{trace_id}").content.decode()
    href = f"/__queryscope__/{trace_id}/plan/{trace_id}/0"
    assert f'href="{href}"' in report
    page = client.get(href)
    assert page.status_code == 200
    assert page.headers["Cache-Control"] == "no-store"
    assert "Plan of statement 0" in page.content.decode()
    assert client.get(href, REMOTE_ADDR="192.0.2.1").status_code == 403
    for wrong in ("999", "x", ""):
        assert client.get(f"{href[:-1]}{wrong}").status_code == 404
    settings.QUERYSCOPE = {"mode": "production", "viewer": True}
    served = Client()
    assert "/plan/" not in served.get(f"/__queryscope__/{trace_id}").content.decode()
    assert served.get(href).status_code == 404


def test_console_line_is_printed_for_each_request(app, settings, capfd):
    """In development each request prints one line with figures and the report's address."""
    settings.QUERYSCOPE = {"mode": "development"}
    Client().get("/books/")
    (trace,) = traces()[-1:]
    line = capfd.readouterr().err.strip()
    assert line.startswith("GET /books/  7 queries  ")
    assert "1 finding" in line
    assert line.endswith(f"http://testserver/__queryscope__/{trace.id}")


def test_unknown_setting_is_an_error_at_start(settings):
    """A misspelt setting is named, with the nearest right one."""
    settings.QUERYSCOPE = {"ring_trace": 3}
    with pytest.raises(SettingsError, match=r"settings\.QUERYSCOPE.*'ring_trace'.*'ring_traces'"):
        Middleware(lambda request: None)
    settings.QUERYSCOPE = ["ring_traces"]
    with pytest.raises(SettingsError, match="must be a dict"):
        Middleware(lambda request: None)


def test_disabled_records_nothing(settings, books):
    """``enabled: False`` leaves Django as it was."""
    settings.QUERYSCOPE = {"enabled": False}
    settings.MIDDLEWARE = [ROUTE]
    try:
        response = Client().get("/books/")
        assert "X-Queryscope-Trace" not in response.headers
        assert traces() == []
    finally:
        runtime.reset()


def test_ignored_path_is_not_recorded(settings, books):
    """Paths that the user does not want are left alone."""
    settings.QUERYSCOPE = {"ignore_paths": ["/plain"]}
    settings.MIDDLEWARE = [ROUTE]
    try:
        client = Client()
        client.get("/plain/")
        client.get("/books/")
        assert [trace.name for trace in traces()] == ["GET /books/"]
    finally:
        hooks.uninstall()
        runtime.reset()


def test_response_that_nobody_closes_does_not_hide_from_the_block(app):
    """A request made by hand, its response never closed, still counts in the block around it."""
    import queryscope
    from tests.django import views

    middleware = Middleware(views.book_list)
    with queryscope.profile("by hand") as run:
        middleware(RequestFactory().get("/books/"))
    assert sum(trace.statements for trace in run.trace.subtree()) == 7
    assert [finding.code for finding in run.findings] == ["QS101"]


def test_store_that_cannot_be_written_harms_nobody(app, tmp_path, settings):
    """A store path that is no file: the application answers, the failure is counted."""
    (tmp_path / "folder.db").mkdir()
    settings.QUERYSCOPE = {
        "mode": "development",
        "console": False,
        "store_path": str(tmp_path / "folder.db"),
    }
    assert Client().get("/books/").status_code == 200
    assert len(traces()) == 1
    assert "folder.db" in runtime.get().store_error
    assert any(failure.place == "store" for failure in guard.failures())


def test_management_command_is_a_trace(books, settings, tmp_path, monkeypatch):
    """With the application installed a management command is recorded as a script."""
    from django.apps import apps

    from queryscope.django.apps import QueryscopeConfig

    monkeypatch.chdir(tmp_path)
    settings.QUERYSCOPE = {"mode": "development", "console": False, "store": False}
    assert not apps.is_installed("queryscope.django")
    import queryscope.django as module

    QueryscopeConfig("queryscope.django", module).ready()
    try:
        call_command("check", databases=["default"])
        call_command("dumpdata", "library.Genre", stdout=StringIO())
        names = [(trace.kind, trace.name) for trace in traces()]
        assert names == [("script", "manage.py check"), ("script", "manage.py dumpdata")]
        assert traces()[1].statements >= 1
    finally:
        hooks.uninstall()
        runtime.reset()
