"""QS202: a loop that asks the same on every turn, and what only looks like it."""

from __future__ import annotations

import pytest

from tests.builders import a_frame, a_load, a_node, a_query, a_trace, an_origin, some
from tests.detectors.judging import check_clean, check_found, said

SETTING = 'SELECT * FROM "library_setting" WHERE "key" = %s'


def settings(count, origin, **facts):
    """Return the same setting read so many times from one place."""
    facts = {"operation": "get", "model": "library.Setting", **facts}
    return some(count, SETTING, origin=origin, **facts)


# -- innocent -----------------------------------------------------------------------------------


def test_one_turn_is_clean(places):
    """A loop over one row asks once."""
    check_clean(a_trace(*settings(1, places.loop), mode="tests"))


def test_loop_that_writes_what_it_reads_is_clean(places):
    """A queue or a counter changes between the turns."""
    turn = [
        *settings(1, places.loop),
        a_query('UPDATE "library_setting" SET "value" = %s', origin=places.loop),
    ]
    check_clean(a_trace(*turn * 4, mode="tests"))


def test_polling_loop_is_clean(places):
    """A loop that sleeps waits for someone else."""
    check_clean(a_trace(*settings(6, places.at("in_polling_loop"))))


def test_refresh_in_loop_is_clean(places):
    """``refresh_from_db`` is asked for."""
    check_clean(a_trace(*settings(6, places.loop, operation="refresh")))


def test_retry_loop_is_clean(places):
    """Each attempt but the last failed."""
    attempt = [*settings(1, places.loop), a_query("UPDATE x SET y = 1", error="Error: deadlock")]
    check_clean(a_trace(*attempt * 3, *settings(1, places.loop)))


def test_key_that_recurs_among_many_is_no_invariant(places):
    """Two of eight turns happen to ask the same; half of them are told."""
    batch = a_load(parent=None, parents=2, batched=True)
    facts = {"operation": "select_in", "load": batch, "origin": places.loop}
    trace = a_trace(*some(8, parameters=lambda n: (max(n, 1),), **facts))
    check_clean(trace)
    check_found(a_trace(*some(8, parameters=lambda n: (max(n, 3),), **facts)), "QS202", 4)


def test_relations_of_rows_are_not_invariant(places):
    """Rows with one foreign key value send equal statements: that is QS101."""
    books = a_query('SELECT * FROM "library_book"', model="library.Book", rows=4, origin=20)
    loads = [
        a_query(
            operation="lazy", origin=places.loop, load=a_load(parent=n, parent_query=0)
        )
        for n in range(4)
    ]  # fmt: skip
    check_found(a_trace(books, *loads), "QS101", 4)


# -- guilty -------------------------------------------------------------------------------------


def test_setting_read_on_every_turn_is_found(places):
    """The plain case: the loop is named, and the place in front of it is the mend."""
    finding = check_found(a_trace(*settings(6, places.loop)), "QS202", 6)
    assert finding.message.startswith(
        "Setting is selected 6 times with the same statement and parameters in the loop at "
    )
    assert (finding.severity, finding.confidence) == ("warning", "medium")
    assert places.source.text_at(finding.mend.at) == "keys"
    assert finding.cost.avoidable == 5
    assert finding.origin == places.loop


def test_two_turns_are_found(places):
    """Duplicates count from two on."""
    check_found(a_trace(*settings(2, places.loop)), "QS202", 2)


def test_helper_called_in_loop_is_found(places):
    """The status check per item: the helper asks, the loop is the caller's."""
    origin = places.at("in_loop", a_frame(7, file="/srv/app/status.py", function="is_open"))
    finding = check_found(a_trace(*settings(10, origin)), "QS202", 10)
    assert finding.severity == "critical"
    assert finding.origin.first.function == "is_open"


def test_loop_of_constant_length_says_so(places):
    """Time slots do not grow with the data, and are still asked for one by one."""
    finding = check_found(a_trace(*settings(3, places.at("in_short_loop"))), "QS202", 3)
    assert "of constant length" in finding.message


@pytest.mark.parametrize("operation", ["exists", "count", "raw", "cursor", "core", "iterate"])
def test_whatever_asks_is_found(places, operation):
    """The verb does not matter."""
    check_found(a_trace(*settings(4, places.loop, operation=operation)), "QS202", 4)


def test_condition_of_while_is_found(places):
    """``while left < books.count()`` counts anew on every turn."""
    check_found(a_trace(*settings(4, places.at("in_condition"))), "QS202", 4)


def test_tag_in_template_loop_is_found():
    """A template tag that reads a setting for each row."""
    origin = an_origin(a_node(3, source="currency"), a_node(2, source="for item in items"), 41)
    check_found(a_trace(*settings(4, origin)), "QS202", 4)


def test_two_keys_by_turns_are_one_finding(places):
    """Below the threshold of different keys, the equal statements speak, once."""
    queries = some(6, SETTING, operation="get", origin=places.loop, parameters=lambda n: (n % 2,))
    finding = check_found(a_trace(*queries), "QS202", 6)
    assert finding.cost.avoidable == 4


def test_ask_before_the_loop_is_no_second_finding(places):
    """The line in front asks once: only the loop is worth a word."""
    check_found(a_trace(*settings(1, places.line), *settings(5, places.loop)), "QS202", 5)


def test_ask_on_two_lines_beside_the_loop_is_another_finding(places):
    """Two lines outside share a duplicate of their own; no statement is in both."""
    queries = [
        *settings(1, places.line),
        *settings(4, places.loop),
        *settings(1, places.at("on_another_line")),
    ]
    findings = said(a_trace(*queries))
    assert sorted((f.code, f.count) for f in findings) == [("QS201", 2), ("QS202", 4)]
    assert not set(findings[0].queries) & set(findings[1].queries)
