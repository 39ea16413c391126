"""One measured process: reads a command a line from standard input, answers it with a line.

    python serve.py SUBJECT FOLDER [idle]

With ``idle`` no request is ever recorded: the first one starts the writer's thread and fills
tables, and a process that has done so is not an idle one any more.

Commands are JSON objects. ``{"do": "round", "path": "/books/100", "order": ["bare", "recorded"]}``
makes one request of each variant in that order and answers with ``[cpu_ns, wall_ns, off_ns]`` of
each: the request until its response is closed, and the CPU time spent afterwards, off its path.
``{"do": "memory", "path": ...}`` answers with the peak of traced memory of each variant, in bytes.
"""

from __future__ import annotations

import gc
import io
import json
import os
import sys
import time
import tracemalloc
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from subjects import App, Subject

_statuses: list[str] = []


def _environ(path: str) -> dict[str, Any]:
    return {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": "",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "8000",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_HOST": "localhost:8000",
        "HTTP_ACCEPT": "application/json",
        "HTTP_USER_AGENT": "bench",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }


def _start_response(status: str, _: object, *__: object) -> None:
    _statuses.append(status)


def request(app: App, path: str) -> tuple[int, int, bytes]:
    """Make one request as a server does and return (CPU ns, wall ns, body).

    CPU time is that of the process: a thread that works while the request does counts.
    """
    environ = _environ(path)
    _statuses.clear()
    wall = time.perf_counter_ns()
    cpu = time.process_time_ns()
    answer = app(environ, _start_response)
    body = b"".join(answer)
    close = getattr(answer, "close", None)
    if close is not None:
        close()
    cpu = time.process_time_ns() - cpu
    wall = time.perf_counter_ns() - wall
    if _statuses != ["200 OK"]:
        raise SystemExit(f"{path} answered {_statuses}: {body[:2000]!r}")
    return cpu, wall, body


def _variants(subject: Subject) -> dict[str, App]:
    found = {"bare": subject.bare, "bare2": subject.bare}
    if subject.recorded is not None:
        found["recorded"] = subject.recorded
    return found


def one_round(subject: Subject, path: str, order: list[str], *, gc_on: bool) -> dict[str, Any]:
    """Make one request of each variant; garbage is collected before the round."""
    apps = _variants(subject)
    gc.collect()
    if not gc_on:
        gc.disable()
    found = {}
    try:
        for name in order:
            cpu, wall, _ = request(apps[name], path)
            off = time.process_time_ns()
            subject.settle()
            found[name] = [cpu, wall, time.process_time_ns() - off]
    finally:
        gc.enable()
    return found


def memory(subject: Subject, path: str) -> dict[str, Any]:
    """Return for each variant the peak of a request and of what follows it, in bytes."""
    found = {}
    tracemalloc.start()
    try:
        for name, app in _variants(subject).items():
            for _ in range(2):  # the first fills caches
                subject.settle()
                gc.collect()
                before = tracemalloc.get_traced_memory()[0]
                tracemalloc.reset_peak()
                request(app, path)
                during = tracemalloc.get_traced_memory()[1] - before
                tracemalloc.reset_peak()
                subject.settle()
                found[name] = [during, tracemalloc.get_traced_memory()[1] - before]
    finally:
        tracemalloc.stop()
    return found


def check(subject: Subject, path: str) -> None:
    """Let both variants answer, which must be alike."""
    bodies = {name: request(app, path)[2] for name, app in _variants(subject).items()}
    subject.settle()
    if len(set(bodies.values())) != 1:
        raise SystemExit("the recorded application answers otherwise than the bare one")


def main() -> None:
    """Make the subject, then answer commands until the input ends."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    sys.stdout = sys.stderr  # what a peer prints must not stand between the answers
    from subjects import MAKERS

    name, folder, *idle = sys.argv[1:]
    subject = MAKERS[name](Path(folder))
    if idle:
        subject = replace(subject, recorded=None)
    check(subject, "/books/3")
    check(subject, "/shelves/3")

    def answer(what: object) -> None:
        answers.write(json.dumps(what) + "\n")
        answers.flush()

    answer(sorted(_variants(subject)))
    for line in sys.stdin:
        command = json.loads(line)
        if command["do"] == "memory":
            answer(memory(subject, command["path"]))
        else:
            answer(
                one_round(subject, command["path"], command["order"], gc_on=command.get("gc", True))
            )


if __name__ == "__main__":
    main()
