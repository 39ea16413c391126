"""Counts what our own code does for a request, in a process that holds one framework.

    python -m tests.overhead.measured django-light

prints a JSON object: for each view and variant what a further statement costs, and what the
Recorder of 1,000 statements holds.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import tempfile
import tracemalloc
from collections import Counter
from pathlib import Path

import queryscope

BENCH = Path(__file__).parents[2] / "benchmarks" / "overhead"
OURS = os.path.dirname(queryscope.__file__) + os.sep  # noqa: PTH120 - compared with co_filename
FEW, MORE = 20, 40
"""Statements of two requests: their difference is what a statement costs, less the request."""
MANY = 1_000


def counted(run) -> Counter:
    """Return the calls, C calls and instructions of our own code while ``run`` runs."""
    found: Counter = Counter()

    def profile(frame, event, argument):
        if frame.f_code.co_filename.startswith(OURS):
            if event == "call":
                found["calls"] += 1
            elif event == "c_call":
                found["c_calls"] += 1
                found["frames"] += argument is sys._getframe

    def step(frame, event, _):
        found["instructions"] += event == "opcode"
        return step

    def trace(frame, event, _):
        if not frame.f_code.co_filename.startswith(OURS):
            return None
        frame.f_trace_opcodes = True
        return step

    # Instructions first: the interpreter counts them the same whether it has adapted or not.
    sys.settrace(trace)
    try:
        run()
    finally:
        sys.settrace(None)
    sys.setprofile(profile)
    try:
        run()
    finally:
        sys.setprofile(None)
    return found


def a_statement(request, settle, app, view) -> dict[str, float]:
    """Return what one more statement of a request costs: whole numbers, if all cost the same."""
    by_size = []
    for size in (FEW, MORE):
        path = f"/{view}/{size}"
        for _ in range(3):  # paths are learnt, caches filled
            request(app, path)
            settle()
        by_size.append(counted(lambda path=path: request(app, path)))
        settle()
    few, more = by_size
    return {name: (more[name] - few[name]) / (MORE - FEW) for name in more}


def held(request, subject) -> float:
    """Return the bytes a statement that a request's Recorder holds when the response is closed."""
    from queryscope import runtime

    kept: list[object] = []
    path = f"/books/{MANY}"
    request(subject.recorded, path)
    subject.settle()
    send, runtime.Runtime.finished = (
        runtime.Runtime.finished,
        lambda _, recorder, *__: kept.append(recorder),
    )
    try:
        request(subject.recorded, path)
        kept.clear()
        gc.collect()
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        request(subject.recorded, path)
        gc.collect()
        after = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
        runtime.Runtime.finished = send
    (recorder,) = kept
    assert len(recorder.queries) >= MANY
    return (after - before) / MANY


def main() -> None:
    """Measure the subject that the command line names."""
    sys.path.insert(0, str(BENCH))
    from serve import request
    from subjects import MAKERS

    with tempfile.TemporaryDirectory() as folder:
        subject = MAKERS[sys.argv[1]](Path(folder))
        found = {
            view: {
                "idle": a_statement(request, subject.settle, subject.bare, view),
                "recorded": a_statement(request, subject.settle, subject.recorded, view),
            }
            for view in ("books", "shelves")
        }
        json.dump({**found, "held": held(request, subject)}, sys.stdout)


if __name__ == "__main__":
    main()
