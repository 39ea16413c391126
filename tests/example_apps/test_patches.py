"""Patches of the example applications: the repair is proved, what only looks like one is not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from queryscope.cli.main import main

EXAMPLES = Path(__file__).resolve().parents[2] / "example_apps"
FLASK = EXAMPLES / "booking_sqlalchemy"
DETAIL = "GET /items/{id}"


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


def test_repair_of_the_detail_endpoint_is_proved(tmp_path):
    """From 40 statements and 5 sessions to 5 and 1, with every answer what it was."""
    asked = ["/items/7 as caller", "/items/3 as planless"]
    code, found = judged(tmp_path, FLASK, "detail", *asked, variants=6)
    assert code == 0, found["reason"]
    before, after = found["before"][DETAIL], found["after"][DETAIL]
    assert before["statements"] > 30 * len(asked)
    assert after["statements"] <= 5 * len(asked)
    assert (before["sessions"], after["sessions"]) == (5 * len(asked), len(asked))


def test_filter_that_breaks_for_capacity_zero_is_refused(tmp_path):
    """The empty page of the case study: the request with 0 is shown."""
    request = "/discovery?min_capacity=40&page_size=5"
    code, found = judged(tmp_path, FLASK, "wrong_discovery_capacity_zero", request, variants=8)
    assert code == 1, found["reason"]
    assert "min_capacity=0" in found["counterexample"]["request"]["target"]


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
def test_wrong_repair_of_the_detail_endpoint_is_refused(tmp_path, name, kind):
    """Each teaches what it broke."""
    asked = ["/items/7 as caller", "/items/3 as planless"]
    code, found = judged(tmp_path, FLASK, f"wrong_detail_{name}", *asked, variants=6)
    assert code == 1, found["reason"]
    assert found["constraint"]["kind"] == kind
