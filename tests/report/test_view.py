"""The view of a Trace: figures, findings, groups, limits; no markup in it."""

from __future__ import annotations

import time

import pytest

from queryscope.detectors.finding import Cost
from queryscope.report.view import MAX_NESTED, report_of
from queryscope.report.views import connections, findings, stages, statements
from queryscope.report.views.lists import list_entry
from queryscope.trace.guard import Failure
from tests.builders import (
    BOOK_BY_KEY,
    MS,
    a_checkout,
    a_finding,
    a_frame,
    a_load,
    a_query,
    a_session,
    a_stage,
    a_trace,
    a_transaction,
    an_origin,
    some,
)
from tests.report.pages import a_full_trace, some_findings


def figures(trace, findings=()):
    """Return the headline's numbers by their key."""
    return {figure.key: figure.value for figure in report_of(trace, findings).figures}


def times(trace):
    """Return the milliseconds of each segment."""
    return {part.kind: part.duration_ns / MS for part in report_of(trace, ()).split.segments}


def test_headline_counts_nested_traces():
    """Numbers cover the whole subtree, as budgets do."""
    inner = a_trace(*some(3), id="inner", sessions=[a_session()])
    trace = a_trace(*some(2), a_query("COMMIT"), children=(inner,), transactions=[a_transaction()])
    found = figures(trace, [a_finding()])
    assert found["statements"] == "5"
    assert found["rows"] == "6"
    assert (found["sessions"], found["transactions"], found["findings"]) == ("1", "1", "1")
    notes = {figure.key: figure.note for figure in report_of(trace, ()).figures}
    assert notes["statements"] == "3 in nested Traces, and 1 of transactions or catalogue"


def test_dropped_statements_are_counted():
    """Statements over the cap are in the number and in the time."""
    trace = a_trace(*some(2), duration_ns=100 * MS, dropped={"queries": 40, "query_ns": 30 * MS})
    assert figures(trace)["statements"] == "42"
    assert times(trace)["database"] == 32


def test_connections_at_once_are_the_most_held():
    """Two of three overlap; a time-out holds none."""
    trace = a_trace(
        checkouts=[
            a_checkout(asked_ns=0, returned_ns=20 * MS, connection=1),
            a_checkout(asked_ns=10 * MS, returned_ns=30 * MS, connection=2),
            a_checkout(asked_ns=30 * MS, returned_ns=40 * MS, connection=3),
            a_checkout(got_ns=None, connection=None, returned_ns=None, error="TimeoutError"),
        ]
    )
    assert figures(trace)["connections"] == "2"


def test_without_a_pool_connections_are_those_used():
    """On Django without a pool there is nothing to hold: connections used are counted."""
    trace = a_trace(a_query(connection=4), a_query(connection=5), a_query(connection=4))
    figure = next(f for f in report_of(trace, ()).figures if f.key == "connections")
    assert (figure.value, figure.label, figure.note) == ("2", "connections", "no pool")


def test_time_is_split_without_overlap():
    """Statements of two threads at once count once; waiting beside them does not count again."""
    trace = a_trace(
        a_query(start_ns=10 * MS, duration_ns=40 * MS, thread=1),
        a_query(start_ns=30 * MS, duration_ns=40 * MS, thread=2),
        checkouts=[
            a_checkout(asked_ns=20 * MS, waited_ns=60 * MS, connect_ns=5 * MS, returned_ns=90 * MS)
        ],
        duration_ns=100 * MS,
    )
    assert times(trace) == {"database": 60, "wait": 10, "connect": 5, "own": 25}
    assert "80.0 ms in statements, 60.0 ms in pool wait" in report_of(trace, ()).split.note


def test_time_of_nested_traces_is_the_outer_ones():
    """A nested Trace's statements lie in the outer wall time, at their moment."""
    begin = 1_700_000_000_000_000_000
    inner = a_trace(
        a_query(start_ns=5 * MS, duration_ns=20 * MS),
        id="inner",
        started_at_ns=begin + 50 * MS,
        duration_ns=40 * MS,
    )
    trace = a_trace(
        a_query(start_ns=60 * MS, duration_ns=10 * MS),
        started_at_ns=begin,
        duration_ns=100 * MS,
        children=(inner,),
    )
    assert times(trace) == {"database": 20, "wait": 0, "own": 80}


