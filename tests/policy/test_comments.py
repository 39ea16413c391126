"""Inline ignores: what one covers, what it does not, and which are wrong."""

from __future__ import annotations

import textwrap

import pytest

from queryscope.detectors.finding import Mend
from queryscope.policy.comments import comments_below, comments_of, covering
from tests.builders import a_finding, a_frame, a_node, an_origin

VIEWS = """
from library.models import Book


def book_list(request):
    books = (
        Book.objects.filter(name="# queryscope: ignore[QS101] not a comment")
        .order_by("name")
    )  # queryscope: ignore[QS101] a page for us alone
    for book in books:  # queryscope: ignore[QS201, QS103]
        print(book.publisher)
    return books


def book_detail(
    request,
):  # queryscope: ignore[QS502] renders for long
    book = Book.objects.get()
    return [author.name for author in book.authors.all()]


def clean(request):
    return Book.objects.count()
"""
FIRST, LAST = 6, 9
"""Lines of the statement that makes ``books``."""


@pytest.fixture
def views(tmp_path):
    """Return the path of a module of views."""
    path = tmp_path / "views.py"
    path.write_text(VIEWS, encoding="utf-8")
    return path


def ignored(path, line, code="QS101", **facts) -> str:
    """Return the reason of the ignore that covers a finding of a code at a line, if one does."""
    origin = an_origin(a_frame(line, file=str(path)))
    finding = a_finding(code, origin=origin, **facts)
    found = [one for one in covering(finding) if code in one.codes and not one.error]
    return found[0].reason if found else ""


@pytest.mark.parametrize("line", range(FIRST, LAST + 1))
def test_comment_covers_its_statement(views, line):
    """A chain of methods over several lines is one statement."""
    assert ignored(views, line) == "a page for us alone"


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (FIRST - 1, "QS101"),
        (LAST + 1, "QS101"),
        (LAST + 2, "QS101"),
        (FIRST, "QS102"),
        (23, "QS101"),
        (23, "QS502"),
    ],
)
def test_other_lines_and_codes_are_not_covered(views, line, code):
    """An ignore is for one statement and the codes that it names."""
    assert ignored(views, line, code) == ""


def test_head_of_a_loop_is_not_its_body(views):
    """Behind ``for ...:`` a comment is about what is iterated."""
    (head,) = [one for one in comments_of(str(views)) if "QS103" in one.codes]
    assert (head.first, head.last, head.reason) == (LAST + 1, LAST + 1, "")
    assert head.codes == ("QS201", "QS103")


@pytest.mark.parametrize("line", [15, 17, 18, 19])
def test_def_line_covers_the_function(views, line):
    """At the end of the head of a function, wherever that ends."""
    assert ignored(views, line, "QS502") == "renders for long"


def test_line_to_mend_is_covered(views):
    """The finding may have run in a template; what is to be edited stands here."""
    mend = Mend(a_frame(FIRST, file=str(views)), ".select_related()", "Add it.")
    finding = a_finding(origin=an_origin(a_node(file=None)), mend=mend)
    assert [one.reason for one in covering(finding)] == ["a page for us alone"]


def test_text_in_a_string_is_no_comment(views):
    """Strings that look like an ignore are values."""
    assert [one.line for one in comments_of(str(views))] == [9, 10, 17]


@pytest.mark.parametrize(
    "line",
    [
        "{{ book.publisher.name }}{# queryscope: ignore[QS101] few rows #}",
        "{{ book.publisher.name }}<!-- queryscope: ignore[QS101] few rows -->",
        "{{ x }}{% comment %} queryscope: ignore[QS101] few rows {% endcomment %}",
    ],
)
def test_comment_of_a_template_covers_its_line(tmp_path, line):
    """The comments of Django, of Jinja2 and of HTML."""
    path = tmp_path / "list.html"
    path.write_text(f"<ul>\n{line}\n</ul>\n", encoding="utf-8")
    node = a_node(2, file=str(path))
    (found,) = covering(a_finding(origin=an_origin(node)))
    assert (found.codes, found.reason, found.line) == (("QS101",), "few rows", 2)
    assert list(covering(a_finding(origin=an_origin(node._replace(line=3))))) == []


