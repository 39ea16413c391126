"""The ASGI middleware on plain applications: one Trace a request, and no harm."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import select, text

import queryscope
from queryscope.errors import SettingsError
from queryscope.store.file import Store
from queryscope.trace.scope import recording
from tests.asgi.caller import call, scope_of
from tests.asgi.conftest import SETTINGS
from tests.sqlalchemy.shop import Author


def wrapped(app, **settings):
    """Return an application inside the middleware, in development."""
    return queryscope.asgi.Middleware(app, {**SETTINGS, **settings})


async def answer(send, *chunks, status=200):
    """Send a whole response."""
    await send({"type": "http.response.start", "status": status, "headers": [(b"x-own", b"1")]})
    for chunk in chunks[:-1]:
        await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await send({"type": "http.response.body", "body": chunks[-1] if chunks else b""})


async def plain(scope, receive, send):
    """Answer with one word."""
    await answer(send, b"word")


def stages_of(trace):
    """Return name and number of statements of each stage that asked or has a name."""
    return [(stage.name, stage.queries) for stage in trace.stages]


def test_request_is_a_trace_with_its_status_and_statements(open_shop, traces):
    """A request's Trace has method, path, status, its statements and the application's stage."""

    async def main():
        async with open_shop() as sessions:

            async def app(scope, receive, send):
                async with sessions() as session:
                    await session.scalars(select(Author))
                await answer(send, b"made")

            return await call(wrapped(app), "/authors", method="POST")

    sent = asyncio.run(main())
    (trace,) = traces()
    assert (sent.status, sent.body) == (200, b"made")
    assert (trace.kind, trace.name) == ("request", "POST /authors")
    assert trace.attributes == {"method": "POST", "path": "/authors", "status": "200"}
    assert (trace.statements, trace.error) == (1, None)
    assert stages_of(trace)[0] == ("application", 1)
    assert "response iteration" not in dict(stages_of(trace))


def test_headers_are_added_to_the_applications_own(traces):
    """Responses carry Server-Timing and the id of their Trace, beside what they had."""
    sent = asyncio.run(call(wrapped(plain)))
    (trace,) = traces()
    assert sent.headers["x-queryscope-trace"] == trace.id
    assert '0 statements"' in sent.headers["server-timing"]
    assert sent.headers["x-own"] == "1"


def test_production_changes_no_message():
    """In production the server gets the very messages that the application sent."""
    sent = asyncio.run(call(wrapped(plain, mode="production")))
    bare = asyncio.run(call(plain))
    assert sent.messages == bare.messages


def test_websocket_passes_untouched(traces):
    """A WebSocket connection reaches the application as it came, and is no Trace."""
    seen = []

    async def app(*args):
        seen.append(args)

    args = ({"type": "websocket"}, object(), object())
    asyncio.run(wrapped(app)(*args))
    assert all(one is other for one, other in zip(seen[0], args, strict=True))
    assert traces() == []


def test_lifespan_passes_and_writes_what_waits(tmp_path):
    """The lifespan's messages are the application's; at its end every Trace is in the store."""
    messages, kept = [], []
    path = str(tmp_path / "traces.db")

    async def app(scope, receive, send):
        if scope["type"] == "http":
            await answer(send)
            return
        assert scope == {"type": "lifespan"}
        for _ in range(2):
            kind = (await receive())["type"]
            await send({"type": f"{kind}.complete"})

    async def main():
        middleware = wrapped(app, store=True, store_path=path)
        received = ["lifespan.startup", "lifespan.shutdown"]

        async def receive():
            if messages:
                await call(middleware)
            return {"type": received.pop(0)}

        async def send(message):
            messages.append(message["type"])
            if message["type"].startswith("lifespan.shutdown"):
                store = Store(path)
                kept.extend(store.list(10, None, None))
                store.close()

        await middleware({"type": "lifespan"}, receive, send)

    asyncio.run(main())
    assert messages == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert len(kept) == 1


def test_receive_reaches_the_application_as_it_came():
    """The request's body is the application's alone: receive is handed on itself."""
    seen = []

    async def app(scope, receive, send):
        seen.append((scope, receive))
        await answer(send)

    async def send(message):
        await asyncio.sleep(0)

    scope, receive = scope_of("/"), object()
    asyncio.run(wrapped(app)(scope, receive, send))
    assert seen[0][0] is scope
    assert seen[0][1] is receive


def test_exception_passes_and_is_noted(traces):
    """The application's exception is the server's to handle; the Trace ends with it."""

    async def app(scope, receive, send):
        raise LookupError("nothing there")

    with pytest.raises(LookupError, match="nothing there"):
        asyncio.run(call(wrapped(app)))
    (trace,) = traces()
    assert trace.error == "LookupError: nothing there"
    assert "status" not in trace.attributes


def test_cancellation_passes_and_ends_the_trace(open_shop, traces):
    """A request that its server cancels in the middle is a Trace of what was asked until then."""

    async def main():
        async with open_shop() as sessions:
            asked = asyncio.Event()

            async def app(scope, receive, send):
                async with sessions() as session:
                    await session.scalars(select(Author))
                asked.set()
                await asyncio.sleep(60)

            task = asyncio.create_task(call(wrapped(app)))
            await asked.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(main())
    (trace,) = traces()
    assert trace.statements == 1
    assert trace.error == "asyncio.exceptions.CancelledError"


def test_send_that_fails_passes_and_ends_the_trace(traces):
    """A server that raises because its client is gone is heard by the application."""

    async def send(message):
        raise OSError("client is gone")

    with pytest.raises(OSError, match="client is gone"):
        asyncio.run(wrapped(plain)(scope_of("/"), None, send))
    (trace,) = traces()
    assert trace.error == "OSError: client is gone"


def test_stream_belongs_to_its_request(open_shop, traces):
    """Statements between the chunks are the request's, in a stage of their own."""

    async def main():
        async with open_shop() as sessions:

            async def app(scope, receive, send):
                async with sessions() as session:
                    await session.scalars(select(Author))
                    await send({"type": "http.response.start", "status": 200, "headers": []})
                    for _ in range(2):
                        await session.execute(text("SELECT 1"))
                        await send({"type": "http.response.body", "body": b"x", "more_body": True})
                    await send({"type": "http.response.body", "body": b""})

            return await call(wrapped(app))

    assert asyncio.run(main()).body == b"xx"
    (trace,) = traces()
    assert stages_of(trace)[:2] == [("application", 1), ("response iteration", 2)]


