"""QS403: indexes that another one answers for or nobody uses, and those that are needed."""

from __future__ import annotations

import pytest

from queryscope.plans.declared import Model
from tests.builders import a_frame, a_query, an_origin
from tests.detectors.judging import Source
from tests.plans.empty import VENDORS, empty
from tests.plans.studied import fill, numbers, said_of

READ = "SELECT m.id FROM mark m WHERE m.room = 3"
WRITE = "INSERT INTO mark (id, room, place, note) VALUES (9001, 1, 1, 1)"


@pytest.fixture(params=VENDORS)
def place(request):
    """Shelf marks of rooms."""
    with empty(request.param, "queryscope_qs403") as found:
        found.run(
            "CREATE TABLE room (id INTEGER PRIMARY KEY)",
            "CREATE TABLE mark (id INTEGER PRIMARY KEY, room INTEGER NOT NULL, "
            "place INTEGER NOT NULL, note INTEGER, code INTEGER UNIQUE, room_id INTEGER, "
            "CONSTRAINT mark_of_room FOREIGN KEY (room_id) REFERENCES room (id))",
        )
        yield found


def said(place, *statements, **more):
    """Return what is said of the indexes after some statements."""
    sent = statements or (READ,)
    queries = [a_query(one, parameters=(), rows=1) for one in sent]
    return [item for item in said_of(place, *queries, **more) if item.code == "QS403"]


# -- innocent -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "index",
    [
        ("CREATE INDEX i ON mark (place)", "CREATE INDEX j ON mark (room, place)"),
        ("CREATE UNIQUE INDEX i ON mark (room)", "CREATE INDEX j ON mark (room, place)"),
        ("CREATE UNIQUE INDEX i ON mark (room)", "CREATE UNIQUE INDEX j ON mark (room)"),
        ("CREATE INDEX i ON mark (code, room)",),
        ("CREATE INDEX i ON mark (room_id)", "CREATE INDEX j ON mark (room_id, place)"),
    ],
)
def test_index_that_nothing_answers_for_is_clean(place, index):
    """Other columns, what makes rows unique, what backs a foreign key."""
    place.run(*index)
    assert said(place) == []


@pytest.mark.parametrize(
    ("vendor", "index"),
    [
        ("postgresql", "CREATE INDEX i ON mark (note) WHERE place > 3"),
        ("sqlite", "CREATE INDEX i ON mark (note) WHERE place > 3"),
        ("postgresql", "CREATE INDEX i ON mark USING hash (note)"),
        ("postgresql", "CREATE INDEX i ON mark ((note + 1))"),
        ("postgresql", "CREATE INDEX i ON mark (note) INCLUDE (place)"),
        ("sqlite", "CREATE INDEX i ON mark (note COLLATE NOCASE)"),
        ("mysql", "CREATE INDEX i ON mark (note) IGNORED"),
    ],
)
def test_index_of_another_kind_is_clean(vendor, index):
    """It answers what the plain one does not, or is about to go."""
    with empty(vendor, "queryscope_qs403") as place:
        place.run("CREATE TABLE mark (id INTEGER PRIMARY KEY, room INTEGER, place INTEGER, "
                  "note INTEGER)", "CREATE INDEX j ON mark (note, room)", index)  # fmt: skip
        assert said(place) == []


def test_table_of_no_statement_is_clean(place):
    """What was recorded does not touch it."""
    place.run(
        "CREATE TABLE other (id INTEGER PRIMARY KEY, a INTEGER)",
        "CREATE INDEX i ON other (a)",
        "CREATE INDEX j ON other (a)",
    )
    assert said(place) == []


# -- found ----------------------------------------------------------------------------------------


def test_duplicate_is_found(place):
    """The first by name stays; who writes pays for both."""
    place.run("CREATE INDEX i ON mark (room)", "CREATE INDEX j ON mark (room)")
    (finding,) = said(place, READ, WRITE)
    assert finding.message == "Index j (room) of mark is just like index i (room)."
    assert (finding.severity, finding.confidence, finding.cost.statements) == ("warning", "high", 1)
    assert "DROP INDEX" in finding.mend.write
    assert finding.trace_id


