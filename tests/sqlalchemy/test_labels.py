"""What the labels say: verb, class, relationship, parent row and the parent's statement."""

from __future__ import annotations

import pytest
from sqlalchemy import delete, func, insert, lambda_stmt, literal_column, select, text, update
from sqlalchemy.exc import LegacyAPIWarning
from sqlalchemy.orm import (
    Query,
    Session,
    immediateload,
    joinedload,
    lazyload,
    load_only,
    selectinload,
    subqueryload,
    undefer,
    with_parent,
)

from queryscope.trace.events import Load
from tests.recording import recorded
from tests.sqlalchemy.shop import (
    Author,
    Book,
    Letter,
    Note,
    Novel,
    Portrait,
    Tag,
    book_tag,
    line_of,
)

BOOKS = select(Book).where(Book.kind == "book").order_by(Book.id)


@pytest.fixture
def session(engine):
    """Open a session on the shop."""
    with Session(engine) as session:
        yield session


def loads(run, start=1):
    """Return the loads of the statements from the second on."""
    return [query.load for query in run.queries[start:]]


def lazy(relation, owner, attribute, parent, query):
    """Return what a lazy load of one row's attribute looks like."""
    return Load(relation, owner, attribute, parent, 1, query, narrowed=False, batched=False)


def test_lazy_many_to_one(session):
    """Reading a many-to-one row by row: one parent each, all loaded by the first statement."""
    with recorded() as run:
        for book in session.scalars(BOOKS):
            _ = book.author.name  # the read
    assert run.operations == ["iterate", "lazy", "lazy", "lazy"]
    assert loads(run) == [lazy("forward", "Book", "author", n, 0) for n in range(3)]
    assert {query.model for query in run.queries[1:]} == {"Author"}
    assert {q.origin.frame.line for q in run.queries[1:]} == {line_of(__file__, "the read")}


def test_lazy_collection(session):
    """Reading a collection row by row: one parent each."""
    with recorded() as run:
        for author in session.scalars(select(Author).order_by(Author.id)):
            _ = list(author.books)
    assert run.operations == ["iterate", *["lazy"] * 3]
    assert loads(run) == [lazy("reverse", "Author", "books", n, 0) for n in range(3)]
    assert [query.rows for query in run.queries] == [3, 3, 2, 2]


def test_lazy_secondary(session):
    """A collection over an association table is many-to-many."""
    with recorded() as run:
        for book in session.scalars(BOOKS.limit(2)):
            _ = list(book.tags)
    assert loads(run) == [lazy("many_to_many", "Book", "tags", n, 0) for n in range(2)]


def test_lazy_one_to_one(session):
    """The side without the key is reverse, the side with it forward."""
    with recorded() as run:
        _ = session.get(Author, 1).portrait
        session.expunge_all()
        _ = session.get(Portrait, 1).author
    assert run.operations == ["get", "lazy", "get", "lazy"]
    assert run.queries[1].load == lazy("reverse_one_to_one", "Author", "portrait", 0, 0)
    assert run.queries[3].load == lazy("forward", "Portrait", "author", 1, 2)


def test_chain_of_lazy_loads_names_each_parent_statement(session):
    """In a chain of two hops each load knows the statement that loaded its parent."""
    with recorded() as run:
        _ = session.get(Author, 1).books[0].tags
    assert [load.parent_query for load in loads(run)] == [0, 1]


def test_loads_of_one_row_have_one_parent(session):
    """Two attributes of one row are loads of one parent."""
    with recorded() as run:
        author = session.get(Author, 1)
        _ = (author.books, author.portrait)
    assert [load.parent for load in loads(run)] == [0, 0]


def test_parent_loaded_before_the_trace_is_unknown(session):
    """Which statement loaded a parent is not known when it was not recorded."""
    author = session.get(Author, 1)
    with recorded() as run:
        _ = author.books
    assert loads(run, 0) == [lazy("reverse", "Author", "books", 0, None)]


def test_deferred_column(session):
    """A deferred column read row by row is a column load of the row's class."""
    with recorded() as run:
        for book in session.scalars(BOOKS.limit(2)):
            _ = book.blurb
    assert run.operations == ["iterate", "lazy", "lazy"]
    assert loads(run) == [lazy("column", "Book", "blurb", n, 0) for n in range(2)]


