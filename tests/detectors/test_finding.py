"""The fingerprint of a finding: the same run after run, and another for another finding."""

from __future__ import annotations

import pytest

from queryscope.detectors import codec
from queryscope.detectors.finding import Known
from tests.builders import a_finding, a_frame, a_node, an_origin


def at(**frame) -> str:
    """Return the fingerprint of a finding at a position."""
    return a_finding(
        origin=an_origin(a_frame(**frame)), subject="library.Book.publisher"
    ).fingerprint


def test_what_differs_from_run_to_run_is_not_in_it():
    """Lines, folders, numbers of rows and ids do not move a fingerprint."""
    first = a_finding(subject="library.Book.publisher")
    other = a_finding(
        subject="library.Book.publisher",
        count=99,
        message="loaded 99 times",
        severity="critical",
        trace_id="other",
        queries=(4, 5),
        origin=an_origin(a_frame(99, file="/home/ada/app/library/views.py"), 7),
    )
    assert first.fingerprint == other.fingerprint == at()


@pytest.mark.parametrize(
    "function",
    [
        "book_list.<locals>.<listcomp>",
        "book_list.<locals>.<genexpr>",
        "book_list.<locals>.<dictcomp>",
        "book_list.<locals>.<lambda>",
    ],
)
def test_comprehension_is_its_function(function):
    """Python 3.11 gives a comprehension a function of its own, 3.12 does not."""
    assert at(function=function) == at()


def test_comprehension_of_a_module_is_the_module():
    """At the top of a module there is no function around it."""
    assert at(function="<listcomp>") == at(function="<module>")


@pytest.mark.parametrize(
    "frame",
    [
        {"function": "book_detail"},
        {"function": "book_list.<locals>.inner"},
        {"module": "shop.views", "file": "/srv/app/shop/views.py"},
    ],
)
def test_other_function_has_another(frame):
    """A finding that moves to another function or module is another one."""
    assert at(**frame) != at()


def test_scripts_of_one_function_name_differ():
    """Each script's module is called __main__."""
    one = at(module="__main__", file="/srv/jobs/nightly.py", function="main")
    other = at(module="__main__", file="/srv/jobs/weekly.py", function="main")
    moved = at(module="__main__", file="/home/ada/jobs/nightly.py", function="main")
    assert one != other
    assert one == moved


def test_template_in_full_is_the_same_elsewhere():
    """Jinja2 may know a template by its path alone."""
    here, there = (
        a_finding(origin=an_origin(a_node(template=f"{home}/app/templates/books.html")))
        for home in ("/srv", "/home/ada")
    )
    assert here.fingerprint == there.fingerprint
    other = a_finding(origin=an_origin(a_node(template="/srv/app/templates/authors.html")))
    assert other.fingerprint != here.fingerprint


@pytest.mark.parametrize("change", [{"code": "QS102"}, {"subject": "library.Book.author"}])
def test_other_code_or_relation_has_another(change):
    """One line may have several findings, each known by itself."""
    assert a_finding(**{"subject": "library.Book.publisher", **change}).fingerprint != at()


def test_known_comes_back_from_bytes():
    """What made a finding known is stored with it."""
    known = Known("baseline", "queryscope-baseline.toml", "old page", "ada", "2027-01-31")
    findings = (a_finding(known=known), a_finding())
    assert codec.decode(codec.encode(findings)) == findings
