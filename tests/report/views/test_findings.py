"""Findings as reports show them: order, folds, mends and what they point at."""

from __future__ import annotations

import pytest

from queryscope.detectors.finding import Cost, Mend
from queryscope.report.source import MAX_EXCERPTS
from queryscope.report.view import report_of
from queryscope.trace.events import NOWHERE
from tests.builders import MS, a_finding, a_frame, a_trace, an_origin, some


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


def test_findings_of_one_code_stand_together():
    """Those of one severity and code follow the costliest of them; another Trace's stay apart."""
    inner = a_trace(id="inner", name="GET /inner/")
    found = [
        a_finding("QS501", cost=Cost(duration_ns=9 * MS)),
        a_finding("QS101", cost=Cost(duration_ns=8 * MS)),
        a_finding("QS501", cost=Cost(duration_ns=7 * MS)),
        a_finding("QS501", cost=Cost(duration_ns=6 * MS), trace_id="inner"),
        a_finding("QS501", cost=Cost(duration_ns=1 * MS), severity="critical"),
    ]
    report = report_of(a_trace(children=(inner,)), found)
    folds = [(fold.severity, fold.code, len(fold.items)) for fold in report.folds]
    assert folds == [
        ("critical", "QS501", 1),
        ("warning", "QS501", 2),
        ("warning", "QS101", 1),
        ("warning", "QS501", 1),
    ]
    assert [item.anchor for item in report.findings] == ["f0", "f1", "f2", "f3", "f4"]
    assert tuple(item for fold in report.folds for item in fold.items) == report.findings
    assert report.folds[-1].nested_name == "GET /inner/"


def test_shared_clause_stands_once():
    """What all messages begin with is the heading's; what is left names no place a second time."""
    first = "3 sessions used the database default in this request"
    messages = [f"{first}; library/views.py:41 opened one of them.", f"{first}; nobody knows why."]
    report = report_of(a_trace(), [a_finding("QS501", message=text) for text in messages])
    (fold,) = report.folds
    assert fold.shared == first
    assert fold.messages == ("opened one of them.", "nobody knows why.")
    assert [item.message for item in fold.items] == messages


@pytest.mark.parametrize(
    "messages",
    [
        ["A; one.", "B; two."],
        ["A is one.", "A is two."],
        ["A; one.", "A is two."],
        ["A; one."],
    ],
)
def test_messages_without_a_shared_clause_stay_whole(messages):
    """Only a whole clause, up to a semicolon, is taken out, and only from several messages."""
    report = report_of(a_trace(), [a_finding(message=text) for text in messages])
    assert report.folds[0].shared == ""
    assert list(report.folds[0].messages) == messages


@pytest.mark.parametrize(
    "write", ['.select_related("publisher")', "session.close()", "expire_on_commit=False", ".all"]
)
def test_source_is_to_be_written_as_it_stands(write):
    """What can be pasted is code, and the sentence beside it stays as it is."""
    mend = Mend(a_frame(38), write, "Do this.")
    view = report_of(a_trace(), [a_finding(mend=mend)]).findings[0].mend
    assert view.is_code
    assert view.instruction == "Do this."


@pytest.mark.parametrize(
    ("write", "how", "instruction"),
    [
        ("session", "Pass the session into status().", "Pass the session into status()."),
        ("GROUP BY", "Ask once.", "GROUP BY: Ask once."),
        ("executemany", "", "executemany"),
        ("", "Ask once.", "Ask once."),
    ],
)
def test_name_to_write_is_part_of_an_instruction(write, how, instruction):
    """A mere name is nothing to paste: the sentence has it, in front if it is not in it."""
    view = report_of(a_trace(), [a_finding(mend=Mend(None, write, how))]).findings[0].mend
    assert not view.is_code
    assert view.instruction == instruction
    assert (view.write, view.how) == (write, how)


def test_place_is_where_it_ran_or_is_to_be_mended():
    """A finding without an origin is found at its mend."""
    mend = Mend(a_frame(38), "x = 1", "Do this.")
    found = report_of(
        a_trace(),
        [
            a_finding("QS101", mend=mend),
            a_finding("QS102", mend=mend, origin=NOWHERE),
            a_finding("QS103", origin=NOWHERE),
        ],
    ).findings
    places = {item.code: item.place and item.place.line for item in found}
    assert places == {"QS101": 41, "QS102": 38, "QS103": None}


def test_finding_without_a_trace_is_about_the_root():
    """One that names no Trace marks the root's statements and not those of nested ones."""
    inner = a_trace(*some(2), id="inner")
    report = report_of(
        a_trace(*some(2), children=(inner,)), [a_finding(trace_id="", queries=(0, 1))]
    )
    assert report.groups[0].codes == ("QS101",)
    assert report.nested[0].groups[0].codes == ()
    assert report.findings[0].mentions[0].anchor == report.groups[0].anchor


def test_nested_trace_of_the_same_id_changes_nothing():
    """Should a nested Trace have the root's id, findings are about the root, and anchors differ."""
    inner = a_trace(*some(3, "SELECT 2 FROM inner_one", thread=9, connection=9), name="inner")
    report = report_of(a_trace(*some(2), children=(inner,)), [a_finding(queries=(0, 1))])
    assert report.findings[0].nested_name == ""
    assert report.findings[0].mentions[0].head == report.groups[0].head
    assert report.key != report.nested[0].key


def test_findings_keep_their_excerpts(tmp_path):
    """However many statements took an excerpt, those of the findings are there."""
    file = tmp_path / "many.py"
    file.write_text("\n".join(f"line_{n} = {n}" for n in range(400)), encoding="utf-8")
    queries = [
        *some(MAX_EXCERPTS + 20, origin=lambda n: an_origin(a_frame(n + 1, file=str(file)))),
    ]
    finding = a_finding(origin=an_origin(a_frame(7, file=str(file))))
    report = report_of(a_trace(*queries), [finding])
    assert sum(bool(group.steps[0].excerpt) for group in report.groups) == MAX_EXCERPTS
    assert report.findings[0].steps[0].excerpt