def test_work_after_the_last_message_is_after_the_response(open_shop, traces):
    """What runs when the client has everything is the request's, and keeps nobody waiting."""

    async def main():
        async with open_shop() as sessions:

            async def app(scope, receive, send):
                await answer(send, b"first", b"last")

                async def later():
                    async with sessions() as session:
                        await session.scalars(select(Author))

                await asyncio.create_task(later())

            await call(wrapped(app))

    asyncio.run(main())
    (trace,) = traces()
    assert (stages_of(trace)[0], stages_of(trace)[-1]) == (
        ("application", 0),
        ("after response", 1),
    )


def test_task_begun_before_the_response_changes_stage_with_it(open_shop, traces):
    """A task that was started in the application and goes on after it asks after the response."""

    async def main():
        async with open_shop() as sessions:

            async def app(scope, receive, send):
                answered = asyncio.Event()

                async def later():
                    await answered.wait()
                    async with sessions() as session:
                        await session.scalars(select(Author))

                task = asyncio.create_task(later())
                await answer(send)
                answered.set()
                await task

            await call(wrapped(app))

    asyncio.run(main())
    (trace,) = traces()
    assert stages_of(trace) == [("application", 0), ("after response", 1)]


def test_task_that_outlives_its_request_is_an_orphan(open_shop, traces):
    """A statement after the application has returned is counted, and no Trace has it."""

    async def main():
        async with open_shop() as sessions:
            tasks = []

            async def late(ended):
                await ended.wait()
                async with sessions() as session:
                    await session.scalars(select(Author))

            async def app(scope, receive, send):
                ended = asyncio.Event()
                tasks.append((ended, asyncio.create_task(late(ended)), recording()))
                await answer(send)

            await call(wrapped(app))
            ((ended, task, recorder),) = tasks
            assert recorder.closed
            ended.set()
            await task
            return recorder

    recorder = asyncio.run(main())
    assert (recorder.queries, recorder.checkouts) == ([], [])
    assert recorder.late.orphans == 1
    assert [trace.statements for trace in traces()] == [0]


