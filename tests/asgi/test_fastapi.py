"""FastAPI: async and sync endpoints, dependencies, background tasks; and a real uvicorn worker."""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.request import urlopen

import pytest

from queryscope.store.file import Store
from tests.asgi.caller import call
from tests.cli.test_run import environment
from tests.serving import free_port
from tests.sqlalchemy.shop import line_of

APP = str(Path(__file__).with_name("fastapi_app.py"))
ROOT = Path(__file__).parents[2]
TIME_OUT_S = 30


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Import the application, with the shop filled and closed at the end."""
    monkeypatch.setenv("FASTAPI_SHOP", str(tmp_path / "shop.db"))
    sys.modules.pop("tests.asgi.fastapi_app", None)
    module = importlib.import_module("tests.asgi.fastapi_app")
    module.fill()
    yield module
    module.sync_engine.dispose()
    del sys.modules["tests.asgi.fastapi_app"]


@pytest.fixture
def ask(module, judged):
    """Give what makes one request and returns its answer, its Trace and the findings."""

    def asked(path):
        async def main():
            try:
                return await call(module.app, path)
            finally:
                await module.engine.dispose()

        answer = asyncio.run(main())
        found = judged()[-1]
        return answer, found.trace, found.findings

    return asked


def test_async_loop_is_the_finding_of_its_sync_twin(ask):
    """The async endpoint's loop has the sync one's finding, each at its own line."""
    answer, trace, (found,) = ask("/volumes")
    twin_answer, twin_trace, (twin,) = ask("/sync/volumes")
    assert json.loads(answer.body) == json.loads(twin_answer.body)
    assert trace.statements == twin_trace.statements == 9
    assert (found.code, found.count, found.severity, found.mend.write) == (
        twin.code, twin.count, twin.severity, twin.mend.write,
    )  # fmt: skip
    assert (found.code, found.count) == ("QS101", 8)
    assert found.origin.frame.line == line_of(APP, "async loop")
    assert twin.origin.frame.line == line_of(APP, "sync loop")


def test_dependency_opens_the_requests_session(ask):
    """A session from a dependency with ``yield`` is opened there, and closed within the Trace."""
    answer, trace, _ = ask("/volumes/3")
    assert json.loads(answer.body) == {"shelf": 3}
    assert trace.name == "GET /volumes/{volume_id}"
    assert trace.sessions[0].opener.frame.line == line_of(APP, "the dependency")
    assert all(session.closed_ns for session in trace.sessions)


def test_background_task_is_after_the_response(ask):
    """What FastAPI's background tasks ask is the request's, after its response."""
    _, trace, _ = ask("/volumes/3")
    look_up, count = trace.queries
    assert look_up.origin.frame.line == line_of(APP, "the look-up")
    assert count.origin.frame.line == line_of(APP, "in the background")
    assert trace.stages[look_up.stage].name == "application"
    assert trace.stages[count.stage].name == "after response"


def test_stream_is_the_requests(ask):
    """A streamed result is asked for and read within the request."""
    answer, trace, _ = ask("/stream")
    assert answer.body == b"s0s1s2s3s4s5s6s7"
    (query,) = trace.queries
    assert (query.rows, query.origin.frame.line) == (8, line_of(APP, "the stream"))
    assert trace.stages[query.stage].name == "response iteration"


def test_validation_error_is_answered_as_ever(ask):
    """A request that FastAPI refuses is a Trace with its status and route."""
    answer, trace, _ = ask("/volumes/nothing")
    assert (answer.status, trace.attributes["status"]) == (422, "422")
    assert trace.name == "GET /volumes/{volume_id}"


def test_uvicorn_worker_records_each_request(module, tmp_path):
    """A real worker under concurrent clients: every Trace is stored, none is mixed with another."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    store = tmp_path / "traces.db"
    more = {
        "FASTAPI_SHOP": os.environ["FASTAPI_SHOP"],
        "QUERYSCOPE_STORE": str(store),
        "PYTHONWARNINGS": "error",
    }
    command = ["-m", "uvicorn", "tests.asgi.fastapi_app:app", "--port", str(port)]
    with (tmp_path / "server.log").open("w+", encoding="utf-8") as log:
        process = subprocess.Popen(
            [sys.executable, *command, "--host", "127.0.0.1"],
            cwd=ROOT,
            env=environment(**more),
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            wait_for(process, log)
            paths = ["/volumes", "/sync/volumes", "/volumes/2", "/stream"] * 5
            with ThreadPoolExecutor(8) as pool:
                answers = list(pool.map(lambda path: get(url + path), paths))
            process.send_signal(signal.SIGTERM)
            process.wait(TIME_OUT_S)
        finally:
            process.kill()
            process.wait(TIME_OUT_S)
        log.seek(0)
        said = log.read()
    assert "Traceback" not in said
    assert process.returncode in (0, -signal.SIGTERM)
    kept = Store(str(store))
    try:
        for path, (trace_id, body) in zip(paths, answers, strict=True):
            trace = kept.get(trace_id).trace
            assert trace.attributes["path"] == path
            assert trace.statements == {"/volumes": 9, "/sync/volumes": 9}.get(
                path, 2 if path == "/volumes/2" else 1
            )
            assert body
        assert len({trace_id for trace_id, _ in answers}) == len(paths)
        assert len(kept.list(100, None, None)) == len(paths)
    finally:
        kept.close()


def wait_for(process, log):
    """Wait until the worker says that it listens."""
    for _ in range(TIME_OUT_S * 20):
        log.seek(0)
        said = log.read()
        if "Uvicorn running" in said:
            return
        if process.poll() is not None:
            break
        try:
            process.wait(0.05)
        except subprocess.TimeoutExpired:
            continue
    raise AssertionError(said)


def get(url):
    """Return the id of a request's Trace, and its body."""
    with urlopen(url, timeout=TIME_OUT_S) as answer:
        return answer.headers["X-Queryscope-Trace"], answer.read()
