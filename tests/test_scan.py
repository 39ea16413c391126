"""Recorded traffic summed up: endpoints, lines, codes, and what only several Traces show."""

from __future__ import annotations

from dataclasses import replace

from queryscope.detectors.finding import Known
from queryscope.detectors.registry import Judged, judge_all
from queryscope.scan import scan_of
from tests.builders import MS, a_load, a_query, a_trace, some


def a_request(ident, route="books/", loads=0, **facts):
    """Return a request that loads so many publishers one by one, judged."""
    queries = [
        a_query('SELECT "id" FROM "library_book"', rows=9, model="library.Book", origin=38),
        *some(
            loads,
            parameters=lambda n: (n,),
            load=lambda n: a_load(parent=n, parent_query=0),
            operation="lazy",
            **facts,
        ),
    ]
    attributes = {"method": "GET", "route": route, "path": f"/{route}"}
    trace = a_trace(*queries, id=ident, name=f"GET /{route}", attributes=attributes)
    return Judged(trace, judge_all(trace))


def test_nothing_recorded_is_no_waste():
    """An empty store has a ratio, too."""
    scan = scan_of([])
    assert (scan.traces, scan.endpoints, scan.findings, scan.total.ratio) == (0, (), (), 0.0)


def test_endpoint_that_wastes_most_time_is_first():
    """Time goes before number: ten quick statements are less than five slow ones."""
    quick = [a_request("a", "quick/", 10)]
    slow = [a_request("b", "slow/", 5, duration_ns=9 * MS)]
    scan = scan_of([a_request("c", "clean/"), *quick, *slow])
    assert [item.name for item in scan.endpoints] == ["GET /slow/", "GET /quick/", "GET /clean/"]
    assert scan.endpoints[2].account.ratio == 0.0


def test_requests_of_one_route_are_one_endpoint():
    """Counts, codes and lines are summed over its requests."""
    scan = scan_of([a_request("a", loads=6), a_request("b", loads=10), a_request("c")])
    (endpoint,) = scan.endpoints
    assert (endpoint.name, endpoint.traces) == ("GET /books/", 3)
    assert endpoint.account.spent.statements == 19
    assert endpoint.codes == {"QS101": 2}
    loop, select = endpoint.lines
    assert (loop.traces, loop.account.wasted.statements, loop.codes) == (2, 16, {"QS101": 2})
    assert loop.line.place.line == 41
    assert loop.finding.count == 10
    assert (select.traces, select.codes, select.finding) == (3, {}, None)


def test_findings_of_one_place_are_one():
    """Two requests with one loop have one finding, twice; the dearest stands for it."""
    scan = scan_of([a_request("a", loads=6), a_request("b", loads=10), a_request("c")])
    (found,) = scan.endpoints[0].findings
    assert (found.traces, found.finding.count, found.cost_ns) == (2, 10, 16 * MS)


def test_ratio_is_over_all_statements():
    """One request of 11 with 10 to spare, and one of 1: ten of twelve."""
    scan = scan_of([a_request("a", loads=10), a_request("b", "other/")])
    assert scan.total.ratio == 10 / 12


def test_known_findings_waste_nothing():
    """What a baseline or a comment knows is neither counted nor named."""
    trace, findings = a_request("a", loads=6)
    known = tuple(replace(item, known=Known("baseline", "file")) for item in findings)
    (endpoint,) = scan_of([Judged(trace, known)]).endpoints
    assert (endpoint.account.ratio, endpoint.codes) == (0.0, {})


def test_what_only_several_traces_show_is_found():
    """A table that twelve different requests read again."""
    rates = a_query('SELECT "percent" FROM "shop_taxrate"', parameters=(), rows=6)
    recorded = [
        Judged(
            a_trace(
                rates,
                id=f"t{n}",
                attributes={"method": "GET", "route": "b/<pk>", "path": f"/b/{n}"},
            ),
            (),
        )
        for n in range(12)
    ]
    scan = scan_of(recorded)
    assert [item.code for item in scan.findings] == ["QS209"]
    assert scan_of(recorded, chosen={"request_constant_min_traces": 13}).findings == ()
