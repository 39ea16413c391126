"""What stands in a report without findings."""

from __future__ import annotations

from queryscope.detectors import registry
from queryscope.report.view import report_of
from tests.builders import a_checkout, a_finding, a_session, a_trace, some


def test_clean_trace_says_what_was_looked_at():
    """The sentence counts what there was, nested Traces included."""
    inner = a_trace(*some(2), id="inner")
    trace = a_trace(*some(1), sessions=[a_session()], checkouts=[a_checkout()], children=(inner,))
    clean = report_of(trace, ()).clean
    assert clean.sentence == (
        "Nothing to mend was found in 3 statements, 1 session and 1 checkout."
    )
    assert report_of(a_trace(*some(1)), ()).clean.sentence.endswith("found in 1 statement.")


def test_clean_trace_says_what_was_looked_for():
    """Every detector is named, but for those that failed."""
    clean = report_of(a_trace(*some(1)), ()).clean
    names = {code: item.NAME for code, item in registry.for_a_trace().items()}
    assert clean.looked_for == tuple(names.values())
    failed = report_of(a_trace(*some(1)), (), failed_detectors=["QS101", ("QS505", KeyError("z"))])
    assert {*clean.looked_for} - {*failed.clean.looked_for} == {names["QS101"], names["QS505"]}


def test_trace_without_facts_was_not_judged():
    """Where nothing was recorded, nothing is said to be clean."""
    clean = report_of(a_trace(), ()).clean
    assert clean.sentence == "No statement was recorded, so there was nothing to judge."
    assert clean.looked_for == ()


def test_trace_with_findings_is_not_clean():
    """With a finding there is no such sentence."""
    assert report_of(a_trace(*some(1)), [a_finding(severity="info")]).clean is None
