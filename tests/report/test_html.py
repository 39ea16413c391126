"""The HTML pages: whole, self-contained, small, and closed to what was recorded."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import time

import pytest

from queryscope.detectors.finding import Cost, Mend
from queryscope.report import console, html
from queryscope.report.views.lists import ListEntry
from tests.builders import MS, a_checkout, a_finding, a_frame, a_query, a_session, a_trace, some
from tests.report.pages import HOSTILE, Page, a_full_trace, poisoned, some_findings

MAX_BYTES = 1_000_000
FORBIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff]"
)


def page_of(trace, findings=(), **options):
    """Return the rendered page, taken apart, after it was encoded as browsers get it."""
    text = html.render(trace, findings, **options)
    return Page(text.encode("utf-8").decode("utf-8"))


def digest(text):
    """Return a text's digest as a content security policy writes it."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def test_page_shows_every_part():
    """Headline, findings, timeline, statements, tables, nested Traces and notes are there."""
    trace = a_full_trace()
    page = page_of(trace, some_findings(), failed_detectors=["QS107"])
    ids = {attributes["id"] for _, attributes in page.elements if attributes.get("id")}
    assert {
        "top-findings",
        "t0-timeline",
        "t0-statements",
        "t0-stages",
        "t0-connections",
        "t0-nested",
        "notes",
        "f0",
        "f2",
    } <= ids
    for text in (
        "A connection was not returned.",
        '.select_related("publisher")',
        "Join the publishers.",
        "library/views.py:38",
        "library/book_list.html:3",
        "What QS503 means",
        "GET /inner/",
        "3 statements not kept",
        "2 hook failures in this process.",
        "1 detector failed.",
        "ValueError: broken",
        "2, 'value 2'",
        "lazy Book.publisher",
    ):
        assert text in page.text, text


def several_of_one_code():
    """Return findings that are folded: two of one code, with mends that are mere names."""
    first = "2 sessions used the database default in this request"
    return [
        a_finding(
            "QS501",
            name="many-sessions",
            severity="critical",
            message=f"{first}; library/views.py:{line} opened one of them.",
            origin=line,
            mend=Mend(a_frame(line), "session", f"Pass the session to line {line}."),
        )
        for line in (20, 10)
    ]


def test_findings_of_one_code_are_folded():
    """They share a heading, and each keeps its place, its mend and its own anchor."""
    page = page_of(a_trace(*some(2)), [*several_of_one_code(), a_finding("QS201")])
    assert len(page.with_class("fold")) == 1
    assert [item["id"] for item in page.with_class("finding")] == ["f0", "f1", "f2"]
    assert page.text.count("QS501 many-sessions") == 2  # in the sentence on top and in the heading
    assert page.text.count("2 sessions used the database default in this request") == 1
    for line in (10, 20):
        assert page.text.count(f"Pass the session to line {line}.") == 1
        assert f"library/views.py:{line} in book_list" in page.text


def test_name_to_write_is_no_code_to_copy():
    """A mere name is an instruction; what can be pasted has its button."""
    page = page_of(a_trace(), several_of_one_code())
    assert page.with_class("copy") == []
    assert "Change at library/views.py:20" in page.text
    page = page_of(a_trace(), some_findings())
    assert [item["data-copy"] for item in page.with_class("copy")] == [
        '.select_related("publisher")'
    ]
    assert "Write at library/views.py:38" in page.text


def test_sentence_on_top_leads_to_the_first_finding():
    """It names what to look at first and where, with the whole path in a title."""
    page = page_of(a_full_trace(), some_findings())
    assert "Look first at QS503 leaked-connection in library/views.py:41." in page.text
    assert {"href": "#f0"} in page.all("a")
    assert "/srv/app/library/views.py" in {item.get("title") for item in page.with_class("where")}
    assert "/srv/app" not in page.text


def test_clean_page_says_what_was_looked_for():
    """Without findings the page counts what it saw and names every code."""
    page = page_of(a_trace(*some(2)))
    assert "Nothing to mend was found in 2 statements." in page.text
    assert "Looked for n-plus-one, " in page.text
    assert "QS1" not in page.text
    assert "Look first" not in page.text
    empty = page_of(a_trace())
    assert "No statement was recorded, so there was nothing to judge." in empty.text
    assert "Looked for" not in empty.text


def test_attributes_are_not_said_twice():
    """What stands in the title is not repeated below it."""
    attributes = {"method": "GET", "path": "/books/7/", "route": "/books/<id>/"}
    page = page_of(a_trace(name="GET /books/<id>/", attributes=attributes))
    assert "path /books/7/" in page.text
    assert "method GET" not in page.text
    assert "route /books/" not in page.text


