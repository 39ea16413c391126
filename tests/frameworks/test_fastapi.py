"""FastAPI: response models, dependencies, threads, streams, background tasks, routers, GraphQL."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from fastapi.exceptions import ResponseValidationError

import queryscope
from tests.asgi.caller import call
from tests.frameworks import shelves
from tests.frameworks.conftest import everything, newest, stands

FILE = Path(shelves.__file__)


class Api:
    """The application, asked within its lifespan in an event loop of its own."""

    def __init__(self, path, recording, *, inside):
        settings = {
            "mode": "development", "recording": recording, "console": False, "store": False,
        }  # fmt: skip
        middleware = queryscope.asgi.Middleware
        if inside:
            self.app = self.outer = shelves.make(path, middleware, settings)
        else:
            self.app = shelves.make(path)
            self.outer = middleware(self.app, settings)

    def run(self, main):
        """Run a coroutine function while the application's lifespan lasts."""

        async def within():
            async with self.app.router.lifespan_context(self.app):
                return await main()

        return asyncio.run(within())

    def get(self, path, **scope):
        """Make one request and return what was seen of it."""
        return newest(self.run(lambda: call(self.outer, path, **scope)))


@pytest.fixture(params=["around", "inside"])
def api(request, recording, tmp_path):
    """The application with the middleware around it, and as one of its own."""
    return Api(tmp_path / "shelves.db", recording, inside=request.param == "inside")


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_response_model_that_loads_is_found_at_the_path_operation(api, kind):
    """After the return only pydantic asks: the path operation is the origin, its select to mend."""
    seen = api.get(f"/v1/volumes/{kind}")
    assert json.loads(seen.answer.body)[3] == {"id": 4, "shelf": {"name": "s3"}}
    (finding,) = seen.repeated
    assert (finding.code, finding.count) == ("QS101", shelves.VOLUMES)
    assert stands(finding.origin.first, FILE, f"def {kind}_volumes(")
    assert finding.mend.write == "joinedload(Volume.shelf)"
    assert stands(finding.mend.at, FILE, f"# {kind} select")


def test_loaded_response_model_is_silent(api):
    """With its relation loaded, asynchronously, nothing is said."""
    seen = api.get("/v1/volumes/loaded")
    assert len(json.loads(seen.answer.body)) == shelves.VOLUMES
    assert seen.trace.statements == 2
    assert seen.repeated == []


def test_response_model_that_must_not_load_is_an_error(api):
    """What is refused when the response is made is answered as ever, and noted."""
    with pytest.raises(ResponseValidationError):
        api.get("/v1/volumes/unloaded")
    seen = newest()
    assert "ResponseValidationError" in seen.trace.error
    # Inside the application the middleware does not see what Starlette answers in its place.
    assert seen.trace.attributes.get("status") == ("500" if api.outer is not api.app else None)


def test_dependencies_belong_to_their_request(api):
    """A session from ``yield``, in a thread, is one session; what dependencies ask has lines."""
    seen = api.get("/v1/volumes/7/shelf")
    assert json.loads(seen.answer.body) == {"shelf": 7, "of": shelves.VOLUMES}
    assert seen.trace.name == "GET /v1/volumes/{volume_id}/shelf"
    count, look_up = seen.queries
    assert stands(count.origin.first, FILE, "# sub-dependency")
    assert stands(look_up.origin.first, FILE, "# look-up")
    (session,) = seen.trace.sessions
    assert stands(session.opener.first, FILE, "# sync dependency")
    assert session.closed_ns is not None
    assert seen.repeated == []


def test_background_task_is_found_at_its_line(api):
    """A loop after the response is the request's, and said to be after it."""
    seen = api.get("/v1/volumes/later")
    (finding,) = seen.repeated
    assert (finding.code, finding.count) == ("QS101", shelves.VOLUMES)
    assert stands(finding.origin.first, FILE, "# background loop")
    assert stands(finding.mend.at, FILE, "# in the background")
    assert seen.trace.stages[seen.queries[-1].stage].name == "after response"


def test_stream_is_found_at_its_line(api):
    """A loop in a streamed response, which Starlette turns in threads, is the request's."""
    seen = api.get("/v1/volumes/stream")
    assert seen.answer.body.startswith(b"s0s1s2")
    (finding,) = seen.repeated
    assert (finding.code, finding.count) == ("QS101", shelves.VOLUMES)
    assert stands(finding.origin.first, FILE, "# streamed loop")
    assert seen.trace.stages[seen.queries[-1].stage].name == "response iteration"


