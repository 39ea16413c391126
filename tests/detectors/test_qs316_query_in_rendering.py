"""QS316: SQL that rendering sends, and what a template may evaluate."""

from __future__ import annotations

import pytest

from tests.builders import a_frame, a_load, a_node, a_query, a_stage, a_trace, an_origin, some
from tests.detectors.judging import said

VIEW = a_frame(41)
TAG = a_frame(7, file="/srv/app/library/tags.py", function="open_orders", module="library.tags")


def lazy(attribute="publisher", **facts):
    """Return a lazy read of a book's relation in a template, called by the view."""
    facts = {"origin": an_origin(a_node(), VIEW), **facts}
    return a_query(operation="lazy", load=a_load(attribute), model="library.Publisher", **facts)


def several(count, **facts):
    """Return lazy reads of so many relations."""
    nodes = [an_origin(a_node(n + 1, source=f"book.r{n}"), VIEW) for n in range(count)]
    return [
        lazy(f"r{n}", parameters=(n,), **{"origin": node, **facts}) for n, node in enumerate(nodes)
    ]


def found(*queries, **facts):
    """Return what QS316 says."""
    return said(a_trace(*queries, **facts), "QS316")


# -- innocent -----------------------------------------------------------------------------------


def test_queryset_of_the_view_is_clean():
    """``{% for book in books %}`` evaluates what the view has made."""
    tag = an_origin(a_node(source="for book in books"), VIEW)
    query = a_query(operation="iterate", model="library.Book", origin=tag, created=a_frame(40))
    count = a_query("SELECT COUNT(*) FROM t", operation="count", origin=tag, created=a_frame(40))
    assert found(query, count) == []


def test_queryset_handed_to_a_tag_is_clean():
    """A tag that evaluates what it is given has not asked by itself."""
    origin = an_origin(TAG, a_node(source="table books"), VIEW)
    assert found(a_query(operation="iterate", origin=origin, created=a_frame(40))) == []
    assert found(a_query(operation="iterate", origin=origin)) == []


def test_few_lazy_reads_are_clean():
    """The page of one object reads a few relations."""
    assert found(*several(4)) == []


def test_view_that_asks_is_clean():
    """That is where SQL belongs."""
    assert found(lazy(origin=an_origin(41)), a_query(operation="get")) == []


def test_loop_in_a_template_is_left_to_its_code():
    """An N+1 is one finding, with the line to mend."""
    loop = some(
        9,
        load=lambda n: a_load(parent=n),
        operation="lazy",
        parameters=lambda n: (n,),
        origin=an_origin(a_node(), VIEW),
    )
    findings = said(a_trace(*loop), "QS101", "QS316")
    assert [finding.code for finding in findings] == ["QS101"]


def test_same_statement_again_is_left_to_its_code():
    """Two equal statements of two tags are QS201's."""
    origins = [an_origin(TAG, a_node(n), VIEW) for n in (3, 9)]
    queries = [a_query(operation="get", origin=origin) for origin in origins]
    assert [f.code for f in said(a_trace(*queries), "QS201", "QS316")] == ["QS201"]


def test_write_is_clean():
    """A session that is saved while the answer is rendered is another matter."""
    origin = an_origin(TAG, a_node(), VIEW)
    assert found(a_query('UPDATE "t" SET "a" = %s', operation="save", origin=origin)) == []


# -- found --------------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ["django", "jinja2"])
def test_tag_that_asks_is_info(engine):
    """One statement is enough: the code is there for it."""
    origin = an_origin(TAG, a_node(engine=engine), VIEW)
    (finding,) = found(a_query(operation="get", model="shop.Order", origin=origin))
    assert (finding.severity, finding.count) == ("info", 1)
    assert "library/tags.py:7 open_orders sends 1 statement (Order)" in finding.message
    assert finding.subject.endswith("open_orders")


def test_tag_that_makes_and_counts_a_queryset_is_found():
    """Made and evaluated in one function of the tag's."""
    origin = an_origin(TAG, a_node(), VIEW)
    created = TAG._replace(column=1)
    assert len(found(a_query(operation="count", origin=origin, created=created))) == 1


@pytest.mark.parametrize("name", ["Book.__str__", "Book.__repr__"])
def test_text_of_an_object_is_found(name):
    """A log line, an admin page or a debugger asks the database."""
    origin = an_origin(a_frame(12, function=name), VIEW)
    (finding,) = found(lazy(origin=origin))
    assert finding.message.startswith(f"{name}() sends 1 statement (Book.publisher)")
    assert finding.severity == "info"


def test_many_lazy_reads_of_a_template_are_found():
    """Five relations of one book, each by itself."""
    (finding,) = found(*several(5))
    assert finding.count == 5
    assert "The template library/book_list.html sends 5 statements" in finding.message


def test_lazy_reads_of_a_serializer_are_found():
    """The serializer's stage tells it, whoever called it."""
    stages = [
        a_stage("view", kind="view"),
        a_stage("serialize BookSerializer", kind="render", parent=0),
    ]
    (finding,) = found(*several(5, origin=an_origin(41), stage=1), stages=stages)
    assert "The serializer BookSerializer sends 5 statements" in finding.message


def test_lazy_reads_of_a_response_model_are_found():
    """Only library code is on the stack: the response is built."""
    (finding,) = found(*several(5, origin=an_origin()._replace(steps=())), name="GET /books/{id}")
    assert "The response GET /books/{id} sends 5 statements" in finding.message
