"""QS113, QS114, QS205, QS302, QS305 and QS306 on real SQLAlchemy code, beside what looks alike.

A dirty function names its code; the comment ``# mend`` marks the line to edit.
"""

# The names of the scenarios say what they are.
# ruff: noqa: D103

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import ForeignKey, create_engine, select, update
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    Session,
    joinedload,
    mapped_column,
    relationship,
    selectinload,
)

import queryscope.sqlalchemy as adapter
from tests.detectors.judging import said
from tests.detectors.scenarios import Scenarios, marked
from tests.recording import hooked, recorded

CODES = ("QS113", "QS114", "QS205", "QS302", "QS305", "QS306")
OTHERS = ("QS112", "QS201", "QS206", "QS304", "QS307", "QS315")
"""Codes that could speak of the same line."""
SCENARIOS = Scenarios(lambda function, code: (function, code))
dirty, clean = SCENARIOS.dirty, SCENARIOS.clean


class Base(DeclarativeBase):
    """Of the posts."""


class Post(Base):
    """Has a long text, and two collections."""

    __tablename__ = "post"
    id: Mapped[int] = mapped_column(primary_key=True)
    stars: Mapped[int]
    body: Mapped[str]
    notes: Mapped[list[Note]] = relationship()
    links: Mapped[list[Link]] = relationship()


class Note(Base):
    """Three of each post."""

    __tablename__ = "note"
    id: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str]
    post_id: Mapped[int] = mapped_column(ForeignKey("post.id"))
    post: Mapped[Post] = relationship(viewonly=True)


class Link(Base):
    """Three of each post."""

    __tablename__ = "link"
    id: Mapped[int] = mapped_column(primary_key=True)
    url: Mapped[str]
    post_id: Mapped[int] = mapped_column(ForeignKey("post.id"))


@pytest.fixture(autouse=True)
def tracked():
    """Track reads during the test; no hook may have failed."""
    with hooked(_install, adapter.uninstall):
        yield


def _install():
    adapter.install()
    adapter.track()


@pytest.fixture(scope="module")
def engine():
    """An engine with 150 posts."""
    made = create_engine("sqlite://")
    Base.metadata.create_all(made)
    with Session(made) as session:
        for n in range(150):
            post = Post(id=n, stars=n % 5, body="A long one. " * 50)
            post.notes = [Note(text=f"note {k}") for k in range(3)]
            post.links = [Link(url=f"url {k}") for k in range(3)]
            session.add(post)
        session.commit()
    yield made
    made.dispose()


def run(function, engine):
    """Return the Trace of a function that is given a session, as that of a request."""
    with recorded(full=True, reads=True, mode="tests") as result, Session(engine) as session:
        function(session)
        session.rollback()
    return replace(result.trace, kind="request")


@dirty("QS302")
def condition_in_a_comprehension(session):
    posts = session.scalars(select(Post)).all()  # mend
    return [post.body for post in posts if post.stars == 1]


@dirty("QS302")
def condition_in_a_loop(session):
    found = []
    for post in session.scalars(select(Post)):  # mend
        if post.stars == 1:
            body = post.body
            found.append(body)
    return found


@clean
def condition_in_the_statement(session):
    return [post.body for post in session.scalars(select(Post).where(Post.stars == 1))]


@clean
def condition_that_keeps_most(session):
    return [post.body for post in session.scalars(select(Post)) if post.stars != 1]


@clean
def condition_of_a_relation(session):
    statement = select(Post).options(selectinload(Post.notes))
    return [post.body for post in session.scalars(statement) if len(post.notes) > 3]


@dirty("QS305")
def sum_of_a_column(session):
    return sum(post.stars for post in session.scalars(select(Post)).all())  # mend


@dirty("QS305")
def largest_of_a_column(session):
    posts = session.scalars(select(Post)).all()  # mend
    return max(post.stars for post in posts), min(post.stars for post in posts)


@clean
def sum_of_selected_values(session):
    return sum(session.scalars(select(Post.stars)))


