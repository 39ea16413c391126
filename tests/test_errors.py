"""Errors: one base class, and a hint to the nearest known name."""

from __future__ import annotations

import pytest

from queryscope import errors
from queryscope.errors import QueryscopeError, nearest


@pytest.mark.parametrize(
    ("name", "hint"),
    [("QS10", " Did you mean 'QS101'?"), ("qs202", ""), ("", ""), ("nothing like it", "")],
)
def test_nearest_names_what_was_probably_meant(name, hint):
    """A near miss is answered with the name; nothing near with nothing."""
    assert nearest(name, ["QS101", "QS505"]) == hint


def test_every_error_has_the_base_class():
    """``except QueryscopeError`` catches all that we raise on purpose."""
    found = [
        item
        for item in vars(errors).values()
        if isinstance(item, type) and issubclass(item, Exception)
    ]
    assert len(found) > 3
    assert all(issubclass(item, QueryscopeError) for item in found)