def test_undeferred_column_needs_no_load(session):
    """An undeferred column comes with its row."""
    with recorded() as run:
        for book in session.scalars(BOOKS.options(undefer(Book.blurb))):
            _ = book.blurb
    assert run.operations == ["iterate"]


def test_expired_after_commit(session):
    """Reading an instance after a commit loads it again: an expired load."""
    with recorded() as run:
        authors = session.scalars(select(Author).order_by(Author.id)).all()
        session.commit()
        for author in authors:
            _ = author.name
    assert run.operations == ["iterate", *["lazy"] * 3]
    assert loads(run) == [lazy("expired", "Author", "name", n, 0) for n in range(3)]


def test_relationship_of_an_expired_row(session):
    """Reading a relationship of an expired row loads the row again, then the relationship."""
    with recorded() as run:
        book = session.get(Book, 1)
        session.commit()
        _ = book.author
    assert run.operations == ["get", "lazy", "lazy"]
    assert [load.relation for load in loads(run)] == ["expired", "forward"]
    assert loads(run)[1].parent_query == 1


def test_several_deferred_columns(engine, session):
    """Columns that are loaded together are named by the one that was read."""
    with recorded() as run:
        asked = select(Book).options(load_only(Book.title, raiseload=False))
        for book in session.scalars(asked.limit(1)):
            _ = book.author_id
    assert run.queries[1].load.attribute == "author_id"


def test_refresh(session):
    """A refresh names its class."""
    author = session.get(Author, 1)
    with recorded() as run:
        session.refresh(author)
        session.refresh(author, ["books"])
    assert run.operations[:1] == ["refresh"]
    assert run.queries[0].model == "Author"
    assert run.queries[-1].load == lazy("reverse", "Author", "books", 0, 1)


def test_merge(session):
    """A merge that has to look a row up says merge, cascades included."""
    with recorded() as run:
        session.merge(Author(id=1, name="new", books=[Book(id=1, title="t")]))
    assert set(run.operations) == {"merge"}
    assert run.queries[0].model == "Author"


def test_get(session):
    """A look-up by key names its class; a second one of the same row asks nobody."""
    with recorded() as run:
        book = session.get(Book, 1)
        assert session.get(Book, 1) is book
        session.get(Book, 3)
    assert [(query.operation, query.model) for query in run.queries] == [("get", "Book")] * 2


def test_selectin(session):
    """A select-in load is one batch for all parents."""
    with recorded() as run:
        session.scalars(select(Author).options(selectinload(Author.books))).all()
    assert run.operations == ["iterate", "select_in"]
    assert run.queries[1].load == Load(
        "reverse", "Author", "books", None, 3, 0, narrowed=False, batched=True
    )


def test_selectin_of_many_to_one(session):
    """A select-in load of a many-to-one serves as many parents as there are rows."""
    with recorded() as run:
        session.scalars(BOOKS.options(selectinload(Book.author))).all()
    assert run.queries[1].load.parents == 6
    assert run.queries[1].load.relation == "forward"


def test_nested_selectin_names_both_parents(session):
    """Each level of nested select-in loads knows the statement of the level above."""
    with recorded() as run:
        nested = selectinload(Author.books).selectinload(Book.tags)
        session.scalars(select(Author).options(nested)).all()
    assert run.operations == ["iterate", "select_in", "select_in"]
    assert [load.parent_query for load in loads(run)] == [0, 1]


def test_selectin_below_a_lazy_load_is_no_lazy_load(session):
    """A select-in load that a lazy load brings along stays a select-in load."""
    with recorded() as run:
        options = lazyload(Author.books).selectinload(Book.tags)
        author = session.scalars(select(Author).options(options)).first()
        _ = author.books
    assert run.operations == ["iterate", "lazy", "select_in"]


def test_selectin_below_get_is_no_get(session):
    """A select-in load inside ``Session.get`` stays a select-in load."""
    with recorded() as run:
        session.get(Author, 1, options=[selectinload(Author.books)])
    assert run.operations == ["get", "select_in"]
    assert run.queries[1].load.parents == 1


def test_selectin_of_buffered_rows_names_its_parent(session):
    """Results that are fetched at once, as async sessions do, know the parents' statement."""
    with recorded() as run:
        session.execute(
            select(Author).options(selectinload(Author.books)),
            execution_options={"prebuffer_rows": True},
        )
    assert run.queries[1].load.parent_query == 0


