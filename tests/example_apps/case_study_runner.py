"""Records endpoints of one example application, in a process of its own, and prints findings.

Called with the application's folder and paths; the environment says which database. Prints one
JSON object: path -> the figures and findings of its request.
"""

from __future__ import annotations

import json
import os
import sqlite3
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, sys.argv[1])
sys.path.insert(0, str(Path(sys.argv[1]).parent))
os.chdir(os.environ["CASE_STUDY_WORK"])


TRIES = 4
HELD_IDLE_MS = 15
"""A fast machine builds the answer in less than the 50 ms from which on it is worth a word. The
repaired endpoints are judged by these: on a busy machine they wait for the processor."""
NEW_LOCATIONS = 25
"""Locations that others add between two requests to a listing."""


def grow():
    """Add locations that are like the first ones, on a connection of its own."""
    file = os.environ["DATABASE_URL"].removeprefix("sqlite:///")
    with closing(sqlite3.connect(file)) as database:
        tables = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        (table,) = [name for (name,) in tables if name in ("location", "booking_location")]
        columns = [column for _, column, *_ in database.execute(f"PRAGMA table_info({table})")]
        kept = ", ".join(column for column in columns if column != "id")
        database.execute(
            f"INSERT INTO {table} ({kept}) SELECT {kept} FROM {table} WHERE active LIMIT ?",
            (NEW_LOCATIONS,),
        )
        database.commit()


def position(step):
    """Return ``file.py:12`` of a step of an origin, with the template's name for a node."""
    if step is None:
        return None
    return f"{Path(getattr(step, 'file', None) or step.template).name}:{step.line}"


def described(finding):
    """Return what the tests look at in a finding."""
    return {
        "code": finding.code,
        "severity": finding.severity,
        "count": finding.count,
        "message": finding.message,
        "ran": [position(step) for step in finding.origin.steps],
        "mend": position(finding.mend.at) if finding.mend else None,
        "write": finding.mend.write if finding.mend else "",
        "evidence": {name: str(value) for name, value in finding.evidence.items()},
    }


def main():
    """Ask for each path, after one request in which the process imports and fills its caches."""
    from demo import call
    from wsgi import app

    from queryscope import runtime

    call(app, sys.argv[2])
    found = runtime.get()
    settings = found.settings
    sooner = settings.thresholds | {"held_idle_min_ms": HELD_IDLE_MS}
    results = {}
    for path in sys.argv[2:]:
        repaired = path.startswith("/v2/")
        found.settings = settings if repaired else replace(settings, thresholds=sooner)
        # The quietest of a few: on a busy machine a process that waits for its turn holds its
        # connection idle, and queryscope says so.
        tries = []
        for turn in range(TRIES):
            if turn and path.endswith("/discovery"):
                grow()
            status, headers, _ = call(app, path)
            found.flush()
            tries.append(found.ring.find(headers["X-Queryscope-Trace"]))
        judged = min(tries, key=lambda item: item.trace.duration_ns)
        trace = judged.trace
        results[path] = {
            "name": trace.name,
            "status": status,
            "statements": trace.statements,
            "sessions": len(trace.sessions),
            "failures": [list(failure) for failure in trace.failures],
            "unlabelled": trace.unlabelled,
            "findings": [described(finding) for finding in judged.findings],
        }
    print(json.dumps(results))  # noqa: T201 - what the parent reads


main()
