"""Calls an ASGI application as a server does, and gives what it sent."""

from __future__ import annotations

import asyncio


class Answer:
    """What an application sent in answer to one request."""

    def __init__(self, messages):
        self.messages = messages
        starts = [message for message in messages if message["type"] == "http.response.start"]
        self.status = starts[0]["status"] if starts else None
        self.headers = {
            name.decode(): value.decode() for start in starts for name, value in start["headers"]
        }
        self.body = b"".join(message.get("body", b"") for message in messages)


def scope_of(path, method="GET", headers=(), **more):
    """Return the scope of a request from this machine."""
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [(b"host", b"localhost:8000"), *headers],
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 8000),
        **more,
    }


async def call(app, path="/", *, leave_after=None, body=b"", **scope):
    """Make one request and return its Answer.

    Args:
        app: The application.
        path: What is asked for.
        leave_after: Messages after which the client is gone; None: it waits for all.
        body: What is sent along.
        scope: More of ``scope_of``.
    """
    messages = []
    gone = asyncio.Event()
    asked = False

    async def receive():
        nonlocal asked
        if not asked:
            asked = True
            return {"type": "http.request", "body": body, "more_body": False}
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message):
        messages.append(message)
        if leave_after is not None and len(messages) >= leave_after:
            gone.set()
        await asyncio.sleep(0)

    await app(scope_of(path, **scope), receive, send)
    gone.set()
    return Answer(messages)
