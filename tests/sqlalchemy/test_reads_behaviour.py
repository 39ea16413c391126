"""Mapped classes behave the same tracked as untracked: each behaviour runs on both."""

from __future__ import annotations

import copy
import pickle

import pytest
from sqlalchemy import create_engine, event, inspect, select, update
from sqlalchemy.exc import InvalidRequestError
from sqlalchemy.orm import (
    InstrumentedAttribute,
    Session,
    joinedload,
    load_only,
    make_transient,
    make_transient_to_detached,
    raiseload,
    selectinload,
)
from sqlalchemy.orm.attributes import flag_modified, get_history
from sqlalchemy.orm.exc import DetachedInstanceError

import queryscope.sqlalchemy as adapter
from queryscope.trace.recorder import Recorder
from tests.sqlalchemy.shop import Author, Book, Letter, Note, Novel, Portrait, Tag, fill

AUTHORS = select(Author).order_by(Author.id)
BOOKS = select(Book).order_by(Book.id)
BEHAVIOURS = {}


def behaviour(function):
    """Collect a behaviour: a function of a session that gives what can be compared."""
    BEHAVIOURS[function.__name__] = function
    return function


def plain(instance):
    """Return an instance's values without its state."""
    return {n: value for n, value in vars(instance).items() if n != "_sa_instance_state"}


@behaviour
def columns_and_relationships(session):
    """Every kind of attribute gives the same."""
    author = session.scalars(AUTHORS).first()
    return (
        author.name, [book.title for book in author.books], author.portrait.id,
        author.letters.count(), len(session.scalars(author.notes.select()).all()),
        [tag.name for tag in author.books[0].tags], author.books[0].blurb,
    )  # fmt: skip


@behaviour
def flush_writes_what_changed(session):
    """One column of one row, and the statement's text."""
    sent = []
    event.listen(
        session.get_bind(), "before_cursor_execute",
        lambda c, cur, statement, parameters, *a: sent.append((statement, parameters)),
    )  # fmt: skip
    book = session.scalars(BOOKS).first()
    book.title = "new"
    session.flush()
    book.title = "new"
    session.flush()
    return sent


@behaviour
def history(session):
    """What was, what is, what was added."""
    author = session.scalars(AUTHORS.options(selectinload(Author.books))).first()
    before = get_history(author, "name")
    author.name = "other"
    author.books.pop()
    return (
        tuple(before), tuple(get_history(author, "name")),
        [len(part) for part in get_history(author, "books")],
        inspect(author).modified, session.is_modified(author),
    )  # fmt: skip


@behaviour
def expire_and_refresh(session):
    """Values go and come back."""
    author = session.scalars(AUTHORS).first()
    session.execute(
        update(Author).values(name="changed").execution_options(synchronize_session=False)
    )
    stale = author.name
    session.expire(author, ["name"])
    partly = plain(author).keys()
    fresh = author.name
    session.expire(author)
    gone = plain(author)
    again = author.name
    session.refresh(author)
    return stale, partly, fresh, gone, again, plain(author), inspect(author).unloaded


@behaviour
def commit_expires(session):
    """After a commit each row is loaded again; after a rollback, too."""
    author = session.scalars(AUTHORS).first()
    author.name = "kept"
    session.commit()
    gone = plain(author)
    kept = author.name
    author.name = "lost"
    session.rollback()
    return gone, kept, author.name


@behaviour
def merge(session):
    """A detached copy is merged into the row of the session."""
    author = session.scalars(AUTHORS).first()
    session.expunge(author)
    author.name = "merged"
    merged = session.merge(author)
    unloaded = session.merge(author, load=False) is merged
    return merged is author, merged.name, session.is_modified(merged), unloaded


@behaviour
def detached_and_transient(session):
    """Outside a session what is loaded is there, what is not raises."""
    author = session.scalars(AUTHORS).first()
    session.expunge(author)
    with pytest.raises(DetachedInstanceError) as raised:
        author.books  # noqa: B018 - the read that raises
    make_transient(author)
    transient = plain(author)
    make_transient_to_detached(author)
    session.add(author)
    return str(raised.value).partition(" at 0x")[0], transient, author.name


@behaviour
def pickle_and_copy(session):
    """Pickles have the same values, and name no class of ours."""
    author = session.scalars(AUTHORS.options(selectinload(Author.books))).first()
    data = pickle.dumps(author)
    made = pickle.loads(data)
    shallow = copy.copy(author)
    return (
        plain(made).keys(), made.name, [book.title for book in made.books], b"queryscope" in data,
        plain(shallow).keys(), shallow.name, type(made) is Author, type(vars(made)) is dict,
        inspect(made).unloaded,
    )  # fmt: skip


@behaviour
def dict_of_an_instance(session):
    """It is a dict with the values, and writing to it is seen."""
    author = session.scalars(AUTHORS).first()
    values = vars(author)
    values["name"] = "by dict"
    return (
        isinstance(values, dict), plain(author), len(values), "books" in values,
        author.name, inspect(author).dict is values, sorted(values), repr(plain(author)),
        values == dict(values), vars(author) is values,
    )  # fmt: skip