def test_what_the_mend_says_can_be_done(place):
    """And nothing is left to say."""
    place.run("CREATE INDEX i ON mark (room)", "CREATE INDEX j ON mark (room, place)")
    (finding,) = said(place)
    place.run(finding.mend.write)
    assert said(place) == []


@pytest.mark.parametrize("longer", ["room, place", "room, note, place"])
def test_prefix_is_found(place, longer):
    """The longer one is searched by its beginning; without a write it is an info."""
    place.run("CREATE INDEX i ON mark (room)", f"CREATE INDEX j ON mark ({longer})")
    (finding,) = said(place)
    assert finding.message == (
        f"Index i (room) of mark is the beginning of index j ({longer})."
    )  # fmt: skip
    assert (finding.severity, finding.confidence) == ("info", "medium")
    assert finding.subject == "mark i"


def test_index_of_the_key_is_found(place):
    """The primary key is an index."""
    place.run("CREATE INDEX i ON mark (id)")
    (finding,) = said(place)
    assert finding.subject == "mark i"


def test_mend_names_the_model(tmp_path):
    """Its class is where the index was written."""
    source = Source(tmp_path, "class Mark(Model):\n    room = Integer()\n", "models.py")
    model = Model("shop.Mark", "mark", "", str(source.path), "shop.models", "Mark", ())
    with empty("sqlite") as place:
        fill(place)
        place.run("CREATE TABLE mark (id INTEGER PRIMARY KEY, room INTEGER)",
                  "CREATE INDEX i ON mark (room)", "CREATE INDEX j ON mark (room)")  # fmt: skip
        (finding,) = said(place, models=[model])
    assert (finding.mend.at.file, finding.mend.at.line) == (str(source.path), 1)
    assert finding.origin.first.module == "shop.models"


# -- unused ---------------------------------------------------------------------------------------

WORK = (
    WRITE,
    READ,
    "SELECT m.id FROM mark m WHERE m.room = 3 AND m.place = 1",
    "SELECT m.place FROM mark m WHERE m.id = 4",
    "SELECT COUNT(*) FROM mark m WHERE m.room = 5",
    "UPDATE mark SET place = 4 WHERE id = 5",
)


def many(place):
    """Make many marks, and an index that READ uses and one that nobody does."""
    place.run(
        "INSERT INTO mark (id, room, place) SELECT i, i % 300, i "
        f"FROM {numbers(place.vendor, 2000)}",
        "CREATE INDEX used ON mark (room)",
        "CREATE INDEX idle ON mark (note)",
    )
    place.analyze("mark")


def test_index_that_no_statement_uses_is_told(place):
    """As an info: what was not recorded may."""
    many(place)
    (finding,) = said(place, *WORK)
    assert (finding.subject, finding.severity, finding.confidence) == ("mark idle", "info", "low")
    assert "none of 5 recorded statements" in finding.message


@pytest.mark.parametrize(
    "work",
    [
        (*WORK[1:-1], "SELECT m.room FROM mark m"),
        WORK[:4],
        (*WORK, "SELECT m.id FROM mark m WHERE m.note = 3"),
        (*WORK, "SELECT m.nothing FROM mark m"),
    ],
)
def test_workload_that_says_little_is_clean(place, work):
    """No write, few statements, one that uses it, one without a plan."""
    many(place)
    assert said(place, *work) == []


def test_index_that_the_server_counted_is_clean():
    """Somebody else uses it."""
    with empty("postgresql") as place:
        place.run(
            "CREATE TABLE mark (id INTEGER PRIMARY KEY, room INTEGER, place INTEGER, note INTEGER)"
        )
        many(place)
        place.run(
            "SET enable_seqscan = off",
            "SELECT id FROM mark WHERE note = 3",
            "SELECT pg_stat_force_next_flush()",
        )
        assert said(place, *WORK) == []


def test_migration_is_no_workload(place):
    """Its statements say nothing of the application."""
    place.run("CREATE INDEX i ON mark (room)", "CREATE INDEX j ON mark (room)")
    frame = a_frame(file="/srv/app/migrations/0002_fill.py", module="library.migrations.0002_fill")
    query = a_query(READ, parameters=(), origin=an_origin(frame))
    assert [item for item in said_of(place, query) if item.code == "QS403"] == []
