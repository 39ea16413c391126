"""The JSON document of a Trace."""

from __future__ import annotations

import json

import pytest

from queryscope.detectors.finding import Cost
from queryscope.report import json as report_json
from tests.builders import MS, a_checkout, a_finding, a_query, a_trace, some
from tests.report.pages import HOSTILE, a_full_trace, poisoned, some_findings


def test_document_names_its_schema():
    """A reader can tell what it has before it looks further."""
    document = json.loads(report_json.render(a_trace(), []))
    assert (document["schema"], document["schema_version"]) == ("queryscope.report", 1)
    assert set(document) == {
        "schema", "schema_version", "trace", "findings", "findings_left", "notes",
    }  # fmt: skip


def test_every_query_names_its_group():
    """Groups and queries fit together: counts and times agree."""
    trace = a_full_trace()
    document = report_json.to_json(trace, some_findings())["trace"]
    assert len(document["queries"]) == len(trace.queries)
    for number, group in enumerate(document["groups"]):
        mine = [query for query in document["queries"] if query["group"] == number]
        assert len(mine) == group["count"]
        assert sum(q["duration_ms"] for q in mine) == pytest.approx(group["total_ms"], abs=0.01)
        assert max(q["duration_ms"] for q in mine) == pytest.approx(group["longest_ms"], abs=0.01)


def test_times_add_up_to_the_duration():
    """The parts of the wall time are the wall time."""
    trace = a_full_trace()
    document = report_json.to_json(trace, [])["trace"]
    assert sum(document["time"].values()) == pytest.approx(document["duration_ms"], abs=0.01)
    assert document["duration_ms"] == trace.duration_ns / MS


def test_totals_include_nested_traces():
    """Totals are those that budgets count."""
    trace = a_full_trace()
    document = report_json.to_json(trace, [])["trace"]
    assert document["totals"]["statements"] == trace.statements + 2
    assert document["totals"]["sessions"] == 2
    assert document["nested"][0]["id"] == "inner"
    assert document["nested"][0]["totals"]["statements"] == 2


def test_finding_says_where_and_what_to_write():
    """A finding carries origin, mend and its statements."""
    found = report_json.to_json(a_full_trace(), some_findings())["findings"]
    assert [item["code"] for item in found] == ["QS503", "QS101", "QS201"]
    n_plus_one = found[1]
    assert n_plus_one["mend"]["write"] == '.select_related("publisher")'
    assert (n_plus_one["mend"]["at"]["file"], n_plus_one["mend"]["at"]["line"]) == (
        "/srv/app/library/views.py",
        38,
    )
    assert n_plus_one["origin"][0]["tag"] == "book.publisher.name"
    assert n_plus_one["origin"][1]["function"] == "book_list"
    assert n_plus_one["queries"] == [1, 2, 3, 4, 5]
    assert found[2]["trace"] == "inner"
    assert n_plus_one["fingerprint"] == some_findings()[0].fingerprint


def test_values_are_there_only_where_kept():
    """Without kept values parameters are null and SQL is the shape."""
    kept = report_json.to_json(a_trace(a_query(parameters=("ada",), keep=True)), [])["trace"]
    folded = report_json.to_json(a_trace(a_query(parameters=("ada",))), [])["trace"]
    assert kept["queries"][0]["parameters"] == "'ada'"
    assert folded["queries"][0]["parameters"] is None
    assert (kept["groups"][0]["is_shape"], folded["groups"][0]["is_shape"]) == (False, True)


def test_unknown_numbers_are_null():
    """What is not known is null, not -1."""
    query = report_json.to_json(a_trace(a_query(rows=None, parameters=())), [])["trace"]["queries"][
        0
    ]
    for name in ("rows", "parameter_set", "session", "transaction", "stage", "error"):
        assert query[name] is None, name


def test_hostile_strings_are_valid_json():
    """The document is plain ASCII without broken surrogates, whatever was recorded."""
    text = report_json.render(
        poisoned(a_full_trace()), [poisoned(item) for item in some_findings()]
    )
    text.encode("ascii")
    loaded = json.dumps(json.loads(text), ensure_ascii=False)
    loaded.encode("utf-8")
    assert HOSTILE not in loaded
    assert "\\u202e" in loaded


def test_checkouts_keep_their_figures():
    """A checkout's waiting, holding and idling are in the document."""
    checkout = a_checkout(waited_ns=3 * MS, returned_ns=13 * MS, busy_ns=4 * MS)
    row = report_json.to_json(a_trace(checkouts=[checkout]), [])["trace"]["checkouts"][0]
    assert (row["waited_ms"], row["held_ms"], row["busy_ms"], row["idle_ms"]) == (3, 10, 4, 6)


def test_group_beyond_the_cap_is_null():
    """Statements whose group is not listed are still there."""
    trace = a_trace(*some(310, lambda n: f"SELECT c{n} FROM t"))
    document = report_json.to_json(trace, [a_finding()])["trace"]
    assert (len(document["groups"]), document["groups_left"]) == (300, 10)
    assert sum(query["group"] is None for query in document["queries"]) == 10


def test_waste_stands_beside_the_totals():
    """Programs get the ratio and what is to spare, of the whole subtree."""
    trace = a_trace(*some(4, duration_ns=2 * MS))
    finding = a_finding(queries=(0, 1, 2, 3), cost=Cost(statements=4, avoidable=3))
    document = report_json.to_json(trace, [finding])["trace"]
    assert document["waste"] == {
        "ratio": 0.75, "statements": 3, "rows": 0, "duration_ms": 6.0, "connection_ms": 0.0,
        "columns": None, "bytes": None,
    }  # fmt: skip
    assert report_json.to_json(trace, [])["trace"]["waste"]["ratio"] == 0.0
