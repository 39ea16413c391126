"""Loops are found in source and templates by the positions that frames and nodes have."""

from __future__ import annotations

import sys

import pytest

from queryscope.trace.events import Frame, Origin
from queryscope.trace.loops import enclosing_loop, loop_at
from tests.builders import a_node
from tests.detectors.judging import Source


@pytest.mark.parametrize(
    ("snippet", "kind", "iterated"),
    [
        ("book.publisher", "for", "books"),
        ("helper(book)", "for", "books"),
        ("book.editor", "comprehension", "books"),
        ("book.shown", "comprehension", "books"),
        ("turn()", "while", "books.count()"),
        ("books.count()", "condition", "books.count()"),
        ("ask(page)", "for", "range(3)"),
        ("look(key)", "for", '("a", "b")'),
        ("inner(a)", "comprehension", "outer()"),
    ],
)
def test_position_in_loop_finds_it(view, snippet, kind, iterated):
    """What is repeated knows its loop, and where that begins."""
    loop = loop_at(view.frame(snippet))
    assert loop is not None
    assert loop.kind == kind
    assert view.text_at(loop.at) == iterated


@pytest.mark.parametrize(
    ("snippet", "after"),
    [
        ("after(book)", ""),
        ("once(keys)", ""),
        ("books", "for book in "),
        ("outer()", ""),
        ("inside(row)", ""),
        ("deep(row)", ""),
        ("range(3)", ""),
        ("Book.objects.get(\n        pk=1,\n    )", ""),
    ],
)
def test_position_outside_loops_finds_none(view, snippet, after):
    """What runs once is in no loop: an else, what is iterated, the body of an inner function."""
    assert loop_at(view.frame(snippet, after=after)) is None


def test_loop_around_the_block_that_is_a_trace_does_not_turn_in_it(tmp_path):
    """Each turn of it is a Trace of its own; a loop inside of the block turns in the Trace."""
    text = """\
def nightly(batches):
    for batch in batches:
        with queryscope.profile("batch") as run, Session() as session:
            session.add_all(batch)
            session.commit()
            for row in batch:
                check(row)
    for batch in batches:
        with Session() as session:
            flush(session)
"""
    source = Source(tmp_path, text)
    assert loop_at(source.frame("session.commit()")) is None
    assert loop_at(source.frame("check(row)")).kind == "for"
    assert loop_at(source.frame("flush(session)")).kind == "for"


BATCHES = """\
import queryscope
from queryscope import profile
from line_profiler import profile as timed


def nightly(batches):
    for batch in batches:
        one(batch)
        decorated(batch)
        called(batch)
        plain(batch)
        lines(batch)


def one(batch):
    with queryscope.profile("batch") as run:
        save(batch)
        for row in batch:
            check(row)
    behind(run)


@queryscope.profile("a batch")
def decorated(batch):
    store(batch)


@profile
def called(batch):
    keep(batch)


def plain(batch):
    with open("batch"):
        write(batch)


@timed
def lines(batch):
    count(batch)
"""


@pytest.mark.parametrize("start", [0, 1])
@pytest.mark.parametrize(
    ("inner", "outer"),
    [("save(batch)", "one(batch)"), ("store(batch)", "decorated(batch)"),
     ("keep(batch)", "called(batch)")],
)  # fmt: skip
def test_loop_of_another_function_around_a_trace_does_not_turn_in_it(tmp_path, inner, outer, start):
    """Whoever calls what ``profile`` makes a Trace of is outside of the Trace, loop and all."""
    source = Source(tmp_path, BATCHES)
    origin = Origin((source.frame(inner), source.frame(outer)))
    assert enclosing_loop(origin, start) is None


@pytest.mark.parametrize(
    ("inner", "outer"),
    [("write(batch)", "plain(batch)"), ("count(batch)", "lines(batch)"),
     ("behind(run)", "one(batch)")],
)  # fmt: skip
def test_loop_of_another_function_around_no_trace_is_found(tmp_path, inner, outer):
    """Other blocks and decorators make no Trace, nor is what follows the block in it."""
    source = Source(tmp_path, BATCHES)
    origin = Origin((source.frame(inner), source.frame(outer)))
    assert source.text_at(enclosing_loop(origin).at) == "batches"


def test_loop_inside_the_trace_turns_in_it(tmp_path):
    """Also where the block is left and entered again by a loop further out."""
    source = Source(tmp_path, BATCHES)
    origin = Origin((source.frame("check(row)"), source.frame("one(batch)")))
    assert source.text_at(enclosing_loop(origin).at) == "batch"


