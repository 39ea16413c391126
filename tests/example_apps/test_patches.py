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


def judged(tmp_path, example, patch, *requests, variants):
    """Return exit code and report of a patch of an example."""
    report = tmp_path / "report.json"
    asked = [word for one in requests for word in ("--request", one)]
    code = main(
        ["--store", str(tmp_path / "traces.db"), "verify", "--project", str(example),
         "--patch", str(example / "patches" / f"{patch}.diff"), *asked,
         "--variants", str(variants), "--format", "json", "--output", str(report)]
    )  # fmt: skip
    return code, json.loads(report.read_text(encoding="utf-8"))


@BOTH
def test_repair_of_the_detail_endpoint_is_proved(tmp_path, example):
    """From 30 to 40 statements and 5 sessions to 5 and 1, with every answer what it was."""
    code, found = judged(tmp_path, example, "detail", *ASKED, variants=6)
    assert code == 0, found["reason"]
    before, after = found["before"][DETAIL], found["after"][DETAIL]
    assert before["statements"] > 30 * len(ASKED)
    assert after["statements"] <= 5 * len(ASKED)
    assert (before["sessions"], after["sessions"]) == (5 * len(ASKED), len(ASKED))


@BOTH
def test_repair_of_discovery_is_proved(tmp_path, example):
    """At most 8 statements, with a working day and a filter."""
    request = "/discovery?min_capacity=40&page_size=5&date=2026-03-03"
    code, found = judged(tmp_path, example, "discovery", request, variants=4)
    assert code == 0, found["reason"]
    assert found["before"][DISCOVERY]["statements"] > 30
    assert found["after"][DISCOVERY]["statements"] <= 8


@BOTH
def test_repair_of_the_board_is_proved(tmp_path, example):
    """Two statements, whatever the template reads."""
    code, found = judged(tmp_path, example, "board", "/admin-board/", variants=1)
    assert code == 0, found["reason"]
    assert found["before"][BOARD]["statements"] > 50
    assert found["after"][BOARD]["statements"] == 2


@BOTH
def test_filter_that_breaks_for_capacity_zero_is_refused(tmp_path, example):
    """The empty page of the case study: the request with 0 is shown."""
    request = "/discovery?min_capacity=40&page_size=5"
    code, found = judged(tmp_path, example, "wrong_discovery_capacity_zero", request, variants=8)
    assert code == 1, found["reason"]
    assert "min_capacity=0" in found["counterexample"]["request"]["target"]


@BOTH
@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("inner_join", "answer"),
        ("permission_dropped", "answer"),
        ("swallowed_error", "answer"),
        ("does_not_boot", "boot"),
        ("comment_only", "no effect"),
    ],
)
def test_wrong_repair_of_the_detail_endpoint_is_refused(tmp_path, example, name, kind):
    """Each teaches what it broke."""
    code, found = judged(tmp_path, example, f"wrong_detail_{name}", *ASKED, variants=6)
    assert code == 1, found["reason"]
    assert found["constraint"]["kind"] == kind


def test_repair_that_boots_in_a_plain_process_alone_is_refused(tmp_path):
    """Gevent takes away what it imports: the command of production shows it, and why."""
    code, found = judged(tmp_path, DJANGO, "wrong_detail_not_under_gevent", *ASKED, variants=1)
    assert code == 1, found["reason"]
    assert found["constraint"]["kind"] == "boot"
    assert "cannot import name 'EpollSelector'" in found["reason"]