@behaviour
def loader_options(session):
    """load_only, raiseload, joined and select-in loads."""
    only = session.scalars(BOOKS.options(load_only(Book.title))).first()
    unloaded = inspect(only).unloaded
    session.expunge_all()
    strict = session.scalars(BOOKS.options(raiseload("*"))).first()
    with pytest.raises(InvalidRequestError) as raised:
        strict.author  # noqa: B018 - the read that raises
    session.expunge_all()
    both = AUTHORS.options(joinedload(Author.portrait), selectinload(Author.books, Book.tags))
    rows = [
        (author.portrait.id, [[tag.name for tag in book.tags] for book in author.books])
        for author in session.scalars(both)
    ]
    return unloaded, str(raised.value), rows


@behaviour
def populate_existing(session):
    """The row in the session takes the new values, or keeps its own."""
    author = session.scalars(AUTHORS).first()
    session.execute(update(Author).values(name="new").execution_options(synchronize_session=False))
    kept = session.scalars(AUTHORS).first().name
    session.scalars(AUTHORS.execution_options(populate_existing=True)).all()
    return kept, author.name, session.scalars(AUTHORS).first() is author


@behaviour
def new_rows(session):
    """Instances made by hand, before and after their flush."""
    author = Author(name="made")
    empty = Author()
    before = plain(author), empty.name, empty.books, plain(empty).keys()
    author.books.append(Book(title="with it"))
    session.add(author)
    session.flush()
    found = before, author.id == author.books[0].author_id, plain(author).keys(), author.portrait
    session.rollback()
    return found


@behaviour
def deleting_attributes_and_rows(session):
    """``del`` of an attribute, deletion with what hangs on the row."""
    author = session.scalars(AUTHORS).first()
    del author.name
    name = author.name
    deleted = tuple(get_history(author, "name"))
    session.rollback()
    novel = session.scalars(select(Novel)).one()
    session.delete(novel)
    session.flush()
    return name, deleted, inspect(novel).deleted, len(session.scalars(BOOKS).all())


@behaviour
def bulk_and_returning(session):
    """ORM-enabled updates and what they leave in the session."""
    authors = session.scalars(AUTHORS).all()
    session.execute(update(Author).where(Author.id == authors[0].id).values(name="bulk"))
    flag_modified(authors[1], "name")
    return [author.name for author in authors], session.dirty == {authors[1]}


@behaviour
def events(session):
    """load, refresh and attribute events come as often."""
    seen = []
    heard = [
        (Author, "load", lambda target, context: seen.append(("load", target.name))),
        (Author, "refresh", lambda target, context, names: seen.append(("refresh", names))),
        (Author.name, "set", lambda target, value, old, initiator: seen.append((value, old))),
    ]
    for where, name, listener in heard:
        event.listen(where, name, listener)
    try:
        author = session.scalars(AUTHORS).first()
        author.name = "heard"
        session.refresh(author)
    finally:
        for where, name, listener in heard:
            event.remove(where, name, listener)
    return seen


@behaviour
def class_access(session):
    """The class gives SQLAlchemy's attribute, which makes expressions."""
    return (
        type(Author.name) is InstrumentedAttribute, str(Author.name == "x"), str(Author.books),
        hasattr(Author, "name"), Book.title.key, Novel.title.parent.class_ is Novel,
    )  # fmt: skip


@behaviour
def polymorphic_rows(session):
    """Rows of a base class come as rows of their own classes."""
    books = session.scalars(BOOKS).all()
    return [(type(book).__name__, book.title, sorted(plain(book))) for book in books]


@behaviour
def streams_and_partitions(session):
    """Rows that come in chunks."""
    streamed = session.scalars(BOOKS.execution_options(yield_per=2))
    return [[book.title for book in part] for part in streamed.partitions(3)]


@behaviour
def identity_and_equality(session):
    """One row is one instance."""
    authors = session.scalars(AUTHORS).all()
    return (
        session.get(Author, authors[0].id) is authors[0],
        [authors.index(author) for author in session.scalars(AUTHORS)], len({*authors}),
        [session.get(kind, 1) is not None for kind in (Portrait, Letter, Note, Tag)],
    )  # fmt: skip


@pytest.mark.parametrize("name", sorted(BEHAVIOURS))
def test_tracked_class_behaves_like_an_untracked_one(name, tmp_path):
    """The same calls on the same rows give the same results."""
    results = []
    for tracked in (False, True):
        engine = create_engine(f"sqlite:///{tmp_path / f'{tracked}.db'}")
        fill(engine)
        adapter.uninstall()
        if tracked:
            adapter.install()
            adapter.track()
        recorder = Recorder("block", "test", full=True, reads=True)
        if tracked:
            recorder.open()
        try:
            with Session(engine) as session:
                results.append(BEHAVIOURS[name](session))
        finally:
            recorder.close()
            engine.dispose()
        if tracked and name != "class_access":
            assert recorder.reads or name == "new_rows"
    assert results[0] == results[1]


def test_uninstall_puts_everything_back():
    """Also the class managers whose next instance was to be watched."""
    adapter.uninstall()
    before = vars(InstrumentedAttribute)["__get__"]
    adapter.install()
    adapter.track()
    assert vars(InstrumentedAttribute)["__get__"] is not before
    adapter.uninstall()
    assert vars(InstrumentedAttribute)["__get__"] is before
    assert "new_instance" not in vars(inspect(Author).class_manager)
