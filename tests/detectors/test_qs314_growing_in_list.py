"""QS314: lists of keys that grow, and lists that are batches, chunks or small."""

from __future__ import annotations

import pytest

from tests.builders import a_load, a_query, an_origin
from tests.detectors.judging import found_over, requests


def by_keys(keys, placeholder="%s", **facts):
    """Return a statement with a list of so many keys."""
    listed = ", ".join([placeholder] * keys)
    statement = f'SELECT "id" FROM "library_review" WHERE "book_id" IN ({listed})'
    if facts.get("vendor") == "mysql":
        statement = statement.replace('"', "`")
    return a_query(statement, parameters=tuple(range(keys)), rows=keys, origin=50, **facts)


def over(make, times=10, **how):
    """Return what is said about so many requests."""
    return found_over(requests(times, make, **how), "QS314")


@pytest.mark.parametrize(
    "facts",
    [
        {"operation": "prefetch"},
        {"operation": "select_in"},
        {"load": a_load(batched=True, parent=None, parents=2_000)},
    ],
    ids=["prefetch", "select-in", "batch"],
)
def test_batches_of_the_orm_are_clean(facts):
    """The ORM cuts its lists itself."""
    assert over(lambda n: [by_keys(1_200 + n, **facts)]) == []


def test_chunks_of_one_length_are_clean():
    """Two full chunks and a rest: the length is bounded."""
    assert over(lambda n: [by_keys(1_000), by_keys(1_000), by_keys(17 + n)]) == []


def test_list_of_always_the_same_length_is_clean():
    """Five states are five states."""
    assert over(lambda _: [by_keys(120)]) == []


def test_short_lists_are_clean():
    """A page of at most fifty rows."""
    assert over(lambda n: [by_keys(2 + 4 * n)]) == []


def test_few_lengths_are_clean():
    """Seven lengths are not yet a rule; the number can be set."""
    traces = requests(7, lambda n: [by_keys(100 + n)])
    assert found_over(traces, "QS314") == []
    assert len(found_over(traces, "QS314", in_list_min_lengths=7)) == 1


def test_library_and_scripts_are_clean():
    """Lists that no line of the user's fills, and lists of a script."""
    assert (
        over(lambda n: [by_keys(1_200 + n)._replace(origin=an_origin()._replace(steps=()))]) == []
    )
    assert over(lambda n: [by_keys(1_200 + n)], kind="script") == []


@pytest.mark.parametrize(("vendor", "placeholder"), [
    ("sqlite", "?"), ("postgresql", "%s"), ("postgresql", "%(p)s"), ("mysql", "%s"),
])  # fmt: skip
def test_huge_list_is_found(vendor, placeholder):
    """One list of a thousand keys is enough, whatever the driver writes for a value."""
    (finding,) = over(lambda _: [by_keys(1_000, placeholder, vendor=vendor)], times=1)
    assert finding.severity == "warning"
    assert finding.message == "library_review is asked for by a list of 1,000 keys."


def test_growing_list_is_found_with_its_lengths():
    """Each request has a length of its own."""
    (finding,) = over(lambda n: [by_keys(30 * (n + 1), model="library.Review")])
    assert finding.severity == "info"
    assert finding.message == (
        "Review is asked for by a list of 300 keys; 10 lengths were seen, each is a statement of "
        "its own."
    )
    assert finding.evidence["lengths"] == "… 150, 180, 210, 240, 270, 300"
    assert (finding.trace_id, finding.origin.first.line) == ("t9", 50)


def test_statement_that_gave_the_keys_is_named():
    """As many rows as keys: a join would do."""
    (finding,) = over(lambda n: [a_query(rows=1_100 + n), by_keys(1_100 + n)])
    assert finding.evidence["keys"] == "as many as rows of statement 0"
    assert finding.mend.how.startswith("Join with the statement that gave the keys")