@clean
def sum_of_rows_that_another_statement_uses(session):
    posts = session.scalars(select(Post)).all()
    total = sum(post.stars for post in posts)
    return total, [note.post.body for note in session.scalars(select(Note))]


@dirty("QS306")
def sorted_by_a_column(session):
    posts = session.scalars(select(Post)).all()  # mend
    return [post.body for post in sorted(posts, key=lambda post: post.stars)]


@clean
def sorted_page(session):
    posts = session.scalars(select(Post).order_by(Post.id).limit(100)).all()
    return [post.body for post in sorted(posts, key=lambda post: post.stars)]


@dirty("QS113")
def two_collections_joined(session):
    statement = select(Post).options(joinedload(Post.notes), joinedload(Post.links))  # mend
    posts = session.scalars(statement).unique()
    return [(len(post.notes), len(post.links), post.body) for post in posts]


@clean
def two_collections_apart(session):
    statement = select(Post).options(selectinload(Post.notes), selectinload(Post.links))
    return [(len(p.notes), len(p.links), p.body) for p in session.scalars(statement)]


@clean
def two_collections_of_one_row_each(session):
    session.query(Note).filter(Note.text > "note 0").delete()
    session.query(Link).filter(Link.url > "url 0").delete()
    statement = select(Post).options(joinedload(Post.notes), joinedload(Post.links))
    return [(len(p.notes), len(p.links), p.body) for p in session.scalars(statement).unique()]


@dirty("QS114")
def wide_parent_joined(session):
    statement = select(Post).options(joinedload(Post.notes))  # mend
    return [(post.body, len(post.notes)) for post in session.scalars(statement).unique()]


@dirty("QS114")
def wide_row_joined_again_and_again(session):
    statement = select(Note).options(joinedload(Note.post))  # mend
    return [(note.text, note.post.body) for note in session.scalars(statement)]


@clean
def wide_parent_select_in(session):
    statement = select(Post).options(selectinload(Post.notes))
    return [(post.body, len(post.notes)) for post in session.scalars(statement)]


@clean
def wide_parent_whose_text_is_unread(session):
    statement = select(Post).options(joinedload(Post.notes))
    return [(post.stars, len(post.notes)) for post in session.scalars(statement).unique()]


@dirty("QS114")
def row_of_one_row_select_in(session):
    statement = select(Note).options(selectinload(Note.post)).where(Note.id == 1)  # mend
    note = session.scalars(statement).one()
    return note.text, note.post.stars


@clean
def row_of_one_row_joined(session):
    note = session.scalars(select(Note).options(joinedload(Note.post)).where(Note.id == 1)).one()
    return note.text, note.post.stars


@dirty("QS205")
def refreshed_unread(session):
    post = session.get(Post, 1)
    session.refresh(post)  # mend
    return post.body


@clean
def refreshed_after_a_write(session):
    post = session.get(Post, 1)
    session.execute(update(Post).where(Post.id == 1).values(stars=4))
    session.refresh(post)
    return post.stars


@clean
def refreshed_to_discard(session):
    post = session.get(Post, 1)
    with session.no_autoflush:
        post.stars = 99
        session.refresh(post)
    return post.stars


@clean
def refreshed_in_another_transaction(session):
    post = session.get(Post, 1)
    session.commit()
    session.refresh(post)
    return post.stars


@clean
def expired_and_read(session):
    post = session.get(Post, 1)
    session.expire(post)
    return post.stars


@pytest.mark.parametrize(
    ("function", "code"), SCENARIOS.cases, ids=lambda one: getattr(one, "__name__", one)
)
def test_dirty_function_is_found_at_its_line(function, code, engine):
    """One finding, at the line to edit, and no other of the same cause."""
    findings = said(run(function, engine), *CODES, *OTHERS)
    assert [finding.code for finding in findings] == [code], [f.message for f in findings]
    assert [finding.mend.at.line for finding in findings] == marked(function)


@pytest.mark.parametrize("function", SCENARIOS.innocent, ids=lambda function: function.__name__)
def test_clean_function_is_clean(function, engine):
    """Needed, done by the database, or not certain: nothing is said."""
    assert [finding.message for finding in said(run(function, engine), *CODES)] == []