def test_concurrent_requests_do_not_mix(open_shop, traces):
    """Thirty requests in one event loop: each Trace has its own statements and nothing else."""

    async def main():
        async with open_shop(pool_size=30) as sessions:

            async def app(scope, receive, send):
                number = int(scope["path"][1:])

                async def ask(session):
                    await session.execute(text(f"SELECT {number}"))

                async with sessions() as session:
                    for _ in range(number % 5 + 1):
                        await ask(session)
                        await asyncio.sleep(0.001)
                async with sessions() as one, sessions() as other:
                    await asyncio.gather(ask(one), ask(other))
                await answer(send, b"%d" % number)

            app = wrapped(app)
            return await asyncio.gather(*(call(app, f"/{n}") for n in range(30)))

    sent = asyncio.run(main())
    assert [answer.body for answer in sent] == [b"%d" % n for n in range(30)]
    found = {trace.attributes["path"]: trace for trace in traces()}
    assert len(found) == 30
    for number, answer_ in enumerate(sent):
        trace = found[f"/{number}"]
        assert answer_.headers["x-queryscope-trace"] == trace.id
        assert {query.statement for query in trace.queries} == {f"SELECT {number}"}
        assert trace.statements == number % 5 + 3
        assert len(trace.sessions) == len(trace.checkouts) == 3
        assert all(checkout.returned_ns for checkout in trace.checkouts)


def test_block_inside_a_request_is_nested(open_shop, traces):
    """A profiled block in an application hangs under its request."""

    async def main():
        async with open_shop() as sessions:

            async def app(scope, receive, send):
                async with queryscope.profile("inner"), sessions() as session:
                    await session.scalars(select(Author))
                await answer(send)

            await call(wrapped(app))

    asyncio.run(main())
    (trace,) = traces()
    assert trace.statements == 0
    assert [(child.name, child.statements) for child in trace.children] == [("inner", 1)]


def test_viewer_lists_and_shows_traces_to_loopback_only(traces):
    """The list and the report answer local clients; others and proxied ones get 403."""

    async def main():
        app = wrapped(plain)
        trace_id = (await call(app)).headers["x-queryscope-trace"]
        listing = await call(app, "/__queryscope__/")
        report = await call(app, f"/__queryscope__/{trace_id}")
        assert trace_id in listing.body.decode()
        assert (report.status, report.headers["content-type"]) == (200, "text/html; charset=utf-8")
        for foreign in (
            {"client": ("192.0.2.1", 5)},
            {"client": None},
            {"headers": [(b"x-forwarded-for", b"192.0.2.1")]},
            {"headers": [(b"host", b"evil.example")]},
        ):
            assert (await call(app, "/__queryscope__/", **foreign)).status == 403
        assert (await call(app, "/__queryscopes", client=None)).body == b"word"

    asyncio.run(main())
    assert [trace.attributes["path"] for trace in traces()] == ["/", "/__queryscopes"]


def test_distributed_trace_is_noted(traces):
    """The trace id of a traceparent header is kept beside ours."""
    header = (b"traceparent", b"00-" + b"a" * 32 + b"-" + b"b" * 16 + b"-01")
    asyncio.run(call(wrapped(plain), headers=[header]))
    (trace,) = traces()
    assert trace.w3c_trace_id == "a" * 32


@pytest.mark.parametrize("settings", [{"enabled": False}, {"ignore_paths": ["/quiet"]}])
def test_what_is_not_wanted_is_not_recorded(settings, traces):
    """Disabled, or under an ignored path, the application gets the server's own send."""
    seen = []

    async def app(scope, receive, send):
        seen.append(send)
        await answer(send)

    async def send(message):
        await asyncio.sleep(0)

    asyncio.run(wrapped(app, **settings)(scope_of("/quiet"), None, send))
    assert seen == [send]
    assert traces() == []


def test_unknown_setting_is_an_error_at_start():
    """A misspelt setting is named, with where it stands."""
    with pytest.raises(SettingsError, match=r"queryscope\.asgi\.Middleware.*'ring_trace'"):
        queryscope.asgi.Middleware(plain, {"ring_trace": 3})


def test_scope_of_another_shape_harms_nobody(traces):
    """A server that leaves out what we read, on a Unix socket say, is answered all the same."""

    async def main():
        scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
        messages = []

        async def send(message):
            messages.append(message)

        await wrapped(plain)(scope, None, send)
        return messages

    assert asyncio.run(main())[1]["body"] == b"word"
    assert [trace.name for trace in traces()] == ["GET /"]


def test_application_keeps_its_attributes():
    """What is asked of the middleware and is not its own is the application's."""

    class App:
        title = "mine"

        async def __call__(self, scope, receive, send):
            await answer(send)

    assert wrapped(App()).title == "mine"
