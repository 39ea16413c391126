"""QS104: deferred and expired columns fetched row by row, and what only looks like them."""

from __future__ import annotations

import pytest

from tests.builders import a_load, a_query, a_session, a_trace, an_origin, some
from tests.detectors.judging import Source, check_clean, check_found

COLUMN = 'SELECT "id", "body" FROM "library_article" WHERE "id" = %s'
ROWS = 'SELECT "id" FROM "library_article"'


def articles(origin=20, model="library.Article", **facts):
    """Return the statement that loads the rows."""
    return a_query(ROWS, operation="iterate", model=model, rows=6, origin=origin, **facts)


def fetches(count, *, owner="library.Article", attribute="body", relation="column", **facts):
    """Return a fetch of the column for so many rows."""
    return [
        a_query(
            COLUMN,
            operation="lazy",
            model=owner,
            parameters=(n,),
            load=a_load(attribute, owner=owner, relation=relation, parent=n, parent_query=0),
            **facts,
        )
        for n in range(count)
    ]


# -- innocent -----------------------------------------------------------------------------------


def test_deferred_column_of_one_object_is_clean():
    """That is what deferring is for."""
    check_clean(a_trace(articles(), *fetches(1), mode="tests"))


def test_several_columns_of_one_object_are_clean():
    """Each column of one object is a load of its own."""
    names = ("body", "notes", "history")
    queries = [fetches(1, attribute=n)[0]._replace(parameters_key=n) for n in names]
    check_clean(a_trace(articles(), *queries, mode="tests"))


def test_polling_refresh_is_clean():
    """``refresh_from_db`` is asked for; it is meant to ask again."""
    check_clean(a_trace(*some(6, COLUMN, operation="refresh", model="library.Article")))


def test_object_used_after_each_commit_is_clean():
    """One object that a commit expired each time is one object."""
    queries = [fetches(1, relation="expired", attribute="")[0] for _ in range(4)]
    check_clean(a_trace(articles(), *queries, mode="tests"))


# -- guilty -------------------------------------------------------------------------------------


def test_deferred_column_per_row_is_found():
    """The plain case: Django's advice without source names both ways."""
    finding = check_found(a_trace(articles(), *fetches(6)), "QS104", 6)
    assert finding.message == (
        "library.Article.body is fetched row by row: 6 statements for 6 rows."
    )
    assert finding.confidence == "high"
    assert finding.mend.at.line == 20
    assert finding.mend.how == 'Add "body" to only(), or take it out of defer().'
    assert finding.cost.avoidable == 6


@pytest.mark.parametrize(
    ("queryset", "write", "how"),
    [
        ('Article.objects.only("title")', '.only(..., "body")', 'Add "body" to the columns'),
        ('Article.objects.defer("body")', ".defer(...)", 'Take "body" out of defer()'),
    ],
)
def test_advice_reads_the_queryset(tmp_path, queryset, write, how):
    """The source tells whether the column was left out by ``only`` or by ``defer``."""
    source = Source(
        tmp_path, f"def view():\n    for article in {queryset}:\n        article.body\n"
    )
    origin = an_origin(source.frame(queryset))
    finding = check_found(a_trace(articles(origin), *fetches(6)), "QS104", 6)
    assert finding.mend.write == write
    assert finding.mend.how.startswith(how)
    assert source.text_at(finding.mend.at) == queryset


def test_sqlalchemy_column_is_undeferred():
    """SQLAlchemy's words for the columns that were loaded together."""
    queries = fetches(6, owner="Article", attribute="body, notes", session=0)
    trace = a_trace(articles(model="Article", session=0), *queries, sessions=[a_session()])
    finding = check_found(trace, "QS104", 6)
    assert finding.mend.write == "undefer(Article.body), undefer(Article.notes)"


def test_columns_of_subclass_want_polymorphic_load():
    """Rows of a subclass came without its columns."""
    queries = fetches(6, owner="Review", session=0)
    trace = a_trace(articles(model="Article", session=0), *queries, sessions=[a_session()])
    finding = check_found(trace, "QS104", 6)
    assert finding.mend.write == "selectin_polymorphic(Article, [Review])"


def test_expired_rows_name_the_session():
    """What a commit expired is fetched anew, row by row; the session's opener is the mend."""
    queries = fetches(6, owner="Article", attribute="", relation="expired", session=0)
    trace = a_trace(articles(model="Article", session=0), *queries, sessions=[a_session(opener=9)])
    finding = check_found(trace, "QS104", 6)
    assert (
        finding.message
        == "Expired rows of Article are fetched row by row: 6 statements for 6 rows."
    )
    assert finding.subject == "Article"
    assert finding.mend.write == "expire_on_commit=False"
    assert finding.mend.at.line == 9
    assert finding.cost.avoidable == 5


def test_ten_rows_are_critical():
    """From ten on."""
    assert check_found(a_trace(articles(), *fetches(10)), "QS104").severity == "critical"
