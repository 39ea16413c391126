"""How the detection benchmark judges what was said, on lines made by hand."""

from __future__ import annotations

import pytest

from benchmarks.detection.runs import Worked
from benchmarks.detection.scenario import Scenario
from benchmarks.detection.verdicts import counted, peer_verdict, verdict, verdicts

HERE = "/app/views.py"


def a_scenario(kind="dirty", **more):
    """Return a scenario of QS101 whose line 7 is to mend."""
    values = {
        "name": "books", "orm": "django", "code": "QS101", "kind": kind, "run": print,
        "relation": "Book.author", "table": "author", "mends": frozenset({(HERE, 7)}), **more,
    }  # fmt: skip
    return Scenario(**values)


def a_line(*reports, name="books", answer="1", error=""):
    """Return what a worker writes of one scenario."""
    return {"name": name, "size": 6, "reports": list(reports), "answer": answer, "error": error}


def a_report(code="QS101", severity="warning", text="Book.author", line=7):
    """Return one thing that was said."""
    return [code, severity, text, [[HERE, line, line + 3]]]


def test_right_code_relation_and_line_is_found():
    """Nothing is lost."""
    found = verdict(a_scenario(), "sqlite", a_line(a_report()))
    assert (found.found, found.right_line, found.losses) == (True, True, ())


@pytest.mark.parametrize(
    ("reports", "lost"),
    [
        ([], ("missed",)),
        ([a_report(text="Book.publisher")], ("missed",)),
        ([a_report(line=6)], ("line",)),
        ([a_report(), a_report("QS201")], ("false alarm QS201",)),
        ([a_report("QS201")], ("false alarm QS201", "missed")),
        ([a_report(), a_report("QS201", "info")], ()),
    ],
)
def test_dirty_scenario_loses_by_what_is_said(reports, lost):
    """Silence, another relation, another line, and what is not true of it."""
    assert verdict(a_scenario(), "sqlite", a_line(*reports)).losses == lost


@pytest.mark.parametrize(
    ("report", "lost"),
    [
        (a_report(), ("false alarm QS101",)),
        (a_report(severity="info"), ("false alarm QS101",)),
        (a_report("QS201"), ("false alarm QS201",)),
        (a_report("QS201", "info"), ()),
        (a_report("QS316"), ()),
    ],
)
def test_clean_scenario_bears_no_alarm(report, lost):
    """Of its own code at no level, of others none from a warning on, but what is true of it."""
    clean = a_scenario("innocent", also=("QS316",), mends=frozenset())
    assert verdict(clean, "sqlite", a_line(report)).losses == lost


def test_code_that_says_the_same_is_accepted():
    """Another code may say it as truly."""
    found = verdict(a_scenario(accept=("QS102",)), "sqlite", a_line(a_report("QS102")))
    assert found.losses == ()


def test_twins_that_answer_differently_are_an_error():
    """A repair that changes the answer is none."""
    dirty, clean = a_scenario(), a_scenario("repaired", name="joined", twin="books")
    lines = [a_line(a_report()), a_line(name="joined", answer="2")]
    worked = Worked("django", "sqlite", {"books": dirty, "joined": clean}, lines)
    assert [item.losses for item in verdicts(worked)] == [(), ("error",)]


def test_counts_are_by_code_and_in_all():
    """Recall of what was wanted; precision of what was said, charged to the code that said it."""
    items = [
        verdict(a_scenario(), "sqlite", a_line(a_report(), a_report("QS201"))),
        verdict(a_scenario(name="other"), "sqlite", a_line()),
        verdict(a_scenario("innocent", name="clean"), "sqlite", a_line()),
    ]
    total, codes = counted(items)
    assert (total.recall, total.precision, total.lines) == (0.5, 0.5, 1.0)
    assert (codes["QS101"].precision, codes["QS201"].precision) == (1.0, 0.0)
    assert dict(total.scenarios) == {"dirty": 2, "innocent": 1}


SELECT = 'SELECT * FROM "author" WHERE id = 1'


def test_peer_finds_by_table_and_alarms_by_anything():
    """Tools that report statements name tables."""
    said = a_line(a_report(text=SELECT))
    assert peer_verdict(a_scenario(), "sqlite", said).found
    assert peer_verdict(a_scenario(), "sqlite", a_line(a_report(text="x"))).found is False
    assert peer_verdict(a_scenario("innocent"), "sqlite", said).alarms == ("",)


def test_peer_is_judged_by_what_may_mean_the_code():
    """What it says of something else is neither a finding nor a false alarm."""
    other = a_line(a_report("QS201", text=SELECT))
    assert peer_verdict(a_scenario(), "sqlite", other).found is False
    assert peer_verdict(a_scenario(accept=("QS201",)), "sqlite", other).found
    assert peer_verdict(a_scenario("innocent"), "sqlite", other).alarms == ()


def test_peer_may_say_what_is_true_as_well():
    """What it said may mean two codes: one of them is no false alarm."""
    said = a_line(a_report("QS101", text=SELECT), a_report("QS201", text=SELECT))
    assert peer_verdict(a_scenario("innocent"), "sqlite", said).alarms == ("",)
    assert peer_verdict(a_scenario("innocent", also=("QS201",)), "sqlite", said).alarms == ()


def test_declared_scenario_comes_back_as_it_was():
    """What a worker writes of a scenario says all but its function."""
    scenario = a_scenario(also=("QS316",), accept=("QS102",), at_least=6)
    back = Scenario.of(scenario.declared())
    assert back == a_scenario(also=("QS316",), accept=("QS102",), at_least=6, run=back.run)
