"""What cannot be read as source answers nothing, and what was rewritten is read anew."""

from __future__ import annotations

import pytest

from queryscope.trace.events import Frame
from queryscope.trace.expressions import expression_at, methods_at, only_mention
from queryscope.trace.loops import loop_at
from tests.detectors.judging import Source


def test_missing_file_answers_nothing():
    """Source that is not here, as of a wheel that was compiled away, is no error."""
    frame = Frame("/no/such/file.py", 3, 3, 0, 5, "view", "m")
    assert loop_at(frame) is None
    assert expression_at(frame) is frame
    assert methods_at(frame) == frozenset()
    assert only_mention(frame, "Book") is None


@pytest.mark.parametrize("text", ["def broken(:\n", "x = '\0'\n", ""])
def test_unreadable_source_answers_nothing(tmp_path, text):
    """A syntax error, a NUL or an empty file is no error."""
    path = tmp_path / "views.py"
    path.write_text(text, encoding="utf-8")
    frame = Frame(str(path), 1, 1, 0, 5, "view", "m")
    assert loop_at(frame) is None
    assert expression_at(frame) is frame


def test_source_that_moved_answers_nothing(view):
    """A position behind the end of the file finds nothing."""
    frame = Frame(str(view.path), 900, 900, 0, 5, "view", "m")
    assert loop_at(frame) is None


def test_notebook_cell_answers_nothing():
    """Code without a file has no tree."""
    assert loop_at(Frame("<ipython-input-1>", 1, 1, 0, 5, "<module>", "__main__")) is None


def test_rewritten_file_is_read_anew(tmp_path):
    """A file that changed is not answered from the tree of before."""
    before = Source(tmp_path, "for x in y:\n    ask(x)\n")
    assert loop_at(before.frame("ask(x)", "<module>")) is not None
    after = Source(tmp_path, "if x in y or z:\n    ask(x)\n")
    assert loop_at(after.frame("ask(x)", "<module>")) is None
