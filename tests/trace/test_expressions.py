"""The expression to mend is found in source by the positions that frames have."""

from __future__ import annotations

import pytest

from queryscope.trace.expressions import expression_at, methods_at, only_mention
from tests.detectors.judging import Source


@pytest.mark.parametrize(
    ("snippet", "found"),
    [
        ("books.count()", "books.count()"),
        ("filter(price=1)", 'Book.objects.filter(price=1).order_by("pk")'),
        ("first, *rest", "Book.objects.all()"),
    ],
)
def test_expression_of_evaluation_or_creation(view, snippet, found):
    """A creation gives its whole chain, an unpacking its right side."""
    assert view.text_at(expression_at(view.frame(snippet))) == found


def test_expression_of_loop_is_what_was_assigned(view):
    """A loop over a name leads to the queryset that the name stands for."""
    whole = view.text[
        view.text.index("for book in books:") : view.text.index("    names =")
    ].rstrip()
    found = view.text_at(expression_at(view.frame(whole)))
    assert found == 'Book.objects.filter(price=1).order_by("pk")'


def test_expression_ends_before_method_that_evaluates(view):
    """No queryset method can follow ``count()``; the chain ends in front of it."""
    found = view.text_at(expression_at(view.frame("Book.objects\n        .filter(price=2)")))
    assert found.endswith('.values("price")')


def test_expression_of_executed_select_is_the_select(tmp_path):
    """Options belong to the select, not to what executes it."""
    source = Source(
        tmp_path,
        "def view(session):\n"
        "    wanted = select(Book).where(Book.id > 3)\n"
        "    return session.scalars(wanted).all()\n",
    )
    found = expression_at(source.frame("session.scalars(wanted)"))
    assert source.text_at(found) == "select(Book).where(Book.id > 3)"


def test_only_mention_of_model_is_found_behind_render(tmp_path):
    """A template evaluates: the view made the one queryset of the class."""
    source = Source(
        tmp_path,
        "def view(request):\n"
        "    books = Book.objects.filter(shown=True)[:50]\n"
        "    return render(request, {'books': books})\n",
    )
    found = only_mention(source.frame("render(request, {'books': books})"), "Book")
    assert source.text_at(found) == "Book.objects.filter(shown=True)"


def test_several_mentions_of_model_are_no_answer(view):
    """Two querysets of a class: which of them, nobody knows."""
    assert only_mention(view.frame("render(books)"), "Book") is None


def test_methods_of_chain_are_named(view):
    """The methods of a chain tell ``only`` from ``defer``."""
    assert methods_at(view.frame("filter(price=1)")) == {"filter", "order_by"}


def test_methods_are_those_of_the_chain(tmp_path):
    """A queryset handed to another call is not the call: its methods are not those asked for."""
    text = 'page = render(request, {"books": Book.objects.filter(x=1)})\nbooks.only("a").all()\n'
    source = Source(tmp_path, text)
    assert methods_at(source.frame('render(request, {"books": Book.objects.filter(x=1)})')) == {
        "render"
    }
    assert methods_at(source.frame('books.only("a").all()')) == {"only", "all"}


def test_mention_within_a_call_of_many_lines_counts(tmp_path):
    """The one place where a class is named may stand below the line on which the call begins."""
    text = "def view():\n    return render(\n        request,\n        Book.objects.all(),\n    )"
    source = Source(tmp_path, f"{text}\n")
    call = source.frame(text[text.index("render") : text.rindex(")") + 1])
    found = only_mention(call, "Book")
    assert source.text_at(found) == "Book.objects.all()"
