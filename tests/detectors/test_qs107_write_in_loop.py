"""QS107: writes row by row from a loop, and what only looks like them."""

from __future__ import annotations

import pytest

from tests.builders import a_frame, a_load, a_query, a_session, a_trace, an_origin, some
from tests.detectors.judging import Source, check_clean, check_found

INSERT = 'INSERT INTO "library_loan" ("book_id") VALUES (%s)'
UPDATE = 'UPDATE "library_loan" SET "book_id" = %s WHERE "id" = %s'
DELETE = 'DELETE FROM "library_loan" WHERE "id" IN (%s)'


def writes(count, origin, statement=INSERT, operation="create", **facts):
    """Return single writes from one place."""
    facts = {"parameters": lambda n: (n,), "model": "library.Loan", "rows": 1, **facts}
    return some(count, statement, origin=origin, operation=operation, **facts)


# -- innocent -----------------------------------------------------------------------------------


def test_few_writes_are_clean(places):
    """Four writes are below the threshold, and the threshold is the user's to set."""
    check_clean(a_trace(*writes(4, places.loop)))
    check_found(a_trace(*writes(4, places.loop)), "QS107", 4, write_in_loop_min_statements=4)


def test_one_flush_that_inserts_row_by_row_is_clean(places):
    """The unit of work sends what it has to: one call, no loop of the user's."""
    check_clean(a_trace(*writes(20, places.line, operation="flush")))


def test_bulk_create_in_chunks_is_clean(places):
    """The ORM cuts long inserts by itself, and so may the user."""
    check_clean(a_trace(*writes(8, places.line, operation="bulk_create", rows=500)))
    check_clean(a_trace(*writes(8, places.loop, operation="bulk_create", rows=500)))


def test_executemany_batches_are_clean(places):
    """One executemany a turn writes many rows."""
    check_clean(a_trace(*writes(8, places.loop, operation="cursor", many=100, rows=None)))
    check_clean(a_trace(*writes(8, places.loop, operation="cursor", many=-1, rows=None)))


def test_savepoint_around_each_row_is_clean(places):
    """A bad row must not take the others with it."""
    rows = []
    for write in writes(8, places.loop):
        rows += [a_query("SAVEPOINT s"), write, a_query("RELEASE SAVEPOINT s")]
    check_clean(a_trace(*rows))


def test_statements_that_write_many_rows_are_clean(places):
    """One UPDATE a category is not one a row."""
    check_clean(a_trace(*writes(8, places.loop, UPDATE, "update", rows=40)))


def test_factories_without_loop_of_the_users_are_clean():
    """A factory's batch loops inside the library."""
    origin = an_origin(a_frame(12, file="/srv/app/tests/test_books.py", function="test_list"))
    check_clean(a_trace(*writes(20, origin, operation="save"), kind="test"))


def test_fixtures_without_line_of_the_users_are_clean():
    """``loaddata`` has no frame of the user's."""
    check_clean(a_trace(*writes(20, an_origin()._replace(steps=()), operation="save")))


def test_loop_of_a_test_is_clean(tmp_path):
    """A test makes its data as it likes; the same loop in the application is not the test's."""
    text = "def view(keys):\n    for key in keys:\n        make(key)\n"
    test, helper = Source(tmp_path, text, "test_books.py"), Source(tmp_path, text, "services.py")
    seeding = an_origin(test.frame("make(key)", "test_list"))
    check_clean(a_trace(*writes(9, seeding), kind="test"))
    called = an_origin(helper.frame("make(key)"), test.frame("make(key)", "test_list"))
    check_found(a_trace(*writes(9, called), kind="test"), "QS107", 9)


BATCHES = """\
def nightly(batches):
    for batch in batches:
        one(batch)
        bare(batch)


def one(batch):
    with queryscope.profile("batch"):
        save(batch)


def bare(batch):
    with lock:
        save_bare(batch)
"""


def test_loop_around_the_trace_is_clean(tmp_path):
    """A caller of what makes the Trace turns around it, and counts where nothing makes one."""
    batches = Source(tmp_path, BATCHES)
    outside = an_origin(batches.frame("save(batch)"), batches.frame("one(batch)"))
    check_clean(a_trace(*writes(6, outside)))
    inside = an_origin(batches.frame("save_bare(batch)"), batches.frame("bare(batch)"))
    check_found(a_trace(*writes(6, inside)), "QS107", 6)


