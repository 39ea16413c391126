"""Scenarios: functions as applications have them, and what has to be found in each."""

from __future__ import annotations

import inspect


class Scenarios:
    """The scenarios of one module of tests.

    Attributes:
        cases: One of those in which something is found, as ``case`` made it of the function and
            of what its decorator was told.
        innocent: Functions that are repaired, or only look alike.
    """

    def __init__(self, case):
        """Take what makes a case."""
        self.case = case
        self.cases = []
        self.innocent = []

    def dirty(self, *said, **more):
        """Say what is found."""

        def register(function):
            self.cases.append(self.case(function, *said, **more))
            return function

        return register

    def clean(self, function):
        """Say that nothing is found."""
        self.innocent.append(function)
        return function


def marked(function, mark="mend"):
    """Return the numbers of the lines of a function that carry a mark in their comment."""
    lines, start = inspect.getsourcelines(function)
    return [n for n, line in enumerate(lines, start) if f"# {mark}" in line or f", {mark}" in line]
