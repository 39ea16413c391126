"""The check of what users write as budgets."""

from __future__ import annotations

import pytest

from queryscope.errors import SettingsError
from queryscope.pytest_plugin.limits import NAMES, checked


def test_all_budgets_are_kept_in_order():
    """Every budget may be set, and comes back in the order of the signature."""
    found = checked(
        "here", (5,), {"waste": 0.3, "time_ms": 2.5, "rows": 0, **dict.fromkeys(NAMES[1:5], 1)}
    )
    assert list(found.items()) == [
        ("queries", 5),
        ("sessions", 1),
        ("connections_held", 1),
        ("n_plus_one", 1),
        ("duplicates", 1),
        ("rows", 0),
        ("time_ms", 2.5),
        ("waste", 0.3),
    ]


@pytest.mark.parametrize(("positional", "named"), [((), {}), ((None,), {}), ((), {"rows": None})])
def test_none_is_not_checked(positional, named):
    """What is None, or is not there, is no budget."""
    assert checked("here", positional, named) == {}


@pytest.mark.parametrize(
    ("positional", "named", "text"),
    [
        ((), {"querys": 5}, "here: there is no budget 'querys'. Did you mean 'queries'? "),
        ((), {"n_plus_1": 5}, "here: there is no budget 'n_plus_1'. Did you mean 'n_plus_one'? "),
        ((), {"xyz": None}, "here: there is no budget 'xyz'. There are queries, sessions, "),
        ((-1,), {}, "here: queries must be a whole number from 0 on, not -1."),
        ((), {"rows": 1.0}, "here: rows must be a whole number from 0 on, not 1.0."),
        ((), {"sessions": True}, "here: sessions must be a whole number from 0 on, not True."),
        ((), {"duplicates": "3"}, "here: duplicates must be a whole number from 0 on, not '3'."),
        ((), {"time_ms": -0.1}, "here: time_ms must be milliseconds from 0 on, not -0.1."),
        ((), {"time_ms": float("nan")}, "here: time_ms must be milliseconds from 0 on, not nan."),
        ((), {"time_ms": float("inf")}, "here: time_ms must be milliseconds from 0 on, not inf."),
        ((), {"time_ms": False}, "here: time_ms must be milliseconds from 0 on, not False."),
        (
            (),
            {"waste": 1.5},
            "here: waste must be a share of the statements from 0.0 to 1.0, not 1",
        ),
        (
            (),
            {"waste": 30},
            "here: waste must be a share of the statements from 0.0 to 1.0, not 30",
        ),
        (
            (),
            {"waste": True},
            "here: waste must be a share of the statements from 0.0 to 1.0, not ",
        ),
        ((1, 2), {}, "here: only the first budget, queries, may be given by position, not 2 "),
        ((1,), {"queries": 1}, "here: queries is given twice, by position and by name."),
    ],
)
def test_wrong_use_is_named(positional, named, text):
    """An error says what is wrong, and the nearest name that is right."""
    with pytest.raises(SettingsError) as raised:
        checked("here", positional, named)
    assert str(raised.value).startswith(text)
