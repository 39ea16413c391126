"""Openers: the call that should be handed the session, found from two chains."""

from __future__ import annotations

import pytest

from queryscope.detectors._openers import call_towards, place, share, step_in
from queryscope.trace.events import NOWHERE
from tests.builders import a_frame, a_node, an_origin
from tests.detectors.judging import Source

VIEW = an_origin(20)


def frame(line, function, file="/srv/app/library/views.py"):
    """Return a line of a function."""
    return a_frame(line, function=function, file=file)


def elsewhere(line, function):
    """Return a line of a function in another file."""
    return frame(line, function, "/srv/app/library/access.py")


@pytest.mark.parametrize(
    ("inner", "line", "function"),
    [
        (an_origin(elsewhere(9, "is_allowed"), 31), 31, "is_allowed"),
        (an_origin(elsewhere(9, "_open"), elsewhere(5, "is_allowed"), 31), 31, "is_allowed"),
        (an_origin(elsewhere(9, "is_allowed"), frame(60, "build"), 31), 60, "is_allowed"),
        (an_origin(frame(70, "open"), frame(60, "build"), 31), 60, "open"),
        (an_origin(elsewhere(9, "Desk.status"), 31), 31, "status"),
    ],
    ids=["helper", "helper's helper", "through a function", "all in one file", "method"],
)  # fmt: skip
def test_call_is_the_innermost_in_the_openers_file(inner, line, function):
    """The call to edit is the last one before the file is left, and names what is called."""
    found = call_towards(VIEW, inner)
    assert (found.at.line, found.function) == (line, function)


@pytest.mark.parametrize(
    "inner",
    [
        an_origin(25),
        an_origin(elsewhere(9, "task")),
        an_origin(elsewhere(9, "task"), frame(3, "other_view")),
        NOWHERE,
    ],
    ids=["same function", "on its own", "another function", "nowhere"],
)  # fmt: skip
def test_opener_on_another_way_has_no_call(inner):
    """What the function did not call cannot be handed its session."""
    assert call_towards(VIEW, inner) is None
    assert call_towards(NOWHERE, inner) is None


def test_share_says_what_to_pass_where():
    """The sentence names the session, the helper and the line that opens another."""
    mend = share(VIEW, an_origin(elsewhere(9, "is_allowed"), 31), "session")
    assert mend.how == (
        "Pass the session opened at library/views.py:20 into is_allowed(), and use it at "
        "library/access.py:9 instead of opening another."
    )


def test_share_asks_for_a_sooner_opening():
    """A session that is opened after the call has to be opened before it."""
    mend = share(VIEW, an_origin(elsewhere(9, "is_allowed"), 15), "session", later=True)
    assert mend.at.line == 15
    assert mend.how.startswith(
        "Open the session of library/views.py:20 before this call, pass it into is_allowed(),"
    )


def test_share_in_one_function_uses_what_is_there():
    """Two openings in one function need no parameter."""
    mend = share(VIEW, an_origin(25), "connection")
    assert (mend.at.line, mend.write) == (25, "connection")
    assert mend.how.startswith("Use the connection opened at library/views.py:20 here")


def test_share_of_one_line_with_itself_moves_it_out():
    """A line that opens one at each call belongs into its caller, a loop's before the loop."""
    helper = an_origin(elsewhere(9, "is_allowed"), 31)
    assert share(helper, helper, "session").at.line == 31
    assert (
        share(VIEW, VIEW, "session").how == "Open the session once, before the loop, and reuse it."
    )


@pytest.mark.parametrize(
    ("body", "in_loop"),
    [
        ("for one in ask():\n        open()", True),
        ("while more():\n        with open() as session:\n            pass", True),
        ("return [open() for one in ask()]", True),
        ("for one in open():\n        pass", False),
        ("while True:\n        try: return open()\n        except OSError: pass", False),
        ("for one in ask():\n        pass\n    open()", False),
    ],
    ids=["for", "while", "comprehension", "iterated", "retried", "after it"],
)  # fmt: skip
def test_share_in_a_loop_of_the_function_moves_it_before(tmp_path, body, in_loop):
    """Not to the caller, which has no loop."""
    source = Source(tmp_path, f"def view():\n    {body}\n")
    opener = an_origin(source.frame("open()"), 31)
    mend = share(opener, opener, "session")
    assert mend.at == (opener.steps[0] if in_loop else opener.steps[1])
    assert ("before the loop" in mend.how) == in_loop


def test_share_by_two_callers_of_a_loop_is_theirs(tmp_path):
    """Each of them may have turned once."""
    source = Source(tmp_path, "def helper():\n    for one in ask():\n        open()\n")
    one, other = (an_origin(source.frame("open()"), line) for line in (31, 35))
    assert share(one, other, "session").at.line == 35


def test_share_without_lines_says_nothing():
    """Openers that no user line made cannot be mended by one."""
    assert share(VIEW, NOWHERE, "session") is None
    assert share(NOWHERE, VIEW, "session").at.line == 20


def test_step_in_finds_the_line_of_the_openers_function():
    """Of a statement's chain, the line in the function where the session was opened."""
    asked = an_origin(elsewhere(9, "load"), frame(60, "build"), 31)
    assert step_in(VIEW, asked).line == 31
    assert step_in(VIEW, an_origin(elsewhere(9, "load"))) is None
    assert step_in(NOWHERE, asked) is None


@pytest.mark.parametrize(
    ("step", "text"),
    [
        (a_frame(41), "library/views.py:41"),
        (a_frame(41, file="C:\\app\\views.py"), "app/views.py:41"),
        (a_frame(41, file="script.py"), "script.py:41"),
        (a_node(3), "library/book_list.html:3"),
        (an_origin(41, 50), "library/views.py:41"),
        (NOWHERE, "an unknown line"),
        (None, "an unknown line"),
    ],
)  # fmt: skip
def test_place_is_short(step, text):
    """A position in a sentence: the last folder, the file, the line."""
    assert place(step) == text
