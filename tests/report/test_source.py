"""Source lines around a position."""

from __future__ import annotations

import os

import pytest

from queryscope.report.source import MAX_EXCERPTS, Sources
from tests.builders import a_frame, a_node

LINES = [f"line_{n} = 1" for n in range(1, 31)]


@pytest.fixture
def module(tmp_path):
    """Return the path of a source file whose tenth line is indented, with a wide character."""
    lines = [*LINES]
    lines[9] = "\tbücher = books.all()"
    file = tmp_path / "views.py"
    file.write_text("\n".join(lines), encoding="utf-8")
    return str(file)


def test_excerpt_shows_three_lines_on_each_side(module):
    """The line in question stands in the middle of seven."""
    step = Sources().step(a_frame(20, file=module, column=0, end_column=7))
    assert [line.number for line in step.excerpt] == [17, 18, 19, 20, 21, 22, 23]
    assert [line.number for line in step.excerpt if line.hit] == [20]
    assert step.text == "line_20 = 1"


def test_expression_is_marked_by_its_byte_columns(module):
    """Columns count bytes of UTF-8: the marked text is the expression itself."""
    column = len("\tbücher = ".encode())
    step = Sources().step(a_frame(10, file=module, column=column, end_column=column + 11))
    hit = next(line for line in step.excerpt if line.hit)
    assert hit.marked == "books.all()"
    assert hit.before.strip() == "bücher ="


def test_changed_file_marks_nothing(module):
    """Columns beyond the line are of an older text: the line is shown, nothing is marked."""
    step = Sources().step(a_frame(3, file=module, column=400, end_column=420))
    assert next(line for line in step.excerpt if line.hit).marked == ""


@pytest.mark.parametrize(
    "file", ["", "/does/not/exist.py", "broken\x00name.py", os.devnull, os.sep, "\ud800.py"]
)
def test_unreadable_file_gives_the_position_only(file):
    """What is no regular file is not read, and the position still stands."""
    step = Sources().step(a_frame(7, file=file))
    assert step.excerpt == ()
    assert step.where.endswith(":7")


def test_line_beyond_the_file_gives_no_text(module):
    """A file that has become shorter has nothing to show."""
    assert Sources().step(a_frame(99, file=module)).text == ""
    assert Sources().step(a_frame(0, file=module)).text == ""


def test_file_changed_meanwhile_is_read_again(module, tmp_path):
    """The next report shows what is on disk then."""
    assert Sources().step(a_frame(1, file=module)).text == "line_1 = 1"
    (tmp_path / "views.py").write_text("something_else_entirely = 2\n", encoding="utf-8")
    assert Sources().step(a_frame(1, file=module)).text == "something_else_entirely = 2"


def test_template_node_is_named_by_its_template(module):
    """A tag is shown with the template's name and its own text."""
    step = Sources().step(a_node(5, template="books.html", file=module, source="for b in books"))
    assert (step.kind, step.where, step.inside) == ("template", "books.html:5", "for b in books")
    assert step.text == "line_5 = 1"


def test_excerpts_are_bounded(module):
    """Beyond the limit a position shows its own line only."""
    sources = Sources()
    steps = [sources.step(a_frame(5, file=module)) for _ in range(MAX_EXCERPTS + 5)]
    assert sum(bool(step.excerpt) for step in steps) == MAX_EXCERPTS
    assert steps[-1].text == "line_5 = 1"


def test_file_below_the_working_directory_is_short(module, tmp_path, monkeypatch):
    """Paths are relative to where the reader works."""
    monkeypatch.chdir(tmp_path)
    step = Sources().step(a_frame(5, file=str(tmp_path / "views.py")))
    assert step.where == "views.py:5"
    assert step.file == str(tmp_path / "views.py")


@pytest.mark.parametrize(
    ("file", "name", "where"),
    [
        ("/srv/app/library/views.py", "library.views", "library/views.py:7"),
        ("/srv/app/library/__init__.py", "library", "library/__init__.py:7"),
        ("/srv/app/a/b/c/d.py", "b.c.d", "b/c/d.py:7"),
        ("/srv/app/manage.py", "__main__", "app/manage.py:7"),
        ("/srv/app/other/place.py", "library.views", "other/place.py:7"),
        ("C:\\app\\library\\views.py", "library.views", "library/views.py:7"),
        ("views.py", "library.views", "views.py:7"),
        ("<string>", "", "<string>:7"),
    ],
)
def test_file_elsewhere_is_shown_as_imported(file, name, where):
    """Of a path outside the working directory the module's part shows; the whole is kept."""
    step = Sources().step(a_frame(7, file=file, module=name))
    assert (step.where, step.file) == (where, file)


def test_installed_file_is_shown_as_imported(tmp_path, monkeypatch):
    """A package in an environment below the working directory is named as it is imported."""
    monkeypatch.chdir(tmp_path)
    file = str(tmp_path / ".venv" / "lib" / "site-packages" / "shop" / "views.py")
    assert Sources().step(a_frame(7, file=file, module="shop.views")).where == "shop/views.py:7"


def test_more_excerpts_can_be_allowed(module):
    """What is allowed beyond the limit is given out."""
    sources = Sources()
    sources.allow(2)
    steps = [sources.step(a_frame(5, file=module)) for _ in range(MAX_EXCERPTS + 5)]
    assert sum(bool(step.excerpt) for step in steps) == MAX_EXCERPTS + 2
