"""The lines of a list of Traces."""

from __future__ import annotations

import pytest

from queryscope.report.views.lists import list_entry
from tests.builders import a_trace
from tests.report.pages import a_full_trace, some_findings


def test_list_entry_sums_the_subtree():
    """A line of the list counts nested Traces and names the gravest severity."""
    trace = a_full_trace()
    entry = list_entry(trace, some_findings())
    assert (entry.method, entry.route, entry.status) == ("GET", "/books/", "500")
    assert entry.statements == trace.statements + 2
    assert entry.sessions == 2
    assert (entry.findings, entry.worst) == (3, "critical")
    assert entry.codes == ("QS503", "QS101", "QS201")


@pytest.mark.parametrize(
    ("name", "kind", "method", "route"),
    [
        ("POST /orders/", "request", "POST", "/orders/"),
        ("/orders/", "request", "", "/orders/"),
        ("POST office", "task", "", "POST office"),
    ],
)
def test_method_is_taken_from_the_name_of_a_request(name, kind, method, route):
    """Without an attribute the method is the first word of a request's name."""
    entry = list_entry(a_trace(name=name, kind=kind), ())
    assert (entry.method, entry.route) == (method, route)
