"""An ASGI application that speaks WebSocket and lifespan, and writes down what it was told."""

from __future__ import annotations

import json
import os
from pathlib import Path


def told(message):
    """Note a message; one short write is one line."""
    with Path("told").open("a") as file:
        file.write(json.dumps({key: repr(value) for key, value in sorted(message.items())}) + "\n")


async def application(scope, receive, send):
    """Echo."""
    told({key: scope[key] for key in ("type", "asgi") if key in scope})
    if scope["type"] == "lifespan":
        scope.get("state", {})["given"] = "by the lifespan"
        while True:
            message = await receive()
            told(message)
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return
    if scope["type"] == "websocket":
        told(await receive())
        await send({"type": "websocket.accept", "headers": [(b"x-own", b"1")]})
        while (message := await receive())["type"] == "websocket.receive":
            told(message)
            await send({"type": "websocket.send", "text": message["text"][::-1]})
        told(message)
        return
    body = scope.get("state", {}).get("given", "nothing").encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})


asgi_app = application
if "SITE_SETTINGS" in os.environ:
    from queryscope.asgi import Middleware

    asgi_app = Middleware(application, json.loads(os.environ["SITE_SETTINGS"]))
