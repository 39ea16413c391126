"""What recording changed in an application, and what the page makes of the verdicts."""

from __future__ import annotations

import base64

import pytest

from benchmarks.applications import page
from benchmarks.applications.outcome import LOOKED_AT, Way, looked_at, outcome
from benchmarks.applications.site import SUBJECTS
from benchmarks.detection.page import has_detector
from queryscope.trace import codec
from tests.builders import a_query, a_trace, some

BOOK = 'SELECT * FROM "book" WHERE "id" = %s'
SIZES = (2, 8)
QUIET = {"bare": ["started"], "light": ["started"], "full": ["started"]}


def lines(**changed):
    """Return what the workers write of one page: a row more, a statement more."""
    found = {}
    for size in SIZES:
        head = {"endpoint": "books", "state": "cold", "status": 200, "body": "b", "size": 10}
        time = {"endpoint": "books", "state": "time", "ns": [100, 0]}
        found[size, "bare"] = [{**head, "statements": size + 1}, time]
        queries = some(size, BOOK, parameters=lambda n: (n,))
        trace = a_trace(a_query(), *queries)
        recorded = {**head, "trace": base64.b64encode(codec.encode(trace)).decode(), "findings": []}
        end = {"endpoint": "", "state": "end", "failures": [], "lost": 0}
        for recording in ("light", "full"):
            slower = {**time, "ns": [110, 20]}
            found[size, recording] = [{**recorded, **changed}, slower, end]
    return found


def tried(recorded, printed=QUIET):
    """Return the outcome of the first application."""
    subject = SUBJECTS[0]
    return outcome(subject, {subject.distribution: "1.0"}, recorded, printed, SIZES)


def test_recording_that_changes_nothing_is_told_so():
    """The same answers, as many statements as the ORM itself counts."""
    found = tried(lines())
    assert found.changed == []
    assert found.times["light"] == (1.1, 0.2)
    assert "nothing: the same answers" in page.page([found], {})


def test_missed_group_is_named_on_the_page():
    """What is missed is not met, and stands in its table."""
    found = tried(lines())
    assert not found.is_met
    assert list(found.judged) == [Way("light", "books", "cold"), Way("full", "books", "cold")]
    missed = page.page([found], {}).partition("## Missed")[2].partition("## False")[0]
    assert "2 -> 8" in missed
    assert "books (full cold, light cold)" in missed


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"status": 500}, "status 500, bare 200"),
        ({"body": "c"}, "another body"),
        ({"failures": ["hook: broken (1 x)"]}, "hook: broken"),
        ({"lost": 2}, "2 Traces were lost"),
        ({"broken": "0 Traces of one request"}, "0 Traces"),
    ],
)
def test_whatever_recording_changes_is_told(changed, words):
    """Each of it is a defect."""
    found = tried(lines(**changed))
    assert any(words in text for text in found.changed), found.changed


def test_statement_that_was_not_recorded_is_told():
    """The ORM itself counts."""
    recorded = lines()
    recorded[8, "bare"][0]["statements"] += 1
    assert any("9 statements, the ORM itself counts 10" in text for text in tried(recorded).changed)


def test_page_that_fails_without_queryscope_is_told():
    """An error page proves nothing."""
    recorded = lines()
    recorded[2, "bare"][0]["status"] = 404
    assert any("answered with 404" in text for text in tried(recorded).changed)


def test_only_what_recording_prints_is_told():
    """Numbers in a line may differ."""
    printed = {"bare": ["port 80"], "light": ["port 81"], "full": ["port 82", "a warning"]}
    assert [text for text in tried(lines(), printed).changed if "prints" in text] == [
        "full recording prints 1 x: a warning"
    ]


def test_applications_that_cannot_run_are_named():
    """They are not passed over in silence."""
    assert "- dagster was left out: no wheel" in page.page([], {"dagster": "no wheel"})


def test_what_was_looked_at_is_of_applications_and_codes_that_are_there():
    """An entry that fits nothing any more has to go."""
    import tomllib

    names = {subject.name for subject in SUBJECTS}
    entries = tomllib.loads(LOOKED_AT.read_text(encoding="utf-8"))["warning"]
    for entry in entries:
        assert entry["site"] in names
        assert entry["code"] == "missed" or has_detector(entry["code"])
        assert entry["reason"]
        for place in entry["places"] or ["anywhere.py:1"]:
            assert looked_at(entry["site"], entry["code"], place) == entry
    assert looked_at("hyperkitty", "QS509", "nowhere.py:1") is None


def test_constraints_name_every_version():
    """An application is the same one on every machine."""
    for subject in SUBJECTS:
        pins = subject.constraints.read_text(encoding="utf-8").split()
        assert pins
        assert all("==" in pin for pin in pins), subject.name
        names = {pin.partition("==")[0].lower() for pin in pins}
        assert {name.lower() for name in subject.shown} <= names
