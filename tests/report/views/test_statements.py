"""Statements grouped by shape and origin."""

from __future__ import annotations

from queryscope.report.view import report_of
from queryscope.report.views import statements
from tests.builders import MS, a_frame, a_load, a_query, a_trace, an_origin, some


def test_statements_are_grouped_by_shape_and_origin():
    """One shape from two lines is two groups, the dearest first."""
    trace = a_trace(
        *some(3, parameters=lambda n: (n % 2,), origin=41, duration_ns=MS),
        *some(2, origin=52, duration_ns=5 * MS),
        a_query("SELECT 1 FROM library_book", origin=41),
    )
    groups = report_of(trace, ()).groups
    assert [(g.count, g.steps[0].line, g.total_ns // MS) for g in groups] == [
        (2, 52, 10),
        (3, 41, 3),
        (1, 41, 1),
    ]
    assert groups[1].parameter_sets == 2


def test_equal_origins_are_one_group():
    """Origins are compared by what they say: a stored Trace has an object for each."""
    queries = [a_query(origin=an_origin(a_frame(), a_frame(9))) for _ in range(3)]
    assert [group.count for group in report_of(a_trace(*queries), ()).groups] == [3]


def test_values_are_shown_only_where_kept():
    """Without kept parameters neither they nor literals of the text show, nor do errors' quotes."""
    statement = "SELECT a FROM t WHERE name = 'ada' AND id = %s"
    facts = {"parameters": ("lovelace",), "error": "DataError: bad value 'byron'"}
    kept = report_of(a_trace(a_query(statement, keep=True, **facts)), ())
    folded = report_of(a_trace(a_query(statement, **facts)), ())
    shown, hidden = repr(kept), repr(folded)
    for secret in ("ada", "lovelace", "byron"):
        assert secret in shown
        assert secret not in hidden
    assert folded.groups[0].text_is_shape


def test_label_says_what_the_orm_did():
    """A lazy load is named by class and attribute, a batch by its parents, a get by its model."""
    trace = a_trace(
        a_query("SELECT 1 FROM a", operation="lazy", load=a_load()),
        a_query(
            "SELECT 1 FROM b",
            operation="prefetch",
            load=a_load("tags", relation="many_to_many", parent=None, parents=20, batched=True),
        ),
        a_query("SELECT 1 FROM c", operation="get", model="library.Book"),
        a_query("SELECT 1 FROM d"),
    )
    labels = {group.head[-1]: group.label for group in report_of(trace, ()).groups}
    assert labels == {
        "a": "lazy Book.publisher",
        "b": "prefetch Book.tags for 20 parents",
        "c": "get Book",
        "d": "",
    }


def test_sql_in_one_report_is_bounded():
    """However many long statements there are, what is shown and laid out has a limit."""
    body = "a_long_column, " * 1_200
    trace = a_trace(*some(60, lambda n: f"SELECT {body} y FROM t{n}", keep=True))
    texts = ["".join(p.text for p in group.text) for group in report_of(trace, ()).groups]
    assert sum(map(len, texts)) < statements.MAX_SQL_CHARS + 60 * statements.CUT_SQL_CHARS + 25_000
    laid_out = sum(len(text) for text in texts if "\n" in text)
    assert 0 < laid_out < 1.5 * statements.MAX_LAID_OUT_CHARS
