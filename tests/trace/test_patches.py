"""What a hook may say in a library's place: only the one line that it knows."""

from __future__ import annotations

from functools import partial, wraps

import pytest

from queryscope.trace.patches import uses_only


class Strategy:
    """Has a method of one line, as libraries do, and what others make of it."""

    def run(self, cursor, statement):
        """Hand it on."""
        cursor.execute(statement)

    def twice(self, cursor, statement):
        """Hand it on, and look at it."""
        cursor.execute(statement)
        self.run(cursor, statement)

    @staticmethod
    def around(original):
        """Return a wrapper that calls itself by the original's name."""

        @wraps(original)
        def run(self, cursor, statement):
            cursor.execute("SELECT 1")
            return original(self, cursor, statement)

        return run


@pytest.mark.parametrize(
    "function",
    [Strategy.twice, Strategy.around(Strategy.run), partial(Strategy.run), len, None],
    ids=["more than that", "a wrapper", "a partial", "a builtin", "nothing"],
)
def test_anything_else_is_called(function):
    """A wrapper has the original's name, and other code."""
    assert not uses_only(function, "execute")


def test_known_line_is_known():
    """The names that its code uses are those, and no others."""
    assert uses_only(Strategy.run, "execute")
    assert not uses_only(Strategy.run, "execute", "close")