def test_statements_are_grouped_by_shape_and_origin():
    """One shape from two lines is two groups, the dearest first."""
    trace = a_trace(
        *some(3, parameters=lambda n: (n % 2,), origin=41, duration_ns=MS),
        *some(2, origin=52, duration_ns=5 * MS),
        a_query("SELECT 1 FROM library_book", origin=41),
    )
    groups = report_of(trace, ()).groups
    assert [(g.count, g.steps[0].line, g.total_ns // MS) for g in groups] == [
        (2, 52, 10),
        (3, 41, 3),
        (1, 41, 1),
    ]
    assert groups[1].parameter_sets == 2


def test_equal_origins_are_one_group():
    """Origins are compared by what they say: a stored Trace has an object for each."""
    queries = [a_query(origin=an_origin(a_frame(), a_frame(9))) for _ in range(3)]
    assert [group.count for group in report_of(a_trace(*queries), ()).groups] == [3]


def test_values_are_shown_only_where_kept():
    """Without kept parameters neither they nor literals of the text show, nor do errors' quotes."""
    statement = "SELECT a FROM t WHERE name = 'ada' AND id = %s"
    facts = {"parameters": ("lovelace",), "error": "DataError: bad value 'byron'"}
    kept = report_of(a_trace(a_query(statement, keep=True, **facts)), ())
    folded = report_of(a_trace(a_query(statement, **facts)), ())
    shown, hidden = repr(kept), repr(folded)
    for secret in ("ada", "lovelace", "byron"):
        assert secret in shown
        assert secret not in hidden
    assert folded.groups[0].text_is_shape


def test_label_says_what_the_orm_did():
    """A lazy load is named by class and attribute, a batch by its parents, a get by its model."""
    trace = a_trace(
        a_query("SELECT 1 FROM a", operation="lazy", load=a_load()),
        a_query(
            "SELECT 1 FROM b",
            operation="prefetch",
            load=a_load("tags", relation="many_to_many", parent=None, parents=20, batched=True),
        ),
        a_query("SELECT 1 FROM c", operation="get", model="library.Book"),
        a_query("SELECT 1 FROM d"),
    )
    labels = {group.head[-1]: group.label for group in report_of(trace, ()).groups}
    assert labels == {
        "a": "lazy Book.publisher",
        "b": "prefetch Book.tags for 20 parents",
        "c": "get Book",
        "d": "",
    }


def test_findings_stand_by_severity_and_cost():
    """The gravest first, then the dearest, nested Traces' among them and named."""
    inner = a_trace(*some(1), id="inner", name="GET /inner/")
    trace = a_trace(*some(3), children=(inner,))
    report = report_of(
        trace,
        [
            a_finding("QS201", severity="info", cost=Cost(duration_ns=90 * MS)),
            a_finding("QS101", cost=Cost(duration_ns=2 * MS), queries=(0, 2)),
            a_finding("QS102", cost=Cost(duration_ns=8 * MS), trace_id="inner", queries=(0,)),
            a_finding("QS505", severity="critical", cost=Cost(connection_ns=1)),
        ],
    )
    found = [(finding.code, finding.nested_name) for finding in report.findings]
    assert found == [("QS505", ""), ("QS102", "GET /inner/"), ("QS101", ""), ("QS201", "")]
    assert "QS505" in report.summary


def test_finding_names_the_groups_it_explains():
    """A finding points at its groups, and they carry its code."""
    trace = a_trace(*some(2, origin=41), *some(3, origin=52))
    report = report_of(trace, [a_finding(queries=(2, 3, 4))])
    mention = report.findings[0].mentions[0]
    group = next(g for g in report.groups if g.anchor == mention.anchor)
    assert (mention.times, group.count, group.codes) == (3, 3, ("QS101",))
    assert next(g for g in report.groups if g is not group).codes == ()


def test_finding_of_unknown_statements_is_shown():
    """Numbers that no statement has, after a cap, do no harm."""
    report = report_of(a_trace(*some(2)), [a_finding(queries=(0, 99, -1))])
    assert sum(mention.times for mention in report.findings[0].mentions) == 1


def test_page_of_a_code_is_embedded_once():
    """Two findings of one code share its page."""
    findings = [a_finding("QS505"), a_finding("QS505"), a_finding("QS999")]
    found = report_of(a_trace(), findings).findings
    by_code = {code: [item for item in found if item.code == code] for code in ("QS505", "QS999")}
    assert [item.page is not None for item in by_code["QS505"]] == [True, False]
    assert len({item.page_anchor for item in by_code["QS505"]}) == 1
    assert by_code["QS999"][0].page is None


def test_executions_are_columns_of_every_statement():
    """Each statement kept is in the columns, in the order of the Trace."""
    trace = a_trace(
        *some(4, parameters=lambda n: (n,), keep=True, rows=lambda n: n, stage=0),
        a_query("DELETE FROM t", rows=None, error="E: x", session=0, parameters=None),
        stages=[a_stage("view")],
    )
    columns = report_of(trace, ()).executions
    assert columns.rows == (0, 1, 2, 3, -1)
    assert columns.parameter_set == (0, 1, 2, 3, -1)
    assert columns.error == (-1, -1, -1, -1, 0)
    assert columns.stage == (0, 0, 0, 0, -1)
    assert columns.stages == ("view",)
    assert columns.session == (-1, -1, -1, -1, 0)
    assert dict(columns.values[columns.group[2]])[2] == "2"


def test_checkout_states_are_told_apart():
    """Returned, not returned and failed are three states; idle is held less busy."""
    trace = a_trace(
        checkouts=[
            a_checkout(returned_ns=10 * MS, busy_ns=4 * MS),
            a_checkout(returned_ns=None, size=None),
            a_checkout(got_ns=None, returned_ns=None, connection=None, error="TimeoutError: 30 s"),
        ]
    )
    rows = report_of(trace, ()).checkouts
    assert [row.state for row in rows] == ["returned", "not returned", "TimeoutError: 30 s"]
    assert [row.capacity for row in rows] == ["5 + 0", "no bound", "5 + 0"]
    assert (rows[0].held_ns, rows[0].idle_ns) == (10 * MS, 6 * MS)


def test_connection_has_one_number_everywhere():
    """Statements, checkouts, transactions and the timeline call a connection by one number."""
    trace = a_trace(
        a_query("SELECT 1 FROM a", connection=77, checkout=2),
        a_query("SELECT 1 FROM b", connection=55, checkout=1),
        checkouts=[
            a_checkout(got_ns=None, connection=None, returned_ns=None, error="TimeoutError"),
            a_checkout(connection=55),
            a_checkout(connection=77),
        ],
        transactions=[a_transaction(connection=77)],
    )
    report = report_of(trace, ())
    assert report.executions.connection == (1, 0)
    assert [row.connection for row in report.checkouts] == [None, 0, 1]
    assert report.transactions[0].connection == 1
    lane = next(lane for lane in report.timeline.lanes if lane.key == "connections")
    assert [row.label for row in lane.rows] == ["no connection", "connection 0", "connection 1"]


def test_notes_tell_what_is_missing():
    """Caps, orphans, hook failures and failed detectors are all named with their numbers."""
    failures = (Failure("django.execute", "KeyError: x", 2), Failure("pool", "TypeError: y", 1))
    inner = a_trace(id="inner", failures=failures)
    trace = a_trace(
        dropped={"queries": 7, "query_ns": 9 * MS, "stages": 4},
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


def test_clean_trace_says_so():
    """Without findings the summary says that nothing is to mend."""
    assert report_of(a_trace(*some(1)), ()).summary.endswith("Nothing was found to mend.")


def test_empty_trace_has_a_report():
    """A Trace of no facts and no time is shown as what it is."""
    report = report_of(a_trace(duration_ns=0, name=""), ())
    assert report.groups == ()
    assert report.timeline.lanes == ()
    assert report.name == "request"


def test_lists_are_bounded_and_say_so():
    """Groups, nested Traces, findings and table rows have limits, and the rest is counted."""
    distinct = some(statements.MAX_GROUPS + 9, lambda n: f"SELECT c{n} FROM t{n}")
    children = tuple(a_trace(id=f"n{n}") for n in range(MAX_NESTED + 3))
    trace = a_trace(
        *distinct,
        children=children,
        sessions=[a_session()] * (connections.MAX_ROWS + 1),
        stages=[a_stage()] * (stages.MAX_ROWS + 2),
    )
    report = report_of(trace, [a_finding()] * (findings.MAX_FINDINGS + 4))
    assert (len(report.groups), report.groups_rest.count) == (statements.MAX_GROUPS, 9)
    assert report.groups_rest.queries == 9
    assert (len(report.nested), report.nested_left) == (MAX_NESTED, 3)
    assert (len(report.findings), report.findings_left) == (findings.MAX_FINDINGS, 4)
    assert (len(report.sessions), report.sessions_left) == (connections.MAX_ROWS, 1)
    assert (len(report.stages), report.stages_left) == (stages.MAX_ROWS, 2)


def test_sql_in_one_report_is_bounded():
    """However many long statements there are, what is shown and laid out has a limit."""
    body = "a_long_column, " * 1_200
    trace = a_trace(*some(60, lambda n: f"SELECT {body} y FROM t{n}", keep=True))
    texts = ["".join(p.text for p in group.text) for group in report_of(trace, ()).groups]
    assert sum(map(len, texts)) < statements.MAX_SQL_CHARS + 60 * statements.CUT_SQL_CHARS + 25_000
    laid_out = sum(len(text) for text in texts if "\n" in text)
    assert 0 < laid_out < 1.5 * statements.MAX_LAID_OUT_CHARS


def test_ten_thousand_statements_are_viewed_in_time():
    """The view of 10,000 statements takes a fraction of a second, even on a busy machine."""
    queries = some(10_000, BOOK_BY_KEY, parameters=lambda n: (n,), keep=True, origin=an_origin())
    trace = a_trace(*queries)
    report_of(trace, ())
    best = min(_seconds(trace) for _ in range(3))
    assert best < 0.5


def _seconds(trace):
    start = time.perf_counter()
    report_of(trace, ())
    return time.perf_counter() - start


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
