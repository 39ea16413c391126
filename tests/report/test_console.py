"""The report in the terminal."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from queryscope.detectors.finding import Cost, Mend
from queryscope.report import console
from tests.builders import MS, a_finding, a_frame, a_trace, some
from tests.report.pages import a_full_trace, poisoned, some_findings


def test_one_line_is_as_documented():
    """Name, queries, time, findings, address: two spaces apart."""
    trace = a_trace(*some(38), name="GET /items/7", duration_ns=1_940 * MS)
    line = console.one_line(trace, [a_finding()] * 3, "http://localhost/__queryscope__/k3f")
    assert line == (
        "GET /items/7  38 queries  1.9 s  3 findings  http://localhost/__queryscope__/k3f"
    )


def test_one_line_says_what_was_raised():
    """A Trace that an exception left says so, without values of the database."""
    line = console.one_line(a_trace(error="ValueError: bad 'x'", duration_ns=MS), [])
    assert line == "GET /books/  0 queries  1.0 ms  0 findings  raised ValueError: bad '…'"


def test_report_names_findings_with_their_mends():
    """Findings come with where they ran and what to write where, then the dearest statements."""
    text = console.render(a_full_trace(), some_findings(), failed_detectors=["QS107"], width=160)
    for part in (
        "GET /books/  500",
        "critical QS503 leaked-connection",
        "warning  QS101 n-plus-one",
        "library/book_list.html:3 tag book.publisher.name",
        "mend at library/views.py:38",
        '.select_related("publisher")',
        "Statements by time",
        "FROM library_book",
        "! 1 detector failed.",
    ):
        assert part in text, part
    assert text.index("QS503") < text.index("QS101") < text.index("Statements by time")


@pytest.mark.parametrize("width", [40, 80, 160])
def test_lines_keep_to_the_width(width):
    """No line is longer than the terminal is wide, none ends in spaces."""
    lines = console.render(a_full_trace(), some_findings(), width=width).splitlines()
    assert max(map(len, lines)) <= width
    assert all(line == line.rstrip() for line in lines)


def test_colour_only_when_asked():
    """Text for a file has no escape sequences."""
    assert "\x1b[" not in console.render(a_full_trace(), some_findings())
    assert "\x1b[" in console.render(a_full_trace(), some_findings(), color=True)


def test_hostile_strings_do_not_reach_the_terminal():
    """No control character but line ends gets through, and markup is text."""
    trace = poisoned(a_full_trace())
    text = console.render(trace, [poisoned(item) for item in some_findings()])
    line = console.one_line(trace, [])
    assert not any(ord(c) < 32 or 0x7F <= ord(c) < 0xA0 for c in text.replace("\n", ""))
    assert line.isprintable()
    assert "\u202e" not in text
    text.encode("utf-8")
    tagged = a_trace(name="[bold]GET[/] :smile: [link=http://x]y[/link]")
    assert "[bold]GET[/] :smile: [link=http://x]y[/link]" in console.render(tagged, [])


def test_clean_trace_is_said_to_be_clean():
    """Without findings the report says so."""
    text = console.render(a_trace(*some(2)), [])
    assert "Nothing to mend was found in 2 statements." in text
    assert "Looked for n-plus-one, " in text
    assert "QS1" not in text


def test_findings_of_one_code_share_a_heading():
    """The heading counts them, each has its place, its cost and its own mend."""
    first = "2 sessions used the database default in this request"
    found = [
        a_finding(
            "QS501",
            name="many-sessions",
            message=f"{first}; library/views.py:{line} opened one.",
            origin=line,
            cost=Cost(statements=3, connection_ns=line * MS),
            mend=Mend(a_frame(line + 1), "session", f"Use that of line {line}."),
        )
        for line in (20, 10)
    ]
    text = console.render(a_trace(*some(2)), found)
    assert text.count("QS501 many-sessions  2 findings") == 1
    assert text.count(first) == 1
    for line in (10, 20):
        assert f"ran at library/views.py:{line} in book_list" in text
        assert f"opened one. (3 statements, {line}.0 ms of connections)" in text
        assert f"mend at library/views.py:{line + 1}" in text
        assert f"Use that of line {line}." in text
    assert "write session" not in text


def test_long_lists_are_counted():
    """What does not fit into a terminal is counted."""
    trace = a_trace(*some(12, lambda n: f"SELECT a FROM t{n}"))
    text = console.render(trace, [a_finding()] * 25)
    assert "5 more findings in the HTML report." in text
    assert "4 more groups." in text


def test_callers_console_is_used():
    """The report goes to a console of the caller's, at its width."""
    target = io.StringIO()
    console.render_terminal(a_full_trace(), some_findings(), Console(file=target, width=60))
    assert "QS503" in target.getvalue()
    assert max(map(len, target.getvalue().splitlines())) <= 60