def test_whole_for_statement_is_not_inside_itself(view):
    """Python 3.11 gives the span of the statement for the evaluation of what it iterates."""
    whole = view.text[
        view.text.index("for book in books:") : view.text.index("    names =")
    ].rstrip()
    assert loop_at(view.frame(whole)) is None


@pytest.mark.parametrize("snippet", ["list(map(helper, keys))", "sorted(keys, key=helper)"])
def test_call_that_calls_back_is_loop_for_what_it_calls(view, snippet):
    """``map`` and keys run a function for each item, but only further in."""
    frame = view.frame(snippet)
    assert loop_at(frame, innermost=True) is None
    assert loop_at(frame, innermost=False).kind == "call"


def test_loop_over_literal_is_constant(view):
    """A literal or ``range`` of one does not grow with the data."""
    assert loop_at(view.frame("ask(page)")).constant
    assert loop_at(view.frame("look(key)")).constant
    assert not loop_at(view.frame("helper(book)")).constant


def test_loop_that_sleeps_waits(view):
    """A loop that sleeps asks again on purpose."""
    assert loop_at(view.frame("look(key)")).waits
    assert not loop_at(view.frame("ask(page)")).waits


RETRIES = """\
def patiently(keys):
    for key in keys:
        for attempt in range(3):
            try:
                return fetch(key)
            except Busy:
                time.sleep(attempt)
    while True:
        try:
            with session() as own:
                row = read(own)
                break
        except Busy:
            continue
    while True:
        try:
            store(keys)
        except Busy:
            sleep(1)
        else:
            break
    for key in keys:
        try:
            drop(key)
        except Gone:
            continue
    for key in keys:
        try:
            if not shown(key):
                continue
            return look(key)
        except Gone:
            pass
    while True:
        if not taken(name):
            break
        name += "x"
    for n in itertools.count():
        if free(n):
            return n
    for key in keys:
        if matches(key):
            return key
"""


@pytest.mark.parametrize(
    ("snippet", "once", "iterated"),
    [
        ("fetch(key)", False, "keys"),
        ("read(own)", True, "True"),
        ("store(keys)", True, "True"),
        ("drop(key)", False, "keys"),
        ("shown(key)", False, "keys"),
        ("look(key)", False, "keys"),
    ],
)
def test_loop_that_only_retries_gives_way(tmp_path, snippet, once, iterated):
    """A loop that what asks leaves at its end turns after exceptions only; others are meant."""
    source = Source(tmp_path, RETRIES)
    loop = loop_at(source.frame(snippet))
    if snippet == "fetch(key)":
        assert (loop.once, source.text_at(loop.at)) == (True, "range(3)")
        origin = Origin((source.frame(snippet), source.frame("drop(key)")))
        loop = enclosing_loop(origin)
    assert (loop.once, source.text_at(loop.at)) == (once, iterated)


@pytest.mark.parametrize(
    ("snippet", "kind"),
    [("taken(name)", "condition"), ("free(n)", "condition"), ("matches(key)", "for")],
)
def test_question_that_ends_an_endless_loop_is_its_condition(tmp_path, snippet, kind):
    """``while True: if free(): break`` is ``while not free()``; a search through rows is none."""
    assert loop_at(Source(tmp_path, RETRIES).frame(snippet)).kind == kind


def test_loop_is_around_both_positions(tmp_path):
    """Where control was at another line in between, an inner loop did not turn."""
    text = (
        "def view(keys):\n    for key in keys:\n        before(key)\n"
        "        for part in parts(key):\n            ask(part)\n            answer(part)\n"
    )
    source = Source(tmp_path, text)
    ask = source.frame("ask(part)")
    assert source.text_at(loop_at(ask, beside=source.frame("answer(part)")).at) == "parts(key)"
    assert source.text_at(loop_at(ask, beside=source.frame("before(key)")).at) == "keys"
    assert source.text_at(loop_at(ask, beside=source.frame("parts(key)")).at) == "keys"
    assert loop_at(ask, beside=source.frame("keys")) is None
    helper = Source(tmp_path, "def helper(x):\n    for y in x:\n        deep(y)\n", "helper.py")
    origin = Origin((helper.frame("deep(y)", "helper"), ask))
    assert source.text_at(enclosing_loop(origin, 1).at) == "parts(key)"
    assert helper.text_at(enclosing_loop(origin).at) == "x"


