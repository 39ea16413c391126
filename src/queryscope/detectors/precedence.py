"""The one list that says who speaks where two codes explain the same statements."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

PRECEDENCE: tuple[str, ...] = (
    "QS104",
    "QS105",
    "QS108",
    "QS103",
    "QS101",
    "QS511",
    "QS507",
    "QS106",
    "QS102",
    "QS107",
    "QS208",
    "QS205",
    "QS202",
    "QS201",
    "QS204",
    "QS207",
    "QS203",
    "QS305",
    "QS302",
    "QS306",
    "QS315",
    "QS316",
)
"""The more specific code first. A finding whose statements are all explained by findings of
codes that stand before its own stays silent. Codes that are not listed neither silence nor are
silenced: they speak of something else than the repetition of statements."""

EXPLAINS: Mapping[str, frozenset[str]] = {
    "QS113": frozenset({"QS112", "QS114", "QS304"}),
    "QS205": frozenset({"QS206"}),
    "QS302": frozenset({"QS304"}),
    "QS305": frozenset({"QS301", "QS304"}),
}
"""Codes outside the list that stay silent where one code explains all of their statements: the rows
that it would spare are too many, or too wide."""

DUPLICATES: frozenset[str] = frozenset({"QS201", "QS202"})
"""Codes of statements that equal one another: one that is left unexplained repeats nothing, once
the others are mended."""

N_PLUS_ONE = frozenset({"QS101", "QS102", "QS103", "QS104"})
"""The codes that find a loop of statements: budgets and verifications count them together."""
