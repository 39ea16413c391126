"""Calls an ASGI application as a server does, recorded where queryscope is installed."""

from __future__ import annotations

import asyncio
from typing import Any

from benchmarks.detection.watchers import SETTINGS


async def get(app: Any, path: str) -> bytes:
    """Make a GET request, read the answer to its end, and return its body.

    Raises:
        RuntimeError: The answer is no success.
    """
    messages: list[dict[str, Any]] = []
    scope = {
        "type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "http_version": "1.1",
        "method": "GET", "scheme": "http", "path": path, "raw_path": path.encode(),
        "root_path": "", "query_string": b"", "headers": [(b"host", b"localhost")],
        "client": ("127.0.0.1", 50000), "server": ("127.0.0.1", 8000),
    }  # fmt: skip
    asked = False

    async def receive() -> dict[str, Any]:
        nonlocal asked
        if asked:
            await asyncio.Event().wait()  # the client stays to the end
        asked = True
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        messages.append(message)

    await _watched(app)(scope, receive, send)
    if messages[0]["status"] != 200:  # noqa: PLR2004 - HTTP's word for success
        raise RuntimeError(f"{path} answered {messages[0]['status']}")
    return b"".join(message.get("body", b"") for message in messages)


def _watched(app: Any) -> Any:
    try:
        from queryscope import asgi
    except ImportError:  # a peer's environment
        return app
    return asgi.Middleware(app, SETTINGS)
