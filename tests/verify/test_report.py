"""What a verification shows: measures side by side, the diff, both answers, in every form."""

from __future__ import annotations

import json

import pytest

from queryscope.verify import summary, verdicts
from queryscope.verify.proposal import Cost, Edit
from queryscope.verify.report import render
from queryscope.verify.summary import endpoint_of, view_of
from tests.builders import MS
from tests.report.pages import Page
from tests.verify.verifications import (
    AFTER,
    BEFORE,
    NEW,
    OLD,
    a_proposal,
    an_answer,
    hostile,
    proved,
    refused,
)

SECRET = "secret-of-ann"


def measures(was, now):
    """Return key to before, after, change and tone."""
    return {
        one.key: (one.before, one.after, one.change, one.tone)
        for one in endpoint_of("GET /", was, now).measures
    }


def test_equal_costs_are_the_same():
    """Nothing is better or worse, and times that differ by little are noise."""
    found = measures(BEFORE, BEFORE)
    assert {change + tone for _, _, change, tone in found.values()} == {""}
    later = BEFORE._replace(duration_ns=BEFORE.duration_ns + 20 * MS)
    assert measures(BEFORE, later)["time"] == ("120 ms", "140 ms", "within noise", "")


def test_small_differences_of_counts_are_differences():
    """1.0x more rows would be read as none more."""
    was, now = Cost(requests=1, rows=104, statements=35), Cost(requests=1, rows=107, statements=33)
    found = measures(was, now)
    assert found["rows"] == ("104", "107", "+3", "worse")
    assert found["statements"] == ("35", "33", "-2", "better")


def test_endpoint_without_a_connection_has_no_capacity():
    """A request that asks for none says nothing of a pool, nor does an older ledger."""
    assert "capacity" not in measures(Cost(requests=1), Cost(requests=1))
    assert "capacity" not in measures(BEFORE._replace(requests=0), AFTER)


def test_repair_shows_what_fell():
    """Two requests that hold a connection for 100 ms in all: 20 a second, then 250."""
    assert measures(BEFORE, AFTER) == {
        "time": ("120 ms", "10.0 ms", "12x less", "better"),
        "statements": ("31", "1", "31x less", "better"),
        "rows": ("40", "40", "", ""),
        "sessions": ("3", "1", "3.0x less", "better"),
        "loops": ("1", "0", "-1", "better"),
        "lazy": ("30", "0", "-30", "better"),
        "held": ("100 ms", "8.00 ms", "12x less", "better"),
        "capacity": ("20", "250", "12x more", "better"),
    }


def test_what_rises_is_worse():
    """More statements, and less capacity."""
    found = measures(AFTER, BEFORE)
    assert [key for key, one in found.items() if one[3] == "worse"] == [
        "time", "statements", "sessions", "loops", "lazy", "held", "capacity"
    ]  # fmt: skip


def test_diff_has_the_lines_of_the_source():
    """Numbers are those before; a file that is made or deleted is all of one kind."""
    proposal = a_proposal(
        Edit("b.py", None, "new\n", 1, ""),
        Edit("a.py", OLD, NEW, 41, "0"),
        Edit("a.py", "first\n", "", 3, "0"),
        Edit("c.py", "gone\n", None, 1, "0"),
    )
    files = {
        file.path: [[(line.kind, line.old, line.text) for line in hunk] for hunk in file.hunks]
        for file in view_of(proved(), proposal).diff
    }
    assert files["a.py"] == [
        [("old", "3", "first")],
        [
            ("", "41", "def listed():"),
            ("old", "42", OLD.splitlines()[1]),
            ("new", "", NEW.splitlines()[1]),
        ],
    ]
    assert files["b.py"] == [[("new", "", "new")]]
    assert files["c.py"] == [[("old", "1", "gone")]]


def test_answers_stand_side_by_side():
    """JSON has a line for each value, and the lines that differ are marked on both sides."""
    found = view_of(refused(), a_proposal()).counterexample
    assert [line.text.strip() for line in found.expected.lines if line.kind] == ['"stock": 0']
    assert [line.text.strip() for line in found.got.lines if line.kind] == ['"stock": null']
    assert found.expected.head == "200 application/json"
    assert found.got.effects == (("mail to ann", "Sold out"),)


def test_long_answers_are_cut_to_what_differs(monkeypatch):
    """A thousand equal lines are left out, those around the difference stay."""
    monkeypatch.setattr(summary, "MAX_LINES", 50)
    values = list(range(300))
    found = view_of(refused(values, [*values[:150], 7.5, *values[151:]]), a_proposal())
    lines = found.counterexample.expected.lines
    assert len(lines) == 7
    assert [line.text.strip(" ,") for line in lines if line.kind] == ["150"]
    assert lines[0].old == "149"


def test_answer_that_is_no_text_is_shown_all_the_same():
    """Bytes, deep nesting, half a body, no body."""
    deep = "[" * 100_000
    for body in (b"\xff\x00\x1b[31m", deep.encode(), b'{"a": ', b""):
        verdict = refused()
        answer = an_answer([])
        answer = type(answer)(status=200, headers=answer.headers, body=body)
        found = verdict.counterexample._replace(expected=answer)
        page = render("html", refused(counterexample=found), a_proposal())
        assert "\x1b" not in page


@pytest.mark.parametrize("form", ["terminal", "markdown", "html", "json"])
def test_credentials_are_in_no_form(form):
    """What the actor sent, and the cookie that was set, are masked."""
    text = render(form, refused(), a_proposal())
    assert "/items?stock=0" in text
    assert SECRET not in text


@pytest.mark.parametrize("form", ["terminal", "markdown", "html"])
def test_measures_are_in_every_form(form):
    """Loops, lazy loads and the pool's capacity among them."""
    text = render(form, proved(), a_proposal())
    for part in ("GET /items", "N+1 loops", "lazy loads", "requests/s a connection", "250"):
        assert part in text


def test_page_is_one_file_without_a_script():
    """Its policy lets nothing run and nothing load but its own style."""
    page = Page(render("html", proved(), a_proposal()))
    policy = next(one["content"] for one in page.all("meta") if "http-equiv" in one)
    assert policy.startswith("default-src 'none'; script-src 'none'; style-src 'sha256-")
    assert page.all("script") == []
    assert not [
        one for _, one in page.elements if "src" in one or one.get("href", "")[:4] == "http"
    ]


def test_hostile_texts_stay_texts():
    """Paths, requests, answers and reasons may hold anything."""
    page = Page(render("html", *hostile()))
    assert not [a for _, a in page.elements if a.get("id") == "evil" or "onerror" in a]
    harmless = [Page(render("html", one, a_proposal())) for one in (refused(), proved())]
    known = {tag for one in harmless for tag, _ in one.elements}
    assert {tag for tag, _ in page.elements} <= known
    for form in ("terminal", "markdown"):
        assert "\x1b" not in render(form, *hostile())


def test_verdict_of_an_older_ledger_is_shown():
    """Loops and lazy loads were not counted then."""
    plain = json.loads(json.dumps(verdicts.to_plain(proved())))
    for side in ("before", "after"):
        for cost in plain[side].values():
            for name in ("requests", "loops", "lazy_loads"):
                del cost[name]
    assert "statements" in render("html", verdicts.from_plain(plain), a_proposal())
