"""Django 6.1's fetch modes: what a statement for one row, or for all of its peers, is called."""

from __future__ import annotations

import copy
import pickle

import pytest
from django.db import models

from queryscope.django import hooks
from tests.detectors.judging import check_clean, check_found
from tests.django.library.models import Book, Tag
from tests.django.recorded import here, recorded

if not hasattr(models, "FETCH_PEERS"):
    pytest.skip("fetch modes came with Django 6.1", allow_module_level=True)

from django.core.exceptions import FieldFetchBlocked
from django.db.models import FETCH_ONE, FETCH_PEERS, FETCH_RAISE


def forward(mode):
    """Read a foreign key of every book."""
    for book in Book.objects.fetch_mode(mode):
        assert book.publisher.name  # asked


def reverse_one_to_one(mode):
    """Read a one-to-one relation of every book backwards."""
    for book in Book.objects.fetch_mode(mode):
        assert book.detail.isbn  # asked


def generic(mode):
    """Read a generic foreign key of every tag."""
    for tag in Tag.objects.fetch_mode(mode):
        assert tag.target.title  # asked


def column(mode):
    """Read a deferred column of every book."""
    for book in Book.objects.only("pk").fetch_mode(mode):
        assert book.title  # asked


RELATIONS = [
    (forward, "forward", "library.Book", "publisher"),
    (reverse_one_to_one, "reverse_one_to_one", "library.Book", "detail"),
    (generic, "generic", "library.Tag", "target"),
    (column, "column", "library.Book", "title"),
]


@pytest.mark.parametrize(("work", "relation", "owner", "attribute"), RELATIONS)
def test_peers_are_one_batch_and_no_loop(books, hooked, work, relation, owner, attribute):
    """The first row's read fetches for all: one batched Load, and nothing is found."""
    with recorded(hooked) as run:
        work(FETCH_PEERS)
    first, fetch = run.queries
    assert (fetch.operation, fetch.load.batched, fetch.load.parents) == ("prefetch", True, 6)
    assert (fetch.load.relation, fetch.load.owner, fetch.load.attribute) == (
        relation,
        owner,
        attribute,
    )
    assert fetch.load.parent is None
    assert fetch.load.parent_query == (first.number if hooked == "full" else None)
    assert here(fetch.origin, "# asked")
    check_clean(run.trace)


@pytest.mark.parametrize(("work", "relation", "owner", "attribute"), RELATIONS)
def test_one_by_one_is_a_loop_as_before(books, hooked, work, relation, owner, attribute):
    """The default mode, chosen by name, is found as on every other Django."""
    with recorded(hooked) as run:
        work(FETCH_ONE)
    fetches = run.queries[1:]
    assert len({query.load.parent for query in fetches}) == 6
    assert not any(query.load.batched for query in fetches)
    check_found(run.trace, "QS104" if work is column else "QS101", 6)


@pytest.mark.parametrize("work", [forward, reverse_one_to_one, generic, column])
def test_blocked_fetch_raises_as_without_us(books, hooked, work):
    """A read that the mode forbids raises Django's own error, and sends nothing."""
    with recorded(hooked) as run, pytest.raises(FieldFetchBlocked) as recorded_error:
        work(FETCH_RAISE)
    hooks.uninstall()
    with pytest.raises(FieldFetchBlocked) as bare_error:
        work(FETCH_RAISE)
    assert str(recorded_error.value) == str(bare_error.value)
    assert recorded_error.value.__suppress_context__
    assert len(run.queries) == 1


def test_row_without_peers_is_fetched_alone(books, hooked):
    """The mode asks for one row where no other is alive: a lazy load of that row."""
    with recorded(hooked) as run:
        book = Book.objects.fetch_mode(FETCH_PEERS).get(title="book 1")
        assert book.publisher.name
    load = run.queries[1].load
    assert (run.queries[1].operation, load.batched, load.parents) == ("lazy", False, 1)


def test_managers_of_peers_still_ask_row_by_row(books, hooked):
    """Peers share keys and columns only: a manager's rows are a loop in this mode, too."""
    with recorded(hooked) as run:
        for book in Book.objects.fetch_mode(FETCH_PEERS):
            assert len(book.reviews.all()) == 1
    finding = check_found(run.trace, "QS101", 6)
    assert finding.mend.write == '.prefetch_related("reviews")'


def test_peers_of_peers_name_the_batch_that_loaded_them(books, hooked):
    """The mode is inherited: rows of a batch fetch for one another, from that batch."""
    with recorded(hooked) as run:
        for book in Book.objects.exclude(sequel_of=None).fetch_mode(FETCH_PEERS):
            assert book.sequel_of.editor.name
    _, sequels, editors = run.queries
    assert (sequels.load.attribute, editors.load.attribute) == ("sequel_of", "editor")
    assert (sequels.load.parents, editors.load.parents) == (5, 5)
    if hooked == "full":
        assert editors.load.parent_query == sequels.number
    check_clean(run.trace)


def test_mode_travels_with_copies_of_recorded_rows(books, hooked):
    """What marks a row leaves its fetch mode alone, in a copy and in a pickle."""
    with recorded(hooked):
        book = Book.objects.fetch_mode(FETCH_RAISE).first()
    for other in (copy.copy(book), copy.deepcopy(book), pickle.loads(pickle.dumps(book))):
        assert other._state.fetch_mode is FETCH_RAISE


def test_recording_keeps_no_peer_alive(books, hooked):
    """Peers are weak references: a row that the application dropped is not fetched for."""
    with recorded(hooked) as run:
        kept = list(Book.objects.order_by("pk").fetch_mode(FETCH_PEERS))[:2]
        assert kept[0].publisher.name
    assert run.queries[1].load.parents == 2
