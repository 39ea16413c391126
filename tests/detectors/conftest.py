"""A view with loops in it, whose lines the statements of the tests come from."""

from __future__ import annotations

import pytest

from tests.builders import an_origin
from tests.detectors.judging import Source

VIEW = """\
def view(keys, rows):
    for key in keys:
        in_loop(key)
    for name in ("a", "b", "c"):
        in_short_loop(name)
    for job in keys:
        time.sleep(1)
        in_polling_loop(job)
    while in_condition(keys):
        pass
    list(map(helper, keys))
    on_a_line(keys)
    on_another_line(keys)
"""


class Places:
    """Origins in the view: inside its loops and outside."""

    def __init__(self, source: Source) -> None:
        """Read the lines of ``source``."""
        self.source = source

    def at(self, call, *inner):
        """Return the origin of the line that calls ``call``, after frames further in."""
        end = self.source.text.index(")", self.source.text.index(call + "(")) + 1
        snippet = self.source.text[self.source.text.index(call + "(") : end]
        return an_origin(*inner, self.source.frame(snippet))

    @property
    def loop(self):
        """Inside the loop over the data."""
        return self.at("in_loop")

    @property
    def line(self):
        """Outside every loop."""
        return self.at("on_a_line")


@pytest.fixture
def places(tmp_path):
    """The lines of a view that is really there."""
    return Places(Source(tmp_path, VIEW))