def test_page_is_well_formed():
    """Every element that opens is closed, in order, with ids used once."""
    page = page_of(a_full_trace(), [*some_findings(), *several_of_one_code()])
    assert page.unbalanced == []
    assert page.open == []
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_every_link_has_its_target():
    """Links inside the page lead somewhere."""
    page = page_of(a_full_trace(), some_findings())
    ids = {attributes.get("id") for _, attributes in page.elements}
    targets = [a["href"][1:] for a in page.all("a") if (a["href"] or "").startswith("#")]
    assert len(targets) > 5
    assert set(targets) <= ids


def test_page_loads_nothing_else():
    """There is no address in the page but the empty icon and links within it."""
    page = page_of(a_full_trace(), some_findings())
    used = {
        attributes[name]
        for tag, attributes in page.elements
        for name in ("src", "href", "srcset", "action", "data", "poster")
        if name in attributes and tag != "a"
    }
    assert used == {"data:,"}
    assert "@import" not in page.raw["style"][0]
    assert "url(" not in page.raw["style"][0]


def test_policy_admits_our_script_and_style_only():
    """The policy names the digests of what stands in the page, nothing inline beside it."""
    page = page_of(a_full_trace(), some_findings())
    policy = next(m["content"] for m in page.all("meta") if m.get("http-equiv"))
    parts = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    assert parts["default-src"] == "'none'"
    assert parts["script-src"] == digest(page.raw["script"][1])
    assert parts["style-src"] == digest(page.raw["style"][0])
    assert "unsafe" not in policy
    assert not [a for _, a in page.elements if "style" in a or any(n.startswith("on") for n in a)]


@pytest.mark.parametrize("keep", [True, False])
def test_hostile_strings_do_not_enter_the_page(keep):
    """Every recorded string is hostile: the page has the elements of the harmless one."""
    trace = a_full_trace(keep=keep)
    findings = some_findings()
    bad_trace = poisoned(trace)
    bad_findings = [poisoned(item) for item in findings]
    text = html.render(bad_trace, bad_findings, failed_detectors=[HOSTILE])
    page = Page(text)
    harmless = page_of(trace, findings, failed_detectors=["QS1"])
    assert {tag for tag, _ in page.elements} <= {tag for tag, _ in harmless.elements}
    assert page.unbalanced == []
    assert len(page.all("script")) == 2
    assert page.raw["script"][1] == harmless.raw["script"][1]
    assert page.raw["style"] == harmless.raw["style"]
    assert not [a for _, a in page.elements if a.get("id") == "evil" or "onerror" in a]
    assert not FORBIDDEN.search(text)
    assert "\\u202e" in page.text
    assert "\\x00" in page.text
    assert "{{7*7}}" in page.text
    json.loads(page.raw["script"][0])


def test_hostile_strings_do_not_enter_the_list():
    """The viewer's list is closed to recorded strings, too."""
    trace = poisoned(a_full_trace())
    text = html.render_list([(trace, [poisoned(item) for item in some_findings()])])
    page = Page(text)
    assert page.all("script") == page.all("img") == page.all("b") == []
    assert page.unbalanced == []
    assert not FORBIDDEN.search(text)
    assert "\\u202e" in page.text
    assert next(a["href"] for a in page.all("a")).startswith("%3C/script%3E")


@pytest.mark.parametrize("keep", [True, False])
def test_huge_statement_stays_outside(keep):
    """A statement of 1 MB is cut, and says by how much."""
    statement = "SELECT '" + "x" * 1_000_000 + "</script>' FROM t"
    start = time.perf_counter()
    text = html.render(a_trace(a_query(statement, keep=keep)), ())
    assert time.perf_counter() - start < 5
    assert len(text) < 200_000
    if keep:
        assert "more characters not shown" in text


def test_values_show_only_where_kept():
    """Parameters that were not kept are nowhere in the page, in no encoding."""
    secret = "correct horse"
    kept = html.render(a_trace(*some(9, parameters=(secret,), keep=True)), ())
    assert secret in kept
    statement = f"SELECT 1 FROM t WHERE a = '{secret}'"
    hidden = html.render(a_trace(*some(9, statement, parameters=(secret,))), ())
    assert secret not in hidden
    assert "values are not kept" in hidden


def test_ten_thousand_statements_stay_small():
    """10,000 statements are below 1 MB, and most of them are data, not elements."""
    queries = some(
        10_000,
        lambda n: f"SELECT a FROM t{n % 30} WHERE id = %s",
        parameters=lambda n: (n,),
        keep=True,
        thread=lambda n: n % 3,
        session=lambda n: n % 5,
    )
    trace = a_trace(*queries, sessions=[a_session() for _ in range(5)])
    findings = [a_finding(queries=tuple(range(0, 10_000, 3)))]
    html.render(trace, findings)
    start = time.perf_counter()
    text = html.render(trace, findings)
    seconds = time.perf_counter() - start
    page = Page(text)
    assert len(text.encode()) < MAX_BYTES
    assert len(page.elements) < 12_000
    assert seconds < 1.0