def test_subquery(session):
    """A subquery load is a batch for parents that it repeats."""
    with recorded() as run:
        session.scalars(select(Author).options(subqueryload(Author.books))).all()
    assert run.operations == ["iterate", "subquery"]
    assert run.queries[1].load == Load(
        "reverse", "Author", "books", None, 0, 0, narrowed=False, batched=True
    )


def test_joined(session):
    """A joined load is no statement of its own."""
    with recorded() as run:
        for book in session.scalars(BOOKS.options(joinedload(Book.author))):
            _ = book.author.name
    assert run.operations == ["iterate"]
    with recorded() as run:
        book = session.scalars(BOOKS.options(joinedload(Book.author))).first()
        _ = book.author.books
    assert run.queries[1].load.parent_query == 0


def test_immediate(session):
    """An immediate load is one statement per parent, as a lazy one is."""
    with recorded() as run:
        asked = select(Author).options(immediateload(Author.books)).order_by(Author.id)
        session.scalars(asked).all()
    assert run.operations == ["iterate", *["lazy"] * 3]
    assert loads(run) == [lazy("reverse", "Author", "books", n, 0) for n in range(3)]


def test_dynamic(session):
    """A dynamic relationship's statement knows its parent; a filter or count narrows it."""
    with recorded() as run:
        author = session.get(Author, 1)
        author.letters.all()
        author.letters.filter(Letter.id > 5).all()
        author.letters.count()
        author.letters.first()
    assert run.operations == ["get", "iterate", "iterate", "count", "first"]
    assert {load[:6] for load in loads(run)} == {("reverse", "Author", "letters", 0, 1, 0)}
    assert [load.narrowed for load in loads(run)] == [False, True, True, True]
    assert {query.model for query in run.queries[1:]} == {"Letter"}


def test_write_only(session):
    """A write-only relationship's select knows its parent."""
    with recorded() as run:
        author = session.get(Author, 1)
        session.scalars(author.notes.select()).all()
        session.scalars(author.notes.select().where(Note.id == 1).limit(1)).all()
    assert run.operations == ["get", "iterate", "iterate"]
    assert {load[:6] for load in loads(run)} == {("reverse", "Author", "notes", 0, 1, 0)}
    assert [load.narrowed for load in loads(run)] == [False, True]


def test_with_parent(session):
    """A select narrowed by ``with_parent`` knows its parent, in every row of a loop."""
    with recorded() as run:
        for author in session.scalars(select(Author).order_by(Author.id)).all():
            session.scalars(select(Book).where(with_parent(author, Author.books))).all()
    assert [load.parent for load in loads(run)] == [0, 1, 2]


def test_joined_inheritance(session):
    """Columns of a subclass's own table are a load of that class."""
    with recorded() as run:
        for book in session.scalars(select(Book).where(Book.kind == "novel")):
            _ = book.pages
        _ = session.scalars(select(Novel)).all()
    assert run.operations == ["iterate", "lazy", "iterate"]
    assert run.queries[1].model == "Novel"
    assert run.queries[1].load.owner == "Novel"
    assert run.queries[2].model == "Novel"


def test_legacy_query(session):
    """The legacy Query's methods say their verbs."""
    with recorded() as run:
        query = session.query(Book)
        query.all()
        query.first()
        query.filter_by(id=1).one()
        query.filter_by(id=-1).one_or_none()
        query.count()
        with pytest.warns(LegacyAPIWarning):
            query.get(4)
        session.query(func.count(Book.id)).scalar()
        session.query(Book.title).all()
        query.filter_by(id=3).update({"title": "x"})
        session.query(Note).filter_by(id=2).delete()
        query.from_statement(text("SELECT * FROM shop_book")).all()
    verbs = ["iterate", "first", "get", "get", "count", "get", "values", "values"]
    assert run.operations[: len(verbs)] == verbs
    assert "update" in run.operations
    assert "delete" in run.operations
    assert run.operations[-1] == "raw"
    assert {query.model for query in run.queries} == {"Book", "Note", ""}