def test_data_migration_is_clean(tmp_path):
    """A migration runs once."""
    folder = tmp_path / "migrations"
    folder.mkdir()
    source = Source(
        folder, "def fill():\n    for row in rows:\n        row.save()\n", "0002_fill.py"
    )
    check_clean(a_trace(*writes(20, an_origin(source.frame("row.save()")), operation="save")))


# -- guilty -------------------------------------------------------------------------------------


def test_create_in_loop_is_found(places):
    """The plain case: the loop, and the batch to write behind it."""
    finding = check_found(a_trace(*writes(6, places.loop)), "QS107", 6)
    assert finding.message.startswith("Loan is written one row at a time: 6 statements in the loop")
    assert (finding.severity, finding.confidence) == ("warning", "medium")
    assert finding.mend.write == "Loan.objects.bulk_create(objects)"
    assert places.source.text_at(finding.mend.at) == "keys"
    assert finding.cost.avoidable == 5


@pytest.mark.parametrize(
    ("statement", "operation", "write"),
    [
        (UPDATE, "save", "Loan.objects.bulk_update(objects, fields)"),
        (INSERT, "save", "Loan.objects.bulk_create(objects)"),
        (DELETE, "delete", "Loan.objects.filter(pk__in=keys).delete()"),
        (UPDATE, "update", "Loan.objects.bulk_update(objects, fields)"),
        (INSERT, "bulk_create", "Loan.objects.bulk_create(objects)"),
        (INSERT, "cursor", "executemany"),
        (INSERT, "raw", "executemany"),
    ],
)
def test_write_by_whatever_means_is_found(places, statement, operation, write):
    """Each way to write one row has its batch."""
    finding = check_found(a_trace(*writes(6, places.loop, statement, operation)), "QS107", 6)
    assert finding.mend.write == write


@pytest.mark.parametrize(
    ("statement", "operation", "write"),
    [
        (INSERT, "flush", "session.add_all(objects)"),
        (INSERT, "autoflush", "session.add_all(objects)"),
        (INSERT, "create", "session.execute(insert(Loan), rows)"),
        (UPDATE, "update", "session.execute(update(Loan), rows)"),
        (DELETE, "delete", "delete(Loan).where(Loan.key.in_(keys))"),
    ],
)
def test_sqlalchemy_writes_are_found(places, statement, operation, write):
    """A flush, or a statement, for each object."""
    queries = writes(6, places.loop, statement, operation, model="Loan", session=0)
    finding = check_found(a_trace(*queries, sessions=[a_session()]), "QS107", 6)
    assert finding.mend.write == write


def test_executemany_of_one_row_is_found(places):
    """A batch of one is no batch."""
    check_found(a_trace(*writes(6, places.loop, operation="cursor", many=1)), "QS107", 6)


def test_selects_of_a_write_count_with_it(places):
    """``genres.add`` asks first what is there; a delete collects what it cascades to."""
    load = a_load("genres", relation="many_to_many", narrowed=True)
    rows = []
    for n in range(3):
        facts = {"operation": "m2m_write", "origin": places.loop, "load": load, "parameters": (n,)}
        rows.append(a_query('SELECT "genre_id" FROM "library_book_genres"', **facts))
        rows.append(a_query('INSERT INTO "library_book_genres" VALUES (%s, %s)', **facts))
    finding = check_found(a_trace(*rows), "QS107", 6)
    assert finding.message.startswith("Book.genres is written")
    assert finding.mend.write == "Book.genres.through.objects.bulk_create(links)"


def test_write_in_signal_handler_is_found(places):
    """The handler has no loop; the loop that saves has."""
    origin = places.at("in_loop", a_frame(4, file="/srv/app/signals.py", function="audit"))
    finding = check_found(a_trace(*writes(6, origin)), "QS107", 6)
    assert finding.origin.first.function == "audit"


def test_ten_writes_are_critical(places):
    """From ten on."""
    assert check_found(a_trace(*writes(10, places.loop)), "QS107").severity == "critical"