def test_ten_thousand_different_statements_stay_small():
    """Where nothing repeats, groups beyond the cap are one line."""
    queries = some(10_000, lambda n: f"SELECT column_{n} FROM table_{n} WHERE id = %s")
    text = html.render(a_trace(*queries), ())
    assert len(text.encode()) < 2 * MAX_BYTES
    assert "9,700 more groups not shown" in text


def test_island_holds_every_statement():
    """What the script shows on demand is all there, equal columns folded to one number."""
    trace = a_full_trace()
    data = json.loads(page_of(trace, some_findings()).raw["script"][0])
    columns = data["traces"]["t0"]
    assert columns["count"] == len(trace.queries) == 7
    assert columns["stage"] == [-1, 1, 1, 1, 1, 1, 0]
    assert columns["thread"] == 0
    assert columns["errors"] == [
        "IntegrityError: Key (line)=('from the text') exists\\nDETAIL: secret"
    ]
    assert data["traces"]["t1"]["count"] == 2
    assert [item["anchor"] for item in data["findings"]] == ["f0", "f1", "f2"]
    assert [item["trace"] for item in data["findings"]] == ["t0", "t0", "t1"]


def test_page_without_scripts_has_the_facts():
    """Static markup alone shows findings, the timeline and the first executions."""
    text = re.sub(r"(?s)<script.*?</script>", "", html.render(a_full_trace(), some_findings()))
    page = Page(text)
    assert len(page.with_class("finding")) == 3
    assert len(page.with_class("held")) >= 2
    assert len(page.with_class("wait")) >= 2
    assert len(page.with_class("executions")) == len(page.with_class("group"))
    assert "open" in page.with_class("finding")[0]


def test_failed_checkout_is_visible():
    """A time-out shows its error, its wait and who held the pool."""
    checkout = a_checkout(
        got_ns=None, returned_ns=None, connection=None, waited_ns=30 * MS,
        error="TimeoutError: QueuePool limit", holders=("GET /b/: template",),
    )  # fmt: skip
    page = page_of(a_trace(checkouts=[checkout]))
    assert "TimeoutError: QueuePool limit" in page.text
    assert "GET /b/: template" in page.text


def test_list_shows_each_trace():
    """The list has a line for each Trace, with its link and its numbers."""
    pairs = [
        (a_full_trace(), some_findings()),
        (a_trace(*some(2), id="clean", name="GET /clean/"), []),
    ]
    page = Page(html.render_list(pairs))
    assert [a["href"] for a in page.all("a")] == ["k3f", "clean"]
    assert page.unbalanced == []
    for text in ("/books/", "500", "QS503", "ValueError: broken", "none", "2 Traces"):
        assert text in page.text


def test_list_takes_entries_and_a_base():
    """Lines made elsewhere are shown as they are, links begin with the base."""
    entry = ListEntry(
        id="a/b", kind="task", method="", route="nightly", status="", started="today",
        duration_ns=MS, database_ns=0, statements=1, sessions=0, findings=0, worst="", codes=(),
        error="",
    )  # fmt: skip
    page = Page(html.render_list([entry], base_href="/__queryscope__/"))
    assert page.all("a") == [{"href": "/__queryscope__/a/b"}]
    assert "nightly" in page.text


def test_empty_list_says_what_to_do():
    """Without a Trace the list says how to get one."""
    assert "Send a request" in Page(html.render_list([])).text


def test_report_links_back_where_there_is_a_list():
    """In the viewer the report leads back to the list, a file stands alone."""
    assert {"href": "./"} in page_of(a_trace(), list_href="./").all("a")
    assert {"href": "./"} not in page_of(a_trace()).all("a")


def test_endpoint_is_shown_as_a_place_not_as_a_path_of_the_machine():
    """Who answered the request is named as an origin is: a short file, a line, a name."""
    shown = test_attributes_are_not_said_twice
    attributes = {"endpoint": f"{__file__}::{__name__}::{shown.__qualname__}"}
    line = shown.__code__.co_firstlineno
    page = page_of(a_trace(attributes=attributes))
    assert f"test_html.py:{line} in test_attributes_are_not_said_twice" in page.text
    assert f"{__file__}::" not in page.text


def test_headline_shows_the_waste():
    """What could be spared is a figure of the page, as of the terminal."""
    trace = a_trace(*some(4, duration_ns=2 * MS))
    finding = a_finding(queries=(0, 1, 2, 3), cost=Cost(statements=4, avoidable=3))
    page = html.render(trace, [finding])
    figure = '<div class="figure waste"><b>75 %</b><span>waste</span>'
    assert f"{figure}<small>3 statements to spare, 6.00 ms</small>" in page
    assert "75 % waste" in console.render(trace, [finding], width=200)
