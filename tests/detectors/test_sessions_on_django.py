"""Transactions and writes of real Django code: dirty, repaired, and what only looks alike."""

# Each function in here is a small program; its name says what it does.
# ruff: noqa: D103

from __future__ import annotations

import time

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.backends.db import SessionStore
from django.db import IntegrityError, transaction
from django.db.models import F

from queryscope.detectors.registry import judge
from queryscope.django import hooks
from queryscope.trace.freeze import freeze
from queryscope.trace.recorder import Recorder
from queryscope.trace.scope import ACTIVE
from tests.django.library.models import Author, Book, Genre, Publisher

OURS = ("QS506", "QS507", "QS508", "QS509", "QS510", "QS511", "QS512")
PAUSE_S = 0.12

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def library():
    """The hooks, and a book to change."""
    publisher = Publisher.objects.create(name="p")
    editor = Author.objects.create(name="Ada")
    Book.objects.create(title="book", publisher=publisher, editor=editor)
    token = ACTIVE.set(None)
    hooks.install(full=False)
    yield
    hooks.uninstall()
    ACTIVE.reset(token)


def found(program, method="POST", kind="request"):
    """Return (findings of this family by code, all codes) of a program."""
    recorder = Recorder(kind, "/books/", mode="tests")
    recorder.attributes = {"method": method, "path": "/books/"}
    recorder.open()
    try:
        program()
    finally:
        recorder.close()
    failures = []
    findings = judge(
        freeze(recorder),
        # Wide enough for a machine that is busy with something else.
        chosen={"transaction_idle_min_ms": 80, "transaction_apart_ms": 2_000},
        on_failure=lambda *failure: failures.append(failure),
    )
    assert failures == []
    return {item.code: item for item in findings if item.code in OURS}, {
        item.code for item in findings
    }


# -- QS507 -----------------------------------------------------------------------------------


def order():
    publisher = Publisher.objects.create(name="new")
    author = Author.objects.create(name="new")
    book = Book.objects.create(title="new", publisher=publisher, editor=author)
    genre = Genre.objects.create(name="new")
    book.genres.add(genre)
    Book.objects.filter(pk=book.pk).update(title="newer")


def order_in_one():
    with transaction.atomic():
        order()


def order_with_savepoints():
    with transaction.atomic():
        for number in range(6):
            try:
                with transaction.atomic():
                    Genre.objects.create(name=f"g{number}")
            except IntegrityError:
                pass


def order_of_chunks():
    for number in range(6):
        with transaction.atomic():
            Genre.objects.bulk_create([Genre(name=f"g{number}.{n}") for n in range(20)])


def delete_each():
    for genre in [Genre.objects.create(name="x") for _ in range(3)]:
        genre.delete()


@pytest.mark.parametrize(
    "program", [order_in_one, order_with_savepoints, order_of_chunks, delete_each]
)
def test_one_transaction_or_chunks_are_clean(program):
    """One atomic block, savepoints in it, chunks, and the ORM's own transactions."""
    assert "QS507" not in found(program)[0]


def test_unit_of_work_in_autocommit_is_found():
    """Six writes of six lines: an error in between leaves half of them."""
    finding = found(order)[0]["QS507"]
    assert finding.count >= 5
    assert finding.mend.write == "with transaction.atomic():"


def test_request_of_a_test_case_is_clean():
    """Inside a test case's transaction nothing is committed at all."""

    def view():
        with transaction.atomic():
            order()

    with transaction.atomic():
        assert "QS507" not in found(view)[0]
        transaction.set_rollback(True)


def test_atomic_in_each_turn_is_found():
    """A block by hand around each row; QS107 leaves it to the more specific code."""

    def program():
        for number in range(6):
            with transaction.atomic():
                Genre.objects.create(name=f"g{number}")

    ours, codes = found(program)
    assert ours["QS507"].count == 6
    assert "QS107" not in codes


def test_loop_in_autocommit_is_left_to_the_loop():
    """Its advice makes one statement, and one transaction, of it."""

    def program():
        for number in range(6):
            Genre.objects.create(name=f"g{number}")

    ours, codes = found(program)
    assert "QS507" not in ours
    assert "QS107" in codes


# -- QS506 -----------------------------------------------------------------------------------


def test_pause_in_a_transaction_that_wrote_is_found():
    """Once, by this code, and not by QS502 as well."""

    def program():
        with transaction.atomic():
            Book.objects.update(title="changed")
            time.sleep(PAUSE_S)

    ours, codes = found(program)
    assert ours["QS506"].cost.connection_ns >= 0.9 * PAUSE_S * 1e9
    assert "QS502" not in codes


def test_pause_outside_a_transaction_is_clean():
    """Before it, after it, and in autocommit, where the connection is nobody's."""

    def program():
        Book.objects.update(title="changed")
        time.sleep(PAUSE_S)
        with transaction.atomic():
            Book.objects.update(title="again")
        time.sleep(PAUSE_S)

    assert "QS506" not in found(program)[0]


def test_pause_before_the_first_write_is_left_to_the_idle_connection():
    """No row is locked yet."""

    def program():
        with transaction.atomic():
            Book.objects.get()
            time.sleep(PAUSE_S)
            Book.objects.update(title="changed")

    ours, codes = found(program)
    assert "QS506" not in ours
    assert "QS502" in codes


# -- QS509 -----------------------------------------------------------------------------------


def count_view():
    Book.objects.update(title=F("title"))


def rolled_back():
    with transaction.atomic():
        count_view()
        transaction.set_rollback(True)


def session_and_login():
    store = SessionStore()
    store["seen"] = 1
    store.save()
    user = User.objects.get()
    user.last_login = None
    user.save(update_fields=["last_login"])


def locks_a_row():
    with transaction.atomic():
        Book.objects.select_for_update().get()


@pytest.mark.parametrize("program", [rolled_back, session_and_login, locks_a_row])
def test_get_that_keeps_nothing_is_clean(program):
    """Rolled back, the framework's own, and a lock."""
    User.objects.create_user("ada")
    assert "QS509" not in found(program, "GET")[0]


def test_write_in_get_is_found():
    """And the same by POST is not."""
    finding = found(count_view, "GET")[0]["QS509"]
    assert finding.subject == "library_book"
    assert found(count_view, "POST")[0] == {}
