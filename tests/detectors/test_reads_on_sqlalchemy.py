"""What nobody reads on real SQLAlchemy code: QS112, QS206 and QS301, dirty, repaired and alike.

A dirty function names its finding; the comment ``# mend`` marks the line to edit.
"""

# The names of the scenarios say what they are, and reading an attribute is what they do.
# ruff: noqa: B018, D103

from __future__ import annotations

import copy
import pickle
from dataclasses import dataclass, replace
from typing import NamedTuple

import jinja2
import pytest
from sqlalchemy import Text, create_engine, event, func, select
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    Session,
    contains_eager,
    defer,
    joinedload,
    mapped_column,
    selectinload,
    subqueryload,
)

import queryscope.sqlalchemy as adapter
from queryscope.detectors.qs112_unused_eager_load import unused_in_all
from tests.detectors.judging import said
from tests.detectors.scenarios import Scenarios, marked
from tests.detectors.test_on_sqlalchemy import SCENARIOS as OTHERS
from tests.recording import hooked, recorded
from tests.sqlalchemy.shop import Author, Book, Portrait, Tag, fill

CODES = ("QS112", "QS206", "QS301")


class Base(DeclarativeBase):
    """Of the long texts."""


class Post(Base):
    """Has a text that is long."""

    __tablename__ = "post"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    body: Mapped[str] = mapped_column(Text)


@pytest.fixture(autouse=True)
def tracked():
    """Track reads during the test; no hook may have failed."""
    with hooked(_install, adapter.uninstall):
        yield


def _install():
    adapter.install()
    adapter.track()


@pytest.fixture
def engine(tmp_path):
    """An engine with the shop and ten long posts."""
    made = create_engine(f"sqlite:///{tmp_path / 'shop.db'}")
    event.listen(made, "connect", lambda raw, _: raw.execute("PRAGMA synchronous=OFF").close())
    fill(made)
    Base.metadata.create_all(made)
    with Session(made) as session:
        session.add_all(Post(title=f"post {n}", body="A long one. " * 2_000) for n in range(10))
        session.commit()
    yield made
    made.dispose()


def run(function, engine, *, reads=True):
    """Return the Trace of a function that is given a session, as that of a request."""
    settings = {"full": True, "reads": reads, "mode": "tests"}
    with recorded(**settings) as result, Session(engine) as session:
        function(session)
    return replace(result.trace, kind="request")


class Dirty(NamedTuple):
    """A function and what has to be said about it."""

    function: object
    code: str
    subject: str = ""
    write: str = ""


SCENARIOS = Scenarios(Dirty)
dirty, clean = SCENARIOS.dirty, SCENARIOS.clean


# -- relations that were loaded along --------------------------------------------------------


@dirty("QS112", "Author.portrait", "lazyload(Author.portrait)")
def join_unread(session):
    for author in session.scalars(select(Author).options(joinedload(Author.portrait))):  # mend
        author.name


@dirty("QS112", "Author.books", "lazyload(Author.books)")
def join_of_a_collection_unread(session):
    authors = session.scalars(select(Author).options(joinedload(Author.books)))  # mend
    [author.name for author in authors.unique()]


@clean
def join_read(session):
    for author in session.scalars(select(Author).options(joinedload(Author.portrait))):
        author.portrait.id


@clean
def join_tested_for_truth(session):
    for author in session.scalars(select(Author).options(joinedload(Author.portrait))):
        author.name, author.portrait is None


@clean
def join_contained_and_read(session):
    statement = select(Book).join(Book.author).options(contains_eager(Book.author))
    for book in session.scalars(statement):
        book.author.name


@dirty("QS112", "Author.books", "lazyload(Author.books)")
def select_in_unread(session):
    for author in session.scalars(select(Author).options(selectinload(Author.books))):  # mend
        author.name


@clean
def select_in_read(session):
    for author in session.scalars(select(Author).options(selectinload(Author.books))):
        [book.title for book in author.books]


@clean
def select_in_counted(session):
    for author in session.scalars(select(Author).options(selectinload(Author.books))):
        author.name, len(author.books)


@clean
def select_in_walked_for_a_further_one(session):
    options = selectinload(Author.books).selectinload(Book.tags)
    for author in session.scalars(select(Author).options(options)):
        [tag.name for book in author.books for tag in book.tags]


@dirty("QS112", "Book.tags", "lazyload(Book.tags)")
def last_hop_unread(session):
    options = selectinload(Author.books).selectinload(Book.tags)
    for author in session.scalars(select(Author).options(options)):
        [book.title for book in author.books]


@dirty("QS112", "Author.books", "lazyload(Author.books)")
def subquery_load_unread(session):
    for author in session.scalars(select(Author).options(subqueryload(Author.books))):  # mend
        author.name


@clean
def select_in_of_nothing(session):
    for tag in session.scalars(select(Tag)).all():
        session.delete(tag)
    session.flush()
    session.expire_all()
    for book in session.scalars(select(Book).options(selectinload(Book.tags))):
        book.title


@clean
def row_that_goes_into_a_pickle(session):
    for author in session.scalars(select(Author).options(selectinload(Author.books))):
        author.name, pickle.dumps(author)


