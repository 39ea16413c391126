"""The notes that tell what is missing."""

from __future__ import annotations

from queryscope.report.view import report_of
from queryscope.trace.guard import Failure
from tests.builders import MS, a_trace


def test_notes_tell_what_is_missing():
    """Caps, orphans, hook failures and failed detectors are all named with their numbers."""
    failures = (Failure("django.execute", "KeyError: x", 2), Failure("pool", "TypeError: y", 1))
    inner = a_trace(id="inner", failures=failures)
    trace = a_trace(
        dropped={"queries": 7, "query_ns": 9 * MS, "stages": 4, "traces": 2},
        orphans=1,
        unlabelled=5,
        failures=failures[:1],
        children=(inner,),
    )
    report = report_of(trace, (), failed_detectors=["QS101", ("QS505", KeyError("z"))])
    notes = " ".join(note.text for note in report.notes)
    for text in (
        "7 statements not kept (9.00 ms)",
        "4 stages dropped",
        "2 Traces of this process lost before this one",
        "1 fact arrived after the end",
        "3 hook failures in this process.",
        "2 detectors failed.",
        "5 statements came from an ORM frame of unknown shape",
        "full recording, development mode, without values",
        "Written by queryscope",
    ):
        assert text in notes
    details = [line for note in report.notes for line in note.details]
    assert "django.execute: KeyError: x (2 times)" in details
    assert "QS505: 'z'" in details
