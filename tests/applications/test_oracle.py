"""The oracle of the real applications: what grows, what repeats, and who said so."""

from __future__ import annotations

import pytest

from benchmarks.applications import oracle
from benchmarks.applications.oracle import Asked, Said
from tests.builders import a_frame, a_node, a_query, a_trace, an_origin, some

BOOK = 'SELECT * FROM "book" WHERE "id" = %s'
LIST = 'SELECT * FROM "book" LIMIT 20'
FILE = "/env/lib/site-packages/library/views.py"


def at(line):
    """Return the origin of a line of the application."""
    return an_origin(a_frame(line, file=FILE))


def said(code, *queries, severity="warning"):
    """Return a finding about statements."""
    return Said(code, severity, frozenset(queries), "library/views.py:9", "It is said.")


def asked(*queries, findings=()):
    """Return a page that was asked at one size."""
    return Asked.of(a_trace(*queries), findings)


def books(count, findings=(), line=9):
    """Return a page with a list, and a look-up for each of its rows."""
    lookups = some(count, BOOK, parameters=lambda n: (n,), origin=at(line))
    return asked(a_query(LIST, origin=at(3)), *lookups, findings=findings)


# -- nothing to say ---------------------------------------------------------------------------


def test_page_that_stays_the_same_has_nothing_wanted():
    """The same statements at both sizes grow nowhere."""
    judged = oracle.judge(books(2), books(2))
    assert (judged.found, judged.missed, judged.false) == ((), (), ())
    assert (judged.groups, judged.statements) == (2, 3)


def test_statement_that_only_many_rows_send_does_not_grow():
    """A second page has a statement more, once."""
    assert oracle.judge(asked(), asked(a_query(LIST, origin=at(3)))).missed == ()


def test_lists_and_rows_of_other_lengths_are_one_group():
    """One batch with few keys, and one with many."""
    few = asked(a_query("SELECT * FROM book WHERE id IN (%s, %s)", origin=at(9)))
    many = asked(a_query("SELECT * FROM book WHERE id IN (%s, %s, %s, %s)", origin=at(9)))
    assert oracle.judge(few, many).groups == 1


@pytest.mark.parametrize("text", ["SAVEPOINT s1", "RELEASE SAVEPOINT s1", "BEGIN", "COMMIT"])
def test_transactions_are_no_statements(text):
    """They come with whatever is written."""
    assert asked(a_query(text, origin=at(9))).statements == 0


def test_info_is_no_alarm_and_no_warning():
    """What asks nobody to act cannot be false."""
    judged = oracle.judge(books(1), books(1, [said("QS101", 1, severity="info")]))
    assert (judged.false, judged.others) == ((), ())


def test_warning_about_statements_that_repeat_is_right():
    """A loop over settings is as long at both sizes, and a loop."""
    assert oracle.judge(books(3), books(3, [said("QS102", 1, 2, 3)])).false == ()


def test_equal_statements_from_two_lines_are_duplicates():
    """The text and the parameters are the same, whoever asks."""
    twice = [a_query(BOOK, parameters=(1,), origin=at(line)) for line in (9, 14)]
    assert oracle.judge(asked(*twice), asked(*twice, findings=[said("QS201", 0, 1)])).false == ()


# -- wanted -----------------------------------------------------------------------------------


def test_growing_group_without_a_finding_is_missed():
    """Its line and both counts are told."""
    (group,) = oracle.judge(books(2), books(8)).missed
    assert (group.key.line, group.few, group.many) == ("library/views.py:9", 2, 8)


def test_growing_group_with_a_finding_is_found():
    """All its statements but one are enough: the first may be another finding's."""
    (group,) = oracle.judge(books(2), books(8, [said("QS102", *range(2, 9))])).found
    assert group.codes == ("QS102",)


@pytest.mark.parametrize(
    "finding",
    [said("QS102", 1, 2, 3), said("QS111", *range(9)), said("QS304", *range(9)), said("QS101", 0)],
)
def test_finding_that_does_not_cover_the_group_does_not_find_it(finding):
    """Part of it, a budget over everything, another matter or other statements are not enough."""
    assert len(oracle.judge(books(2), books(8, [finding])).missed) == 1


def test_same_text_from_two_lines_is_two_groups():
    """Two loops are two things to find."""
    few = asked(*books_at(9, 2), *books_at(14, 2))
    many = asked(*books_at(9, 8), *books_at(14, 8), findings=[said("QS102", *range(8))])
    judged = oracle.judge(few, many)
    assert [group.key.line for group in judged.found] == ["library/views.py:9"]
    assert [group.key.line for group in judged.missed] == ["library/views.py:14"]


def books_at(line, count):
    """Return look-ups of one line."""
    return some(count, BOOK, parameters=lambda n: (n,), origin=at(line))


def test_template_is_the_line_where_it_asks():
    """A loop of a template has no line of Python."""
    query = a_query(origin=an_origin(a_node(7, template="books.html")))
    assert oracle.line_of(query).endswith(":7")


# -- false ------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", sorted(oracle.REPETITION))
def test_warning_about_a_single_statement_is_false(code):
    """Neither size sends it twice."""
    (alarm,) = oracle.judge(books(1), books(1, [said(code, 1)])).false
    assert alarm.code == code


def test_warning_at_the_small_size_counts_too():
    """A page with few rows is a page."""
    assert len(oracle.judge(books(1, [said("QS101", 1)]), books(1)).false) == 1


def test_duplicates_with_other_parameters_are_false():
    """Look-ups of other rows are not the same statement."""
    assert len(oracle.judge(books(3), books(3, [said("QS201", 1, 2)])).false) == 1


def test_warning_of_another_matter_is_listed():
    """Whether a page needs an order, the oracle does not know."""
    judged = oracle.judge(books(1), books(1, [said("QS309", 0)]))
    assert judged.false == ()
    assert [item.code for item in judged.others] == ["QS309"]


# -- folding ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("SELECT 1 WHERE a = 1", "SELECT 1 WHERE a = 22"),
        ("WHERE a = 'it''s'", "WHERE a = ''"),
        ("IN (%s)", "IN (%s, %s)"),
        ("VALUES (%s, %s), (%s, %s)", "VALUES (%s, %s)"),
        ("WHERE a = %(a)s", "WHERE a = %(b_2)s"),
        ("WHERE a = ?  AND\n b = $1", "WHERE a = -3 AND b = 1.5"),
    ],
)
def test_values_fold_away(one, other):
    """Two statements with other values are one text."""
    assert oracle.folded(one) == oracle.folded(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("SELECT a1 FROM t", "SELECT a2 FROM t"),
        ("SELECT * FROM book2", "SELECT * FROM book3"),
        ('SELECT "t1"."a"', 'SELECT "t2"."a"'),
    ],
)
def test_names_with_numbers_stay_apart(one, other):
    """A number in a name is no value."""
    assert oracle.folded(one) != oracle.folded(other)