@clean
def relation_in_a_template(session):
    authors = session.scalars(select(Author).options(selectinload(Author.books))).all()
    text = "{% for a in authors %}{{ a.name }} {{ a.books|length }}{% endfor %}"
    jinja2.Template(text).render(authors=authors)


@clean
def relation_of_rows_that_were_there(session):
    authors = session.scalars(select(Author)).all()
    session.scalars(select(Author).options(selectinload(Author.books))).all()
    [author.books for author in authors if author.name]


# -- rows that nobody reads ------------------------------------------------------------------


@dirty("QS206")
def rows_thrown_away(session):
    posts = session.scalars(select(Post)).all()  # mend
    if not posts:
        [post.title for post in posts]


@clean
def rows_counted_by_the_database(session):
    session.scalar(select(func.count()).select_from(Post))


@clean
def rows_of_which_one_column_is_selected(session):
    session.scalars(select(Post.title)).all()


@clean
def rows_as_tuples_with_an_entity(session):
    for post, length in session.execute(select(Post, func.length(Post.title))):
        length, post.id, post.body


@clean
def rows_shown_whole(session):
    [dict(vars(post)) for post in session.scalars(select(Post))]


@clean
def rows_copied(session):
    [copy.copy(post) for post in session.scalars(select(Post))]


@clean
def rows_deleted(session):
    for post in session.scalars(select(Post)).all():
        session.delete(post)
    session.flush()


@clean
def rows_written(session):
    for post in session.scalars(select(Post)).all():
        post.title = "written"
    session.flush()


@clean
def rows_added_to_a_collection(session):
    author = session.scalars(select(Author)).first()
    for tag in session.scalars(select(Tag)).all():
        author.books[0].tags.append(tag)


@clean
def rows_set_and_not_flushed(session):
    with session.no_autoflush:
        for post in session.scalars(select(Post)).all():
            post.title = "seen"
        session.rollback()


@clean
def rows_locked(session):
    session.scalars(select(Post).with_for_update()).all()


@clean
def rows_put_into_a_relation(session):
    portraits = session.scalars(select(Portrait)).all()
    author = session.scalars(select(Author)).first()
    author.name, setattr(author, "portrait", portraits[-1])


# -- columns that nobody reads ---------------------------------------------------------------


@dirty("QS301", "Post.body", "defer(Post.body)")
def long_text_unread(session):
    [post.title for post in session.scalars(select(Post))]  # mend


@clean
def long_text_deferred(session):
    [post.title for post in session.scalars(select(Post).options(defer(Post.body)))]


@clean
def long_text_read_on_one_row(session):
    posts = session.scalars(select(Post)).all()
    [post.title for post in posts], posts[-1].body


@clean
def long_text_of_expired_rows(session):
    posts = session.scalars(select(Post)).all()
    session.commit()
    [post.body for post in posts]


@clean
def long_text_for_a_model_made_of_attributes(session):
    @dataclass
    class Shown:
        title: str
        body: str

    [
        Shown(*(getattr(post, n) for n in ("title", "body")))
        for post in session.scalars(select(Post))
    ]


@pytest.mark.parametrize("one", SCENARIOS.cases, ids=lambda one: one.function.__name__)
def test_dirty_function_is_found_at_its_line(one, engine):
    """One finding, with the relation or column and what to write where."""
    findings = said(run(one.function, engine), *CODES)
    assert [finding.code for finding in findings] == [one.code], [f.message for f in findings]
    (finding,) = findings
    assert finding.severity == "info"
    if one.subject:
        assert finding.subject == one.subject
        assert finding.mend.write == one.write
    wanted = marked(one.function)
    if wanted:
        assert [finding.mend.at.line] == wanted


@pytest.mark.parametrize("function", SCENARIOS.innocent, ids=lambda function: function.__name__)
def test_clean_function_is_clean(function, engine):
    """Read, needed, or not certain: nothing is said."""
    assert [finding.message for finding in said(run(function, engine), *CODES)] == []


@pytest.mark.parametrize(
    "function",
    [*OTHERS.innocent, *(one.function for one in OTHERS.cases)],
    ids=lambda function: function.__name__,
)
def test_tracking_changes_no_other_finding(function, engine):
    """All other codes say the same about the same code, tracked and not."""
    others = []
    for wanted in (False, True):
        fill(engine)
        findings = said(run(function, engine, reads=wanted))
        others.append(sorted((f.code, f.count, f.message, f.subject) for f in findings))
    assert others[0] == others[1]


def test_load_that_one_trace_of_the_run_reads_is_used(engine):
    """The verdict over several Traces: one reads it, the other does not."""

    def show(session, *, whole):
        for author in session.scalars(select(Author).options(selectinload(Author.books))):
            author.name
            if whole:
                len(author.books)

    short = run(lambda session: show(session, whole=False), engine)
    whole = run(lambda session: show(session, whole=True), engine)
    (finding,) = unused_in_all([short, short])
    assert finding.severity == "warning"
    assert finding.subject == "Author.books"
    assert unused_in_all([short, whole]) == []
