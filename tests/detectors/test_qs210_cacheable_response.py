"""QS210: answers that could have been kept, and those that could not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from queryscope.trace.events import Answer
from tests.builders import a_query
from tests.detectors.judging import found_over, requests

ROWS = 'SELECT "name", "amount" FROM "shop_price"'
ANSWER = Answer(
    asked="a", said="b", size_bytes=400, cache="", vary="Accept", sets_cookie=False,
    credentials=False,
)  # fmt: skip


def answered(times=6, make=lambda _: {}, statements=3, **facts):
    """Return requests with answers; ``make`` gives what differs in the n-th answer."""
    statement = [a_query(ROWS, parameters=(), rows=20)] * statements
    return [
        replace(trace, answer=ANSWER._replace(**make(n)))
        for n, trace in enumerate(requests(times, lambda _: statement, **facts))
    ]


def said(traces, **chosen):
    """Return what is said of them."""
    return found_over(traces, "QS210", **chosen)


@pytest.mark.parametrize(
    "traces",
    [
        answered(times=4),
        answered(statements=0),
        answered(times=6, statements=1),
        answered(make=lambda n: {"asked": str(n)}),
        answered(make=lambda n: {"said": str(n == 3)}),
        answered(make=lambda _: {"cache": "private"}),
        answered(make=lambda _: {"cache": "max-age=60"}),
        answered(make=lambda n: {"cache": "no-store" if n == 2 else ""}),
        answered(make=lambda _: {"sets_cookie": True}),
        answered(make=lambda _: {"vary": "Accept, Cookie"}),
        answered(make=lambda _: {"vary": "Authorization"}),
        answered(make=lambda _: {"vary": "*"}),
        answered(kind="task"),
        requests(6, lambda _: [a_query(ROWS)] * 3),
    ],
    ids=[
        "few", "no statement", "little spared", "other requests", "other answer", "private",
        "cached", "not to be stored", "cookie", "by cookie", "by user", "by anything", "task",
        "unknown",
    ],
)  # fmt: skip
def test_answers_that_are_not_to_be_kept_are_clean(traces):
    """Different ones, those that say so, and those of which nothing is known."""
    assert said(traces) == []


def test_request_that_writes_is_clean():
    """A cache would swallow what it writes."""
    write = a_query("INSERT INTO visit (path) VALUES (%s)", rows=1)
    traces = [replace(trace, queries=(*trace.queries, write)) for trace in answered()]
    assert said(traces) == []


def test_identical_answers_are_found():
    """With the requests, and the statements that all but the first would have spared."""
    (finding,) = said(answered())
    assert (finding.severity, finding.confidence) == ("info", "medium")
    assert (finding.cost.statements, finding.cost.avoidable) == (18, 15)
    assert "6 in all" in finding.message
    assert "none of its tables was written" in finding.message
    assert finding.mend.write == "Cache-Control: max-age=60"
    assert finding.subject == "GET /books/<int:pk>/"


def test_different_requests_of_an_endpoint_are_one_finding():
    """Two books, each asked for again and again; those asked for once are not counted."""
    traces = answered(times=13, make=lambda n: {"asked": str(n % 2 if n < 12 else n)})
    (finding,) = said(traces)
    assert finding.evidence["different requests"] == 2
    assert finding.count == 12


def test_answer_that_may_depend_on_who_asks_is_suspected_only():
    """Who asked is not recorded: all of them may have been one."""
    (finding,) = said(answered(make=lambda n: {"credentials": n == 2}))
    assert finding.confidence == "low"
    assert "for each of those who ask" in finding.mend.how


@pytest.mark.parametrize(
    ("statement", "text"),
    [
        ('UPDATE "shop_price" SET "amount" = 1', "shop_price were written meanwhile"),
        ('UPDATE "other" SET "amount" = 1', "none of its tables"),
        ("CALL refresh()", "shop_price were written meanwhile"),
    ],
)
def test_writes_meanwhile_are_the_risk(statement, text):
    """How stale a kept answer may be depends on them."""
    traces = answered()
    other = requests(1, lambda _: [a_query(statement, rows=1)], route="prices/", method="POST")[0]
    later = replace(other, id="w", started_at_ns=traces[3].started_at_ns + 1)
    (finding,) = said([*traces, later])
    assert text in finding.message


def test_writes_before_and_after_are_no_risk():
    """What was kept was true all the time."""
    traces = answered()
    other = requests(1, lambda _: [a_query('UPDATE "shop_price" SET "a" = 1')])[0]
    before = replace(other, id="w", started_at_ns=traces[0].started_at_ns - 1)
    (finding,) = said([before, *traces])
    assert "none of its tables" in finding.message


def test_request_within_another_trace_is_judged():
    """A test client in a block."""
    inner = answered()
    outer = requests(6, lambda _: [], kind="block")
    nested = [replace(o, id=f"o{o.id}", children=(i,)) for o, i in zip(outer, inner, strict=True)]
    (finding,) = said(nested)
    assert finding.trace_id == "t5"


def test_thresholds_are_settings():
    """How many requests, and how many statements."""
    assert said(
        answered(times=4), cacheable_response_min_requests=4, cacheable_response_min_statements=9
    )
    assert said(answered(), cacheable_response_min_statements=16) == []