@pytest.mark.parametrize(
    ("comment", "said"),
    [
        ("# queryscope: ignore", "names no code. Write the one that you mean"),
        ("# queryscope: ignore[] why", "names no code. Write the one that you mean"),
        ("# queryscope: ignore QS101", "names no code. Write the one that you mean"),
        ("# queryscope: ignore[QS999]", "there is no code 'QS999'"),
        ("# queryscope: ignore[qs101]", "Did you mean 'QS101'?"),
    ],
)
def test_wrong_comment_says_what_to_write(tmp_path, comment, said):
    """It is not in force, and says where it stands."""
    path = tmp_path / "views.py"
    path.write_text(f"books = ask()  {comment}\n", encoding="utf-8")
    (found,) = comments_of(str(path))
    assert said in found.error
    assert found.error.startswith(f"{path}:1: ")
    assert ignored(path, 1) == ""


def test_comment_on_a_line_of_its_own_is_wrong(tmp_path):
    """Nobody could tell whether it means the function or the next statement."""
    path = tmp_path / "views.py"
    path.write_text("def view():\n    # queryscope: ignore[QS101]\n    ask()\n", encoding="utf-8")
    (found,) = comments_of(str(path))
    assert "stands alone" in found.error
    assert ignored(path, 3) == ""


@pytest.mark.parametrize(
    "comment",
    [
        "# queryscope: ignored by nobody",
        '# write "# queryscope: ignore" here',
        "# our queryscope ignore list",
        "# type: ignore[QS101]",
    ],
)
def test_prose_is_no_ignore(tmp_path, comment):
    """Only the form itself counts."""
    path = tmp_path / "views.py"
    path.write_text(f"books = ask()  {comment}\n", encoding="utf-8")
    assert comments_of(str(path)) == ()


def test_ignore_stands_behind_other_comments(tmp_path):
    """One line may have several tools' comments."""
    path = tmp_path / "views.py"
    path.write_text("ask()  # type: ignore[x]  # queryscope: ignore[QS101] y\n", encoding="utf-8")
    assert [one.codes for one in comments_of(str(path))] == [("QS101",)]


@pytest.mark.parametrize(
    "content", [b"def view(:  # queryscope: ignore[QS101]\n", b"\xff\x00 queryscope:"]
)
def test_file_that_cannot_be_parsed_has_none(tmp_path, content):
    """What is not Python is nothing to judge by."""
    path = tmp_path / "views.py"
    path.write_bytes(content)
    assert comments_of(str(path)) == ()


@pytest.mark.parametrize("name", ["gone.py", "a\x00b.py", "", "<string>"])
def test_file_that_is_not_there_has_none(tmp_path, name):
    """Code may come from anywhere."""
    assert comments_of(str(tmp_path / name) if name else name) == ()


def test_written_file_is_read_again(views):
    """Ignores are found while the application runs."""
    assert ignored(views, 23) == ""
    views.write_text(VIEWS.replace(".count()", ".count()  # queryscope: ignore[QS101] new"))
    assert ignored(views, 23) == "new"


def test_project_is_searched_without_its_libraries(tmp_path):
    """Virtual environments, hidden folders and packages of others are left out."""
    line = "ask()  # queryscope: ignore[QS101]\n"
    for name in ("app/views.py", "venv/lib/a.py", ".hidden/b.py", "node_modules/c.py", "d.md"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(line), encoding="utf-8")
    (tmp_path / "venv" / "pyvenv.cfg").touch()
    (tmp_path / "app" / "list.html").write_text("{# queryscope: ignore[QS101] #}", encoding="utf-8")
    found = [one.file.removeprefix(f"{tmp_path}/") for one in comments_below(tmp_path)]
    assert found == ["app/list.html", "app/views.py"]
