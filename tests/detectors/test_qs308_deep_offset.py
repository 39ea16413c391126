"""QS308: pages far behind, and pages that are not."""

from __future__ import annotations

import pytest

from tests.builders import a_query, a_trace
from tests.detectors.judging import said

PAGE = 'SELECT "book"."id" FROM "book" ORDER BY "book"."id"'


def judged(*queries, **facts):
    """Return what is said of pages."""
    return said(a_trace(*queries, **facts), "QS308")


@pytest.mark.parametrize("end", ["", " LIMIT 50", " LIMIT 50 OFFSET 0", " LIMIT 50 OFFSET 999"])
def test_early_pages_are_clean(end):
    """Few rows are passed over."""
    assert judged(a_query(PAGE + end, rows=50)) == []


def test_large_limit_is_clean():
    """Those rows are handed out."""
    assert judged(a_query(PAGE + " LIMIT 5000", rows=5_000)) == []


def test_offset_further_in_is_clean():
    """Which page an inner SELECT is on is not known."""
    inner = f"SELECT COUNT(*) FROM ({PAGE} LIMIT 10 OFFSET 50000) AS page"
    assert judged(a_query(inner)) == []


def test_script_that_walks_is_clean():
    """Nobody waits for it."""
    assert judged(a_query(PAGE + " LIMIT 50 OFFSET 50000"), kind="script") == []


@pytest.mark.parametrize(
    ("end", "parameters", "vendor"),
    [
        ("LIMIT 50 OFFSET 5000", (), "postgresql"),
        ("LIMIT ? OFFSET ?", (50, 5_000), "sqlite"),
        ("LIMIT %(p_1)s OFFSET %(p_2)s", {"p_2": 5_000, "p_1": 50}, "postgresql"),
        ("LIMIT $1::INTEGER OFFSET $2::INTEGER", (50, 5_000), "postgresql"),
        ("LIMIT %s, %s", (5_000, 50), "mysql"),
    ],
)
def test_deep_page_is_found(end, parameters, vendor):
    """Written out or as a parameter of any driver."""
    (finding,) = judged(a_query(f"{PAGE} {end}", parameters=parameters, vendor=vendor, rows=50))
    assert (finding.severity, finding.count) == ("warning", 1)
    assert finding.evidence["offset"] == 5_000
    assert "5,000 rows" in finding.message


def test_pages_of_one_line_are_one_finding():
    """With the deepest of them."""
    pages = [a_query(f"{PAGE} LIMIT 50 OFFSET {n}000", rows=50) for n in range(1, 15)]
    (finding,) = judged(*pages)
    assert (finding.count, finding.severity) == (14, "warning")
    assert finding.evidence["offset"] == 14_000


def test_threshold_is_a_setting():
    """What is deep depends on the table."""
    page = a_trace(a_query(PAGE + " LIMIT 5 OFFSET 10", rows=5))
    assert len(said(page, "QS308", deep_offset_min_rows=10)) == 1
