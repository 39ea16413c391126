"""Known findings in the reports: below the open ones, with the reason, and never counted."""

from __future__ import annotations

import json
import re
import time

import pytest

from queryscope.detectors.finding import Known
from queryscope.detectors.registry import Judged
from queryscope.report import console, html
from queryscope.report import json as report_json
from queryscope.report.view import report_of
from queryscope.report.views.findings import in_order
from queryscope.report.views.lists import list_entry
from queryscope.store.file import Store
from tests.builders import a_finding, a_trace, some
from tests.report.pages import HOSTILE

BASELINE = Known("baseline", "queryscope-baseline.toml", "goes in spring", "ada", "2027-03-31")
GRAVE = a_finding(severity="critical", message="very grave", known=BASELINE)
OPEN = a_finding("QS201", name="duplicate-select", severity="info", message="quite mild")


def test_open_findings_come_first():
    """A mild one that is open asks more of the reader than a grave one that is known."""
    assert in_order([GRAVE, OPEN]) == [OPEN, GRAVE]


def test_numbers_are_of_open_findings():
    """The headline, the list and the line of the console count what is open."""
    trace = a_trace(*some(3))
    report = report_of(trace, [GRAVE, OPEN])
    (figure,) = [one for one in report.figures if one.key == "findings"]
    assert (figure.value, figure.note) == ("1", "1 info, 1 known")
    entry = list_entry(trace, [GRAVE, OPEN])
    assert (entry.findings, entry.worst, entry.codes) == (1, "info", ("QS201",))
    assert "1 finding" in console.one_line(trace, [GRAVE, OPEN])


def test_store_lists_open_findings(tmp_path):
    """The store keeps both, and its list says what is open."""
    store = Store(str(tmp_path / "traces.db"))
    trace = a_trace(id="one", started_at_ns=time.time_ns())
    store.add([Judged(trace, (GRAVE, OPEN))])
    (summary,) = store.list()
    assert (summary.critical, summary.info, summary.codes) == (0, 1, "QS201")
    assert store.get("one").findings == (GRAVE, OPEN)
    store.close()


@pytest.mark.parametrize(
    ("known", "sentence"),
    [
        (
            BASELINE,
            "Known in queryscope-baseline.toml, of ada, until 2027-03-31: goes in spring",
        ),
        (Known("comment", "app/views.py:12", "few rows"), "Ignored at app/views.py:12: few rows"),
        (Known("comment", "app/views.py:12"), "Ignored at app/views.py:12."),
        (Known("path", "app/legacy/*", "ignored there"), "settings of app/legacy/*: ignored there"),
    ],
)
def test_each_form_says_why(known, sentence):
    """Whoever reads a report sees who decided what, and where it stands."""
    trace, findings = a_trace(*some(3)), [a_finding(known=known)]
    assert sentence in html.render(trace, findings)
    assert sentence in " ".join(console.render(trace, findings, width=120).split())
    (found,) = json.loads(report_json.render(trace, findings))["findings"]
    assert found["known"] == known._asdict()


def test_open_finding_has_no_known():
    """In the document the name is always there."""
    (found,) = report_json.to_json(a_trace(), [OPEN])["findings"]
    assert found["known"] is None


def test_page_with_known_findings_alone_is_clean():
    """Nothing new was found; nobody is asked to look at what is known first."""
    page = html.render(a_trace(*some(3)), [GRAVE])
    assert "Nothing new was found in" in page
    assert "Look first at" not in page
    assert re.search(r'class="finding known"', page)


def test_reason_is_text_not_markup():
    """A baseline is written by people, and may hold anything."""
    known = Known("baseline", HOSTILE, HOSTILE, HOSTILE, HOSTILE)
    page = html.render(a_trace(*some(3)), [a_finding(known=known)])
    assert "<img src=x" not in page
    assert "\x1b" not in console.render(a_trace(), [a_finding(known=known)])