def test_loop_of_caller_is_found_through_helper(view, tmp_path):
    """The chain is searched outwards: the helper has no loop, its caller has."""
    helper = Source(tmp_path, "def helper(book):\n    return book.publisher\n", "helpers.py")
    origin = Origin((helper.frame("book.publisher"), view.frame("helper(book)")))
    assert view.text_at(enclosing_loop(origin).at) == "books"


def test_positions_without_columns_find_loop_by_line(view):
    """Code run without column numbers still has lines."""
    line = view.frame("helper(book)").line
    assert loop_at(Frame(str(view.path), line, line, 0, 0, "view", "m")).kind == "for"


def test_loop_of_library_template_is_not_the_users(tmp_path):
    """A form's own template loops over its fields; the user's tag is ``{{ form }}``."""
    folder = tmp_path / "site-packages" / "forms"
    folder.mkdir(parents=True)
    (folder / "div.html").write_text("{% for field in fields %}\n{{ field }}\n{% endfor %}")
    inner = a_node(2, file=str(folder / "div.html"), source="field")
    around = a_node(1, file=str(folder / "div.html"), source="for field in fields")
    assert enclosing_loop(Origin((inner, around, a_node(3, file=None, source="form")))) is None


def test_frames_of_running_code_match_the_tree(tmp_path):
    """Positions that the interpreter really gives find the loop and its queryset."""
    source = Source(
        tmp_path,
        "def run(rows, seen):\n"
        "    made = list(rows)\n"
        "    for row in made:\n"
        "        seen(row)\n"
        "    return [seen(row) for row in made]\n",
        "ran.py",
    )
    frames = []

    def seen(_row):
        caller = sys._getframe(1)
        positions = list(caller.f_code.co_positions())[caller.f_lasti // 2]
        line, end_line, column, end_column = positions
        name = caller.f_code.co_qualname
        frames.append(Frame(str(source.path), line, end_line, column, end_column, name, "ran"))

    names = {}
    exec(compile(source.text, str(source.path), "exec"), names)
    names["run"]([1], seen)
    assert [loop_at(frame).kind for frame in frames] == ["for", "comprehension"]


# -- templates --------------------------------------------------------------------------------


PAGE = """\
<h1>{{ title }}</h1>
{% for book in books %}
  <p>{{ book.publisher }}</p>
  {%- for genre in book.genres.all %}
    {{ genre.name }}
  {%- endfor %}
{% endfor %}
{{ footer }}
{% for a in authors %}{{ a.name }}{% endfor %}
"""


def page_node(tmp_path, line, text, engine="django"):
    """Return a node of the page."""
    path = tmp_path / "page.html"
    path.write_text(PAGE, encoding="utf-8")
    return a_node(line, template="page.html", file=str(path), source=text, engine=engine)


@pytest.mark.parametrize(
    ("line", "text", "tag"),
    [
        (3, "book.publisher", "for book in books"),
        (4, "for genre in book.genres.all", "for book in books"),
        (5, "genre.name", "for genre in book.genres.all"),
        (9, "a.name", "for a in authors"),
    ],
)
def test_template_line_in_block_finds_its_for(tmp_path, line, text, tag):
    """The file tells the loop where only the innermost node was kept."""
    node = page_node(tmp_path, line, text)
    assert enclosing_loop(Origin((node,))).at.source == tag


@pytest.mark.parametrize(("line", "text"), [(1, "title"), (2, "for book in books"), (8, "footer")])
def test_template_line_outside_blocks_finds_none(tmp_path, line, text):
    """A ``for`` that evaluates what it iterates is not in itself."""
    assert enclosing_loop(Origin((page_node(tmp_path, line, text),))) is None


def test_jinja_line_finds_its_for(tmp_path):
    """Jinja2 gives lines alone; the block around the line is the loop."""
    node = page_node(tmp_path, 5, "", engine="jinja2")
    assert enclosing_loop(Origin((node,))).at.line == 4


def test_outer_for_node_of_chain_is_loop():
    """In full recording the ``for`` tag stands in the chain itself, file or no file."""
    inner = a_node(3, file=None)
    outer = a_node(2, file=None, source="for book in books")
    assert enclosing_loop(Origin((inner, outer))).at is outer
    assert enclosing_loop(Origin((outer,))) is None
