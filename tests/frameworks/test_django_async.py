"""Django's async views, streams of both kinds, threads: whose a statement is, what is found."""

from __future__ import annotations

import pytest

from queryscope import requests
from tests.django.conftest import make_books
from tests.frameworks.conftest import SITE_FOLDER, close_all, newest, stands
from tests.frameworks.site import waiting

FILE = SITE_FOLDER / "waiting.py"


@pytest.mark.parametrize("path", ["gathered", "grouped"])
def test_look_up_in_tasks_is_found_at_its_line(open_site, path):
    """A coroutine for each row, in tasks and tasks of those: the coroutine's line is the origin."""
    make_books()
    seen = open_site.get_async(f"/async/{path}/")
    assert len(seen.answer.json()["isbns"]) == 12
    assert seen.trace.statements == 13
    (finding,) = seen.repeated
    assert (finding.code, finding.count) == ("QS102", 12)
    assert stands(finding.origin.first, FILE, "# in a task")
    # Behind it stand those who wait: the view is the last of them.
    assert finding.origin.steps[-1].function.partition(".")[0] == path
    assert len({query.thread for query in seen.queries}) == 1


def test_one_statement_for_all_is_silent(open_site):
    """The rows of all keys at once are no loop."""
    seen = open_site.get_async("/async/at-once/")
    assert seen.trace.statements == 2
    assert seen.repeated == []


def test_writes_in_a_loop_are_found(open_site):
    """Awaiting ``acreate`` in a loop is a write for each row; ``abulk_create`` is one."""
    (finding,) = open_site.get_async("/async/one-by-one/").repeated
    assert (finding.code, finding.count) == ("QS107", 6)
    assert stands(finding.origin.first, FILE, "# written")
    seen = open_site.get_async("/async/bulk/")
    assert seen.repeated == []
    assert [query.operation for query in seen.queries] == ["bulk_create", "in_bulk", "bulk_update"]
    for query, text in zip(seen.queries, ("# bulk", "# in bulk", "# update"), strict=True):
        assert stands(query.origin.first, FILE, text)


def test_async_stream_is_found_at_its_line(open_site):
    """A loop in an async stream is the request's, when the view has long returned."""
    seen = open_site.get_async("/async/stream/")
    (finding,) = seen.repeated
    assert (finding.code, finding.count) == ("QS101", 6)
    assert finding.mend.write == '.select_related("publisher")'
    assert stands(finding.origin.first, FILE, "# stream loop")
    assert stands(finding.mend.at, FILE, "# streamed")
    assert seen.trace.stages[seen.queries[-1].stage].name == "response iteration"


def test_sync_stream_is_found_at_its_line(site):
    """The same in a generator under WSGI."""
    seen = newest(_read(site.client.get("/stream/")))
    (finding,) = seen.repeated
    assert (finding.code, finding.count) == ("QS101", 6)
    assert stands(finding.origin.first, FILE, "# sync stream loop")
    assert stands(finding.mend.at, FILE, "# sync streamed")


def test_repaired_streams_are_silent(open_site):
    """One statement each, with the relation."""
    assert newest(_read(open_site.client.get("/stream/repaired/"))).repeated == []
    seen = open_site.get_async("/async/stream/repaired/")
    assert seen.trace.statements == 1
    assert seen.repeated == []


def _read(answer):
    """Read a stream to its end, as a server does."""
    assert b"".join(answer.streaming_content).count(b"\n") == 6
    answer.close()
    return answer


def test_thread_that_outlives_its_request_is_counted(open_site, monkeypatch):
    """What it asks after the response is in no Trace; the ended Recorder counts it."""
    ended = []
    original = requests.end

    def end(runtime, recorder, *rest):
        ended.append(recorder)
        original(runtime, recorder, *rest)

    monkeypatch.setattr(requests, "end", end)
    waiting.state["close"] = close_all
    open_site.get("/outliving/")
    waiting.state["let go"].set()
    waiting.state["thread"].join(30)
    assert not waiting.state["thread"].is_alive()
    (recorder,) = set(ended)
    assert recorder.orphans + recorder.late.orphans >= 1
    assert newest().trace.statements == 0
