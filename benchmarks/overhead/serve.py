"""One measured process: reads a command a line from standard input, answers it with a line.

    python serve.py SUBJECT FOLDER LAYOUT

``LAYOUT`` is a number that shifts where objects lie, see ``shift``.

Commands are JSON objects. ``{"do": "round", "path": "/books/100", "order": ["bare", "recorded"]}``
makes one request of each variant in that order and answers with ``[cpu_ns, wall_ns, off_ns]`` of
each: the request until its response is closed, and the CPU time spent afterwards, off its path.
``{"do": "burst", "path": ..., "variant": ..., "count": 25}`` makes that many requests one after the
other and answers with the CPU nanoseconds of one, with its share of what follows off the path.
``{"do": "idle", "path": ..., "order": [true, false]}`` puts the hooks in and takes them out in that
order and answers with the CPU nanoseconds of a bare request with them and without them.
``{"do": "memory", "path": ...}`` answers with the peak of traced memory of each variant, in bytes.
"""

from __future__ import annotations

import gc
import io
import json
import os
import random
import sys
import time
import tracemalloc
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from subjects import App, Subject

SETTLED, ASKED = 8, 7
"""Requests until the interpreter knows classes again that were patched, and those that count."""

_statuses: list[str] = []


def shift(layout: int) -> list[object]:
    """Shift where objects and classes lie that are made from now on; return what must be kept.

    CPython finds attributes of classes in a table of 4,096 entries, by the address of the name
    and the number of the class. Two that are used in turn and fall on one entry cost a search
    each time, and which do is an accident of what was imported before. Of six layouts of the plain
    SQLAlchemy request the dearest took 16 % more instructions than the cheapest, counted by
    callgrind without the garbage collector. So each process is laid out by chance, and what is
    reported is the middle of several.

    Source:
        Mytkowicz, Diwan, Hauswirth, Sweeney: Producing wrong data without doing anything
        obviously wrong, ASPLOS 2009.
    """
    chance = random.Random(layout)
    kept: list[object] = [
        sys.intern(f"layout_{layout}_{number}" + "x" * chance.randrange(24))
        for number in range(chance.randrange(4096))
    ]
    for number in range(chance.randrange(1024)):
        kind = type(f"Kind{number}", (), {})
        getattr(kind(), "absent", None)  # a class has no number before it is first asked
        kept.append(kind)
    return kept


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


def one_round(subject: Subject, path: str, order: list[str]) -> dict[str, Any]:
    """Make one request of each variant; garbage is collected before the round."""
    apps = _variants(subject)
    gc.collect()
    found = {}
    for name in order:
        cpu, wall, _ = request(apps[name], path)
        off = time.process_time_ns()
        subject.settle()
        found[name] = [cpu, wall, time.process_time_ns() - off]
    return found


def burst(subject: Subject, path: str, variant: str, count: int) -> float:
    """Return the CPU nanoseconds of one of ``count`` requests in a row, all that follows included.

    This is how a writer meets Traces under load: several at a time.
    """
    app = _variants(subject)[variant]
    gc.collect()
    cpu = time.process_time_ns()
    for _ in range(count):
        request(app, path)
    subject.settle()
    return (time.process_time_ns() - cpu) / count


def switched(subject: Subject, path: str, order: list[bool]) -> dict[str, int]:
    """Return the CPU nanoseconds of a bare request with the hooks and without them.

    One process, since two are laid out differently: see ``shift``. Patching a class makes the
    interpreter forget what it knew of it, so the first requests are not counted.
    """
    assert subject.switch is not None
    found = {}
    for wanted in order:
        subject.switch(wanted)
        for _ in range(SETTLED):
            request(subject.bare, path)
        gc.collect()
        found["in" if wanted else "out"] = sorted(
            request(subject.bare, path)[0] for _ in range(ASKED)
        )[ASKED // 2]
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
    name, folder, layout = sys.argv[1:]
    _kept = shift(int(layout))
    from subjects import MAKERS

    subject = MAKERS[name](Path(folder))
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
        elif command["do"] == "idle":
            answer(switched(subject, command["path"], command["order"]))
        elif command["do"] == "burst":
            answer(burst(subject, command["path"], command["variant"], command["count"]))
        else:
            answer(one_round(subject, command["path"], command["order"]))


if __name__ == "__main__":
    main()
