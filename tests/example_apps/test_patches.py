"""Patches of the example applications: the repair is proved, what only looks like one is not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from queryscope.cli.main import main

EXAMPLES = Path(__file__).resolve().parents[2] / "example_apps"
FLASK = EXAMPLES / "booking_sqlalchemy"
DJANGO = EXAMPLES / "booking_django"
BOTH = pytest.mark.parametrize("example", [DJANGO, FLASK], ids=["django", "sqlalchemy"])
DETAIL, DISCOVERY, BOARD = "GET /items/{id}", "GET /discovery", "GET /admin-board/"
ASKED = ("/items/7 as caller", "/items/3 as planless")


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    """Return what judges a patch of an example, with one store for what all of them need."""
    folder = tmp_path_factory.mktemp("patches")

    def judge(example, patch, *requests, variants):
        report = folder / "report.json"
        report.unlink(missing_ok=True)
        asked = [word for one in requests for word in ("--request", one)]
        code = main(
            ["--store", str(folder / example.name / "traces.db"), "verify",
             "--project", str(example), "--patch", str(example / "patches" / f"{patch}.diff"),
             *asked, "--variants", str(variants), "--format", "json", "--output", str(report)]
        )  # fmt: skip
        return code, json.loads(report.read_text(encoding="utf-8"))

    return judge


@BOTH
def test_repair_of_the_detail_endpoint_is_proved(judged, example):
    """From 30 to 40 statements and 5 sessions to 5 and 1, with every answer what it was."""
    code, found = judged(example, "detail", *ASKED, variants=6)
    assert code == 0, found["reason"]
    before, after = found["before"][DETAIL], found["after"][DETAIL]
    assert before["statements"] > 30 * len(ASKED)
    assert after["statements"] <= 5 * len(ASKED)
    assert (before["sessions"], after["sessions"]) == (5 * len(ASKED), len(ASKED))


@BOTH
def test_repair_of_discovery_is_proved(judged, example):
    """At most 8 statements, with a working day and a filter."""
    request = "/discovery?min_capacity=40&page_size=5&date=2026-03-03"
    code, found = judged(example, "discovery", request, variants=1)
    assert code == 0, found["reason"]
    assert found["before"][DISCOVERY]["statements"] > 30
    assert found["after"][DISCOVERY]["statements"] <= 8


@BOTH
def test_repair_of_the_board_is_proved(judged, example):
    """Two statements, whatever the template reads."""
    code, found = judged(example, "board", "/admin-board/", variants=1)
    assert code == 0, found["reason"]
    assert found["before"][BOARD]["statements"] > 50
    assert found["after"][BOARD]["statements"] == 2


@BOTH
def test_filter_that_breaks_for_capacity_zero_is_refused(judged, example):
    """The empty page of the case study: the request with 0 is shown."""
    request = "/discovery?min_capacity=40&page_size=5"
    code, found = judged(example, "wrong_discovery_capacity_zero", request, variants=8)
    assert code == 1, found["reason"]
    assert "min_capacity=0" in found["counterexample"]["request"]["target"]


@pytest.mark.parametrize(
    ("example", "name", "kind"),
    [
        (FLASK, "inner_join", "answer"),
        (FLASK, "permission_dropped", "answer"),
        (FLASK, "swallowed_error", "answer"),
        (FLASK, "does_not_boot", "boot"),
        (FLASK, "comment_only", "no effect"),
        (DJANGO, "permission_dropped", "answer"),
        (DJANGO, "does_not_boot", "boot"),
        (DJANGO, "comment_only", "no effect"),
    ],
)
def test_wrong_repair_of_the_detail_endpoint_is_refused(judged, example, name, kind):
    """Each teaches what it broke."""
    code, found = judged(example, f"wrong_detail_{name}", *ASKED, variants=6)
    assert code == 1, found["reason"]
    assert found["constraint"]["kind"] == kind


def test_repair_that_boots_in_a_plain_process_alone_is_refused(judged):
    """Gevent takes away what it imports: the command of production shows it, and why."""
    code, found = judged(DJANGO, "wrong_detail_not_under_gevent", *ASKED, variants=1)
    assert code == 1, found["reason"]
    assert found["constraint"]["kind"] == "boot"
    assert "cannot import name 'EpollSelector'" in found["reason"]