def test_yield_per(session):
    """A streamed result is one statement, its select-in loads one per chunk."""
    with recorded() as run:
        asked = select(Book).options(selectinload(Book.tags)).execution_options(yield_per=3)
        list(session.scalars(asked))
    assert run.operations == ["iterate", "select_in", "select_in", "select_in"]
    assert [load.parents for load in loads(run)] == [3, 3, 1]
    assert {load.parent_query for load in loads(run)} == {0}


@pytest.mark.parametrize(
    ("statement", "operation", "model"),
    [
        (select(Book), "iterate", "Book"),
        (select(Book.id, Book.title), "values", "Book"),
        (select(Book, Author).join(Author), "iterate", "Book"),
        (select(func.count()).select_from(Book), "values", ""),
        (select(func.max(Book.id)), "values", ""),
        (select(Book).union_all(select(Book)), "iterate", "Book"),
        (select(Book).from_statement(select(Book)), "iterate", "Book"),
        (select(Book).from_statement(text("SELECT * FROM shop_book")), "raw", "Book"),
        (lambda_stmt(lambda: select(Book)), "iterate", "Book"),
        (select(book_tag), "core", ""),
        (select(literal_column("1")), "core", ""),
        (text("SELECT 1"), "raw", ""),
        (text("SELECT 1 AS one").columns(literal_column("one")), "raw", ""),
        (insert(Tag).values(name="x"), "create", "Tag"),
        (update(Tag).values(name="x"), "update", "Tag"),
        (delete(Note), "delete", "Note"),
        (insert(book_tag).values(book_id=7, tag_id=1), "core", ""),
    ],
)
def test_executed_statements(session, statement, operation, model):
    """What a session executes is named by what it is."""
    with recorded() as run:
        session.execute(statement)
    assert [(query.operation, query.model) for query in run.queries] == [(operation, model)]
    assert run.trace.unlabelled == 0


def test_core_connection(engine):
    """Statements without the ORM are core, raw text, or the driver's own."""
    with recorded() as run, engine.connect() as connection:
        connection.execute(select(book_tag))
        connection.scalar(select(func.count()).select_from(book_tag))
        connection.scalars(text("SELECT 1"))
        connection.exec_driver_sql("SELECT 2")
        connection.execute(select(Book))
        connection.scalar(func.now())
    assert run.operations == ["core", "core", "raw", "cursor", "core", "core"]


def test_flush_and_autoflush(session):
    """Writes of a flush and of an autoflush are told apart, also inside a lazy load."""
    with recorded() as run:
        session.add(Tag(name="one"))
        session.flush()
        session.add(Tag(name="two"))
        author = session.scalars(select(Author)).first()
        session.add(Tag(name="three"))
        _ = author.books
        session.add(Tag(name="four"))
        session.commit()
    assert run.operations == [
        "flush", "autoflush", "iterate", "autoflush", "lazy", "flush",
    ]  # fmt: skip


def test_bulk_methods(session):
    """The bulk methods are named by what they write."""
    with recorded() as run:
        session.bulk_insert_mappings(Tag, [{"name": "a"}, {"name": "b"}])
        session.bulk_update_mappings(Tag, [{"id": 1, "name": "a"}])
        session.bulk_save_objects([Tag(name="c")])
        session.execute(insert(Tag), [{"name": "d"}, {"name": "e"}])
    assert run.operations == ["bulk_create", "bulk_update", "bulk_create", "bulk_create"]
    assert {query.model for query in run.queries} == {"Tag"}


def test_delete_loads_what_it_cascades_to(session):
    """Collections that a delete has to look at are lazy loads of the deleted row."""
    with recorded() as run:
        author = session.get(Author, 3)
        session.delete(author)
    assert set(run.operations[1:]) <= {"lazy", "iterate"}
    assert all(load is None or load.owner == "Author" for load in loads(run))


def test_creation_line_in_full_recording(session):
    """Full recording knows where a legacy Query was made, light does not look."""
    with recorded(full=True) as run:
        query = session.query(Book)  # made here
        query = query.filter(Book.id > 1)
        query.all()
    (found,) = run.queries
    assert found.created.line == line_of(__file__, "made here")
    with recorded() as run:
        session.query(Book).all()
    assert run.queries[0].created is None


def test_query_subclass_is_labelled(engine):
    """A user's own Query class is read as any other."""

    class Mine(Query):
        pass

    with Session(engine, query_cls=Mine) as session, recorded() as run:
        session.query(Book).all()
    assert run.operations == ["iterate"]
