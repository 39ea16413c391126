"""The clients of the load run, in a process of their own.

    python -m benchmarks.load.client < plan.json > result.json

Each client asks two servers for the same at the same time, compares what they answer and goes on to
its next request. It ends after so many seconds or requests, whichever comes first.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
from typing import Any, NamedTuple

ANSWER_S = 170.0
KEPT = 10
"""Differences of which the text is kept; more are counted."""
NOT_COMPARED = (b"date:", b"server-timing:", b"x-queryscope-trace:")
TRACE_HEADER = b"x-queryscope-trace:"


class Answer(NamedTuple):
    """What a server sent."""

    status: bytes
    headers: tuple[bytes, ...]
    body: bytes
    trace: str

    def compared(self) -> tuple[Any, ...]:
        """Return what must be equal: the names and values of headers as sent, and their order."""
        kept = tuple(line for line in self.headers if not line.lower().startswith(NOT_COMPARED))
        return self.status, kept, self.body


class Connection:
    """A connection to one server, kept while the server keeps it."""

    def __init__(self, port: int) -> None:
        """Connect with the first request."""
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, path: str, headers: dict[str, str]) -> Answer:
        """Send one GET and return the answer.

        Raises:
            OSError: The connection broke; so does TimeoutError, and EOFError for a cut answer.
        """
        try:
            async with asyncio.timeout(ANSWER_S):
                return await self._ask(path, headers)
        except BaseException:
            self.close()
            raise

    async def _ask(self, path: str, headers: dict[str, str]) -> Answer:
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        lines = [f"GET {path} HTTP/1.1", "Host: localhost"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        writer.write("\r\n".join([*lines, "", ""]).encode("latin-1"))
        head = await reader.readuntil(b"\r\n\r\n")
        status, *fields = head[:-4].split(b"\r\n")
        values = {}
        for line in fields:
            name, _, value = line.partition(b":")
            values[name.lower()] = value.strip()
        if values.get(b"transfer-encoding") == b"chunked":
            body = await _chunks(reader)
        elif b"content-length" in values:
            body = await reader.readexactly(int(values[b"content-length"]))
        else:
            body = await reader.read()
            self.close()
        if values.get(b"connection", b"").lower() == b"close":
            self.close()
        trace = values.get(TRACE_HEADER[:-1], b"").decode()
        return Answer(status, tuple(fields), body, trace)

    def close(self) -> None:
        """Give the connection up."""
        if self._streams is not None:
            with contextlib.suppress(OSError, RuntimeError):
                self._streams[1].close()
            self._streams = None


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    parts = []
    while size := int((await reader.readline()).split(b";")[0], 16):
        parts.append(await reader.readexactly(size))
        await reader.readexactly(2)
    await reader.readexactly(2)
    return b"".join(parts)


class Run:
    """What all clients share: the plan, and what came out."""

    def __init__(self, plan: dict[str, Any]) -> None:
        """Begin now."""
        self.plan = plan
        self.variants: list[tuple[str, dict[str, str]]] = plan["variants"]
        self.until = time.monotonic() + plan["seconds"]
        self.left = plan["requests"]
        self.asked: list[tuple[int, str, str, str]] = []
        self.different = 0
        self.broken = 0
        self.texts: list[str] = []

    def next(self) -> bool:
        """Tell whether there is a further request to make."""
        if self.left <= 0 or time.monotonic() >= self.until:
            return False
        self.left -= 1
        return True

    def note(self, text: str) -> None:
        """Keep the text of a difference."""
        if len(self.texts) < KEPT:
            self.texts.append(text[:2_000])


async def client(run: Run, number: int) -> None:
    """Ask both servers again and again."""
    bare, recorded = (Connection(run.plan[name]) for name in ("bare", "recorded"))
    turn = 0
    while run.next():
        # Clients are at different variants at any time, and each comes by all of them.
        index = (number * 7 + turn) % len(run.variants)
        path, headers = run.variants[index]
        turn += 1
        mark = f"{run.plan['run']:08x}{number + 1:08x}{turn:016x}"
        sent = {**headers, "traceparent": f"00-{mark}-{turn:016x}-01"}
        answers = await asyncio.gather(
            bare.ask(path, sent), recorded.ask(path, sent), return_exceptions=True
        )
        failed = [answer for answer in answers if isinstance(answer, BaseException)]
        if failed:
            run.broken += 1
            run.note(f"{path} {mark}: {answers!r}")
            continue
        one, other = answers
        assert isinstance(one, Answer)
        assert isinstance(other, Answer)
        if one.compared() != other.compared():
            run.different += 1
            run.note(f"{path} {mark}: {one.compared()!r} bare, {other.compared()!r} recorded")
        run.asked.append((index, mark, other.trace, other.status.split()[1].decode()))
    bare.close()
    recorded.close()


async def clients(plan: dict[str, Any]) -> dict[str, Any]:
    """Let all clients run to their end and return what came out."""
    run = Run(plan)
    started = time.monotonic()
    await asyncio.gather(*(client(run, number) for number in range(plan["clients"])))
    return {
        "seconds": time.monotonic() - started,
        "asked": run.asked,
        "different": run.different,
        "broken": run.broken,
        "texts": run.texts,
    }


if __name__ == "__main__":
    json.dump(asyncio.run(clients(json.load(sys.stdin))), sys.stdout)
