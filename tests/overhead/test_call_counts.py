"""The hot path stays short: calls, instructions, frames and bytes a statement, counted, not timed.

A number that went up is a decision: measure what it costs with ``make bench-overhead`` first. A
number that went down by much is a reason to lower its bound.
"""

from __future__ import annotations

import json
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# Of one statement: Python calls of ours, frames asked for of the interpreter, instructions. The
# first two are what was counted; instructions have 5 % of room, for they differ a little with
# the compiler. ``books`` is a query by primary key, ``shelves`` a relation that is read. Some calls
# stand in for one of the framework's: Django's cursor made and closed, SQLAlchemy's ``do_execute``
# and ``_fetchall_impl``.
BOUNDS = {
    ("django-light", "books", "idle"): (5, 0, 81),
    ("django-light", "books", "recorded"): (6, 3, 375),
    ("django-light", "shelves", "recorded"): (10, 3, 480),
    ("django-full", "books", "idle"): (10, 1, 272),
    ("django-full", "books", "recorded"): (16, 5, 762),
    ("django-full", "shelves", "recorded"): (20, 4, 906),
    ("sqlalchemy-light", "books", "idle"): (3, 0, 57),
    ("sqlalchemy-light", "books", "recorded"): (5, 4, 397),
    ("sqlalchemy-light", "shelves", "recorded"): (9, 4, 485),
    ("sqlalchemy-full", "books", "idle"): (3, 0, 57),
    ("sqlalchemy-full", "books", "recorded"): (6, 4, 405),
    ("sqlalchemy-full", "shelves", "recorded"): (10, 4, 494),
}
HELD_BYTES = 512
"""Half a KiB a statement, everything that the request keeps for it counted: times, uid, parameters,
rows. Counted were 444 to 452 on CPython 3.11, where equal sizes come out at every run."""

SUBJECTS = ("django-light", "django-full", "sqlalchemy-light", "sqlalchemy-full")


@cache
def measured(subject):
    """Count in a process of its own: both frameworks' hooks in one would count for each other."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.overhead.measured", subject],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def named(case):
    """Return the name of a case."""
    return "-".join(case)


@pytest.mark.parametrize("case", BOUNDS, ids=named)
def test_statement_makes_no_more_calls_than_it_did(case):
    """Each Python call of ours costs as much as ten plain instructions."""
    subject, view, variant = case
    calls, _, _ = BOUNDS[case]
    assert measured(subject)[view][variant]["calls"] <= calls


@pytest.mark.parametrize("case", BOUNDS, ids=named)
def test_statement_asks_for_no_more_frames_than_it_did(case):
    """The stack is followed by a few marks; to walk it would ask for each frame."""
    subject, view, variant = case
    _, frames, _ = BOUNDS[case]
    assert measured(subject)[view][variant]["frames"] <= frames


@pytest.mark.skipif(
    sys.version_info[:2] != (3, 11) or sys.implementation.name != "cpython",
    reason="each version compiles to other instructions; the bounds are those of CPython 3.11",
)
@pytest.mark.parametrize("case", BOUNDS, ids=named)
def test_statement_runs_no_more_instructions_than_it_did(case):
    """Bytecode instructions of our own functions, which do not depend on how busy a machine is."""
    subject, view, variant = case
    _, _, instructions = BOUNDS[case]
    assert measured(subject)[view][variant]["instructions"] <= instructions


@pytest.mark.parametrize("subject", SUBJECTS)
def test_recorder_holds_half_a_kib_a_statement(subject):
    """The memory of a request that made 1,000 statements, when its response is closed."""
    assert measured(subject)["held"] <= HELD_BYTES