def test_threads_of_a_path_operation_are_its_requests(api):
    """The framework's pool and asyncio's: both ask for the request, at their line."""
    seen = api.get("/v1/volumes/pooled")
    assert seen.trace.statements == 2
    assert all(stands(query.origin.first, FILE, "# in the pool") for query in seen.queries)
    assert len(seen.trace.sessions) == 2


def test_middleware_of_the_users_is_in_the_trace(api):
    """What a middleware asks before the path operation has its line."""
    seen = api.get("/v1/volumes/pooled", headers=[(b"x-count", b"1")])
    assert stands(seen.queries[0].origin.first, FILE, "# in the middleware")
    assert seen.trace.statements == 3


def test_error_of_a_path_operation_is_noted(api):
    """What it raises is the Trace's error; what a handler or FastAPI answers is none."""
    with pytest.raises(RuntimeError):
        api.get("/v1/volumes/broken")
    seen = newest()
    assert seen.trace.error == "RuntimeError: the path operation is broken"
    assert (seen.trace.name, seen.trace.statements) == ("GET /v1/volumes/broken", 1)
    for path, status in (("refused", 409), ("99/shelf", 404), ("x/shelf", 422)):
        seen = api.get(f"/v1/volumes/{path}")
        assert (seen.answer.status, seen.trace.attributes["status"]) == (status, str(status))
        assert seen.trace.error is None


def test_task_that_outlives_its_request_is_counted(api):
    """What a task asks after its request has ended is an orphan: in no Trace, and counted."""

    async def main():
        api.app.state.let_go = asyncio.Event()
        await call(api.outer, "/v1/volumes/outliving")
        recorder = api.ended
        api.app.state.let_go.set()
        await api.app.state.task
        return recorder

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(queryscope.requests, "end", api_end(api))
        recorder = api.run(main)
    assert recorder.orphans + recorder.late.orphans >= 1
    assert newest().trace.statements == 0


def api_end(api):
    """Return what stands in for the end of a request, to know its Recorder."""
    original = queryscope.requests.end

    def end(runtime, recorder, *rest):
        api.ended = recorder
        original(runtime, recorder, *rest)

    return end


def test_lifespan_is_in_no_trace(api):
    """What an application asks at its start belongs to no request."""
    api.get("/v1/volumes/numbered/1")
    assert [item.trace.statements for item in everything()] == [1]


def test_concurrent_requests_do_not_mix(api):
    """Sync path operations side by side in the pool: each Trace has its own statements."""

    async def main():
        await asyncio.gather(
            *(call(api.outer, f"/v1/volumes/numbered/{number}") for number in range(1, 13))
        )

    api.run(main)
    traces = [item.trace for item in everything()]
    assert len(traces) == 12
    for trace in traces:
        assert trace.statements == int(trace.attributes["path"].rpartition("/")[2])
        assert len({query.parameters_key for query in trace.queries}) == 1
        assert len(trace.sessions) == 1


# -- GraphQL -----------------------------------------------------------------------------------


def graph(api, query):
    """Send a query and return what was seen; no field may have failed."""
    body = json.dumps({"query": query}).encode()
    seen = api.get(
        "/graphql", method="POST", body=body, headers=[(b"content-type", b"application/json")]
    )
    assert "errors" not in json.loads(seen.answer.body), seen.answer.body
    return seen


@pytest.mark.parametrize(
    ("fields", "text"), [("shelfName", "# resolver"), ("shelf { name }", None)]
)
def test_resolver_that_loads_is_found(api, fields, text):
    """A resolver has its line; what the library reads by itself is mended where rows are loaded."""
    (finding,) = graph(api, f"{{ volumes {{ {fields} }} }}").repeated
    assert (finding.code, finding.count) == ("QS101", shelves.VOLUMES)
    assert text is None or stands(finding.origin.first, FILE, text)
    assert stands(finding.mend.at, FILE, "# volumes")


def test_resolver_that_asks_is_found(api):
    """Async resolvers run side by side; each asks at the one line, in a session of its own."""
    seen = graph(api, "{ volumes { askedName } }")
    found = {finding.code: finding for finding in seen.repeated}
    assert stands(found["QS102"].origin.first, FILE, "# async resolver")
    assert found["QS102"].count == shelves.VOLUMES


@pytest.mark.parametrize("query", ["{ volumes { loadedName } }", "{ fullVolumes { shelfName } }"])
def test_loader_and_loaded_rows_are_silent(api, query):
    """A DataLoader asks once, and rows that came with their relation do not ask."""
    seen = graph(api, query)
    assert seen.trace.statements == 2
    assert seen.repeated == []
