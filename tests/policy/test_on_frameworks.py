"""Decisions about findings of real code: Django with its templates, SQLAlchemy, and its asyncio.

The sources are modules of the test's own folder, so that each test writes its own comments.
"""

from __future__ import annotations

import asyncio
import importlib.util
import sys
import textwrap

import pytest
from django.template import engines

from queryscope import adapters, profiling, runtime
from queryscope.django import hooks
from queryscope.policy import decisions
from queryscope.trace import codes
from tests.detectors.judging import said
from tests.django.conftest import make_books
from tests.django.recorded import recorded

DJANGO = """
from tests.django.library.models import Book


def in_python():{on_def}
    for book in Book.objects.order_by("pk"):{on_mend}
        book.publisher.name{on_ran}


def for_template():{on_helper}
    return Book.objects.order_by("pk"){on_made}
"""
TEMPLATE = "{% for book in books %}\n{{ book.publisher.name }}ON_TAG\n{% endfor %}\n"
IGNORE = "  # queryscope: ignore[QS101] few books"
OTHER = "  # queryscope: ignore[QS201] few books"
PLACES = ("on_def", "on_mend", "on_ran", "on_helper", "on_made")


@pytest.fixture
def written(tmp_path, monkeypatch):
    """Write a module into the test's folder, which is the working directory, and import it."""
    monkeypatch.chdir(tmp_path)
    names = set()

    def write(name, text):
        path = tmp_path / f"{name}.py"
        path.write_text(textwrap.dedent(text), encoding="utf-8")
        spec = importlib.util.spec_from_file_location(name, path)
        module = sys.modules[name] = importlib.util.module_from_spec(spec)
        names.add(name)
        spec.loader.exec_module(module)
        return module

    yield write
    for name in names:
        del sys.modules[name]


def django_module(written, **comments):
    """Return the module with comments at some of its places."""
    return written("policy_views", DJANGO.format(**{**dict.fromkeys(PLACES, ""), **comments}))


@pytest.fixture(params=["light", "full"])
def recording(request, db):
    """Both recordings on Django, with six books."""
    hooks.install(full=request.param == "full")
    make_books()
    yield request.param
    hooks.uninstall()


def known_on_django(function, recording, tmp_path):
    """Return what makes the one N+1 of a function known, None if it is open."""
    with recorded(recording) as result:
        function()
    (finding,) = said(result.trace, "QS101")
    (decided,) = decisions.load(tmp_path).apply([finding])
    return decided.known


@pytest.mark.parametrize("place", ["on_ran", "on_mend", "on_def"])
def test_ignore_in_a_django_view(written, recording, tmp_path, place):
    """On the line that ran, on the line to mend, on the def."""
    module = django_module(written, **{place: IGNORE})
    known = known_on_django(module.in_python, recording, tmp_path)
    assert (known.by, known.reason) == ("comment", "few books")
    assert known.place.startswith("policy_views.py:")


@pytest.mark.parametrize("comments", [{}, {"on_ran": OTHER}, {"on_helper": IGNORE}])
def test_other_ignores_of_a_django_view(written, recording, tmp_path, comments):
    """Of another code, or of another function."""
    module = django_module(written, **comments)
    assert known_on_django(module.in_python, recording, tmp_path) is None


@pytest.mark.parametrize(
    ("on_tag", "known"),
    [
        ("{# queryscope: ignore[QS101] few books #}", True),
        ("{# queryscope: ignore[QS201] few books #}", False),
        ("", False),
    ],
)
def test_ignore_in_a_django_template(written, recording, tmp_path, monkeypatch, on_tag, known):
    """A template's comment is about the tag on its line."""
    module = django_module(written)
    (tmp_path / "books.html").write_text(TEMPLATE.replace("ON_TAG", on_tag), encoding="utf-8")
    monkeypatch.setattr(engines["django"].engine, "dirs", [str(tmp_path)])
    for loader in engines["django"].engine.template_loaders:
        loader.reset()

    def page():
        engines["django"].get_template("books.html").render({"books": module.for_template()})

    found = known_on_django(page, recording, tmp_path)
    assert (found is not None) is known
    if known:
        assert (found.place, found.reason) == ("books.html:2", "few books")


SQLALCHEMY = """
from sqlalchemy import ForeignKey, create_engine, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship


class Base(DeclarativeBase):
    pass


class Author(Base):
    __tablename__ = "author"
    id: Mapped[int] = mapped_column(primary_key=True)


class Book(Base):
    __tablename__ = "book"
    id: Mapped[int] = mapped_column(primary_key=True)
    author_id: Mapped[int] = mapped_column(ForeignKey("author.id"))
    author: Mapped[Author] = relationship()


def fill(engine):
    Base.metadata.create_all(engine)
    with Session(engine) as session, session.begin():
        session.add_all(Book(id=n, author=Author(id=n)) for n in range(1, 7))


def read(session):{on_def}
    for book in session.scalars(select(Book)):{on_mend}
        book.author.id{on_ran}


async def read_async(engine):
    async with AsyncSession(engine) as session:
        await session.run_sync(read)
"""


def findings_on_sqlalchemy(written, tmp_path, way, **comments):
    """Return the N+1 findings of a loop, as the runtime settles them, sync or async."""
    from sqlalchemy import create_engine
    from sqlalchemy.ext.asyncio import create_async_engine

    places = {**dict.fromkeys(("on_def", "on_mend", "on_ran"), ""), **comments}
    module = written("policy_shop", SQLALCHEMY.format(**places))
    engine = create_engine(f"sqlite:///{tmp_path / 'shop.db'}")
    module.fill(engine)
    adapters.install()
    try:
        with profiling.profile("books") as run:
            if way == "sync":
                with module.Session(engine) as session:
                    module.read(session)
            else:
                asyncio.run(_read_async(module, create_async_engine, tmp_path))
        return [finding for finding in run.findings if finding.code == "QS101"]
    finally:
        engine.dispose()
        adapters.uninstall()
        runtime.reset()
        codes.forget_packages()


async def _read_async(module, create_async_engine, tmp_path):
    engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path / 'shop.db'}")
    await module.read_async(engine)
    await engine.dispose()


@pytest.mark.parametrize("way", ["sync", "async"])
@pytest.mark.parametrize("place", ["on_ran", "on_mend", "on_def"])
def test_ignore_on_sqlalchemy(written, tmp_path, way, place):
    """The runtime settles it, so that every form of the report shows it as known."""
    (finding,) = findings_on_sqlalchemy(written, tmp_path, way, **{place: IGNORE})
    assert finding.known.by == "comment"
    assert finding.known.place.startswith("policy_shop.py:")


@pytest.mark.parametrize("way", ["sync", "async"])
def test_without_an_ignore_on_sqlalchemy(written, tmp_path, way):
    """The same loop is open, and a baseline written of it makes it known."""
    (finding,) = findings_on_sqlalchemy(written, tmp_path, way, on_ran=OTHER)
    assert finding.known is None
    decisions.load(tmp_path).baseline.with_findings([finding]).write()
    (tmp_path / "shop.db").unlink()
    (again,) = findings_on_sqlalchemy(written, tmp_path, way, on_ran=f"  # moved\n{' ' * 8}pass")
    assert again.fingerprint == finding.fingerprint
    assert again.known.by == "baseline"
