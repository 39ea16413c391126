"""The one list that says who speaks where two codes explain the same statements."""

from __future__ import annotations

PRECEDENCE: tuple[str, ...] = (
    "QS104",
    "QS105",
    "QS103",
    "QS101",
    "QS102",
    "QS107",
    "QS202",
    "QS201",
)
"""The more specific code first. A finding whose statements are all explained by findings of
codes that stand before its own stays silent. Codes that are not listed neither silence nor are
silenced: they speak of something else than the repetition of statements."""

DUPLICATES: frozenset[str] = frozenset({"QS201", "QS202"})
"""Codes of statements that equal one another: one that is left unexplained repeats nothing, once
the others are mended."""
