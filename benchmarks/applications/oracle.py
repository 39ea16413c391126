"""What is true of two Traces of one page, without any detector of ours: what grows, what repeats.

Statements are put into groups by their text, with values folded away by expressions of this file,
and by the application's line in their origin. A group that has more statements with four times the
rows GROWS; one that has two or more within one request REPEATS, and so does a statement that is
sent twice with the same parameters, from whatever lines. A growing group has to be covered by
findings of QS1xx or QS2xx; a warning about repetition has to stand on statements that grow or
repeat. Codes that speak of something else than repetition cannot be judged so: they are listed.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from queryscope.trace.events import Query, Trace

DUPLICATES = frozenset({"QS201", "QS202"})
"""Of those, the ones that say that the parameters are the same, too."""
REPETITION = DUPLICATES | frozenset(
    {"QS101", "QS102", "QS103", "QS104", "QS105", "QS106", "QS107", "QS108"}
)
"""Codes that say that statements repeat: the oracle knows whether they do."""
NO_COVER = frozenset({"QS110", "QS111"})
"""Codes that name all statements of a request, whatever they are."""
ALLOWED_LEFT = 1
"""Statements of a growing group that may be left out: the first of a loop may be another's."""

_VALUES = re.compile(
    r"""
      '(?:[^']|'')*'                       # a text
    | %s | %\(\w+\)s | \? | \$\d+          # a parameter
    | (?<![\w."])-?\d+(?:\.\d+)?\b         # a number
    """,
    re.VERBOSE,
)
_LISTS = re.compile(r"\(\s*\?(?:\s*,\s*\?)*\s*\)")
_ROWS = re.compile(r"\(\?\)(?:\s*,\s*\(\?\))+")
_NO_WORK = re.compile(
    r"(?:SAVEPOINT|RELEASE|BEGIN|COMMIT|ROLLBACK|PRAGMA|SET|START TRANSACTION)\b", re.IGNORECASE
)


class Key(NamedTuple):
    """What makes statements one group: the application's line, and the folded text."""

    line: str
    text: str


class Said(NamedTuple):
    """A finding, as far as it is judged here."""

    code: str
    severity: str
    queries: frozenset[int]
    place: str
    message: str

    @classmethod
    def of(cls, written: Mapping[str, Any]) -> Said:
        """Return what a worker wrote."""
        return cls(
            written["code"],
            written["severity"],
            frozenset(written["queries"]),
            shortened(written["place"]),
            written["message"],
        )


@dataclass(frozen=True, slots=True)
class Asked:
    """One page, asked in one way at one size.

    Attributes:
        groups: Numbers of the statements by group.
        equal: Numbers of those that are sent again with the same parameters.
        said: What was said about it.
    """

    groups: Mapping[Key, frozenset[int]]
    equal: frozenset[int]
    said: Sequence[Said]

    @classmethod
    def of(cls, trace: Trace, said: Iterable[Said]) -> Asked:
        """Group the statements of a Trace."""
        return cls(groups_of(trace.queries), _equal(trace.queries), tuple(said))

    @property
    def statements(self) -> int:
        """Statements in all groups."""
        return sum(map(len, self.groups.values()))


class Group(NamedTuple):
    """A group, with its statements at both sizes and the codes that cover it."""

    key: Key
    few: int
    many: int
    codes: tuple[str, ...]


class Judged(NamedTuple):
    """The verdict on one page, asked in one way at both sizes.

    Attributes:
        found: Groups that grow and are covered.
        missed: Groups that grow and are not.
        false: Warnings of repetition about statements that neither grow nor repeat.
        others: Warnings of codes that the oracle cannot judge.
        groups: How many groups there are.
        statements: Statements with the many rows.
    """

    found: tuple[Group, ...]
    missed: tuple[Group, ...]
    false: tuple[Said, ...]
    others: tuple[Said, ...]
    groups: int
    statements: int


def judge(few: Asked, many: Asked) -> Judged:
    """Return what was found and missed, and what was said for nothing.

    Args:
        few: The page with few rows.
        many: The same page, asked in the same way, with four times the rows.
    """
    covered: dict[int, set[str]] = defaultdict(set)
    for item in many.said:
        if item.code[:3] in ("QS1", "QS2") and item.code not in NO_COVER:
            for number in item.queries:
                covered[number].add(item.code)
    found, missed = [], []
    for key, numbers in many.groups.items():
        before = len(few.groups.get(key, ()))
        if len(numbers) <= max(before, 1):
            continue
        codes = {code for number in numbers for code in covered.get(number, ())}
        group = Group(key, before, len(numbers), tuple(sorted(codes)))
        left = sum(number not in covered for number in numbers)
        (found if left <= ALLOWED_LEFT else missed).append(group)
    warnings = [
        (item, asked, other)
        for asked, other in ((many, few), (few, many))
        for item in asked.said
        if item.severity != "info"
    ]
    return Judged(
        tuple(found),
        tuple(missed),
        tuple(
            item for item, asked, other in warnings
            if item.code in REPETITION and not _stands(item, asked, other)
        ),
        tuple(item for item, _, _ in warnings if item.code not in REPETITION),
        len(many.groups.keys() | few.groups.keys()),
        many.statements,
    )  # fmt: skip


def _stands(said: Said, asked: Asked, other: Asked) -> bool:
    """Tell whether some statements that a warning is about repeat, or grow."""
    if said.code in DUPLICATES:
        return len(said.queries & asked.equal) > 1
    for key, numbers in asked.groups.items():
        if numbers & said.queries:
            counts = len(numbers), len(other.groups.get(key, ()))
            if max(counts) > 1:
                return True
    return False


def groups_of(queries: Iterable[Query]) -> dict[Key, frozenset[int]]:
    """Return the numbers of the statements by group."""
    found: dict[Key, set[int]] = defaultdict(set)
    for query in queries:
        if not _NO_WORK.match(query.statement.lstrip()):
            found[Key(line_of(query), folded(query.statement))].add(query.number)
    return {key: frozenset(numbers) for key, numbers in found.items()}


def _equal(queries: Iterable[Query]) -> frozenset[int]:
    """Return the numbers of the statements that are sent again with the same parameters."""
    found: dict[tuple[str, str], set[int]] = defaultdict(set)
    for query in queries:
        found[query.statement, query.parameters_key].add(query.number)
    return frozenset(number for same in found.values() if len(same) > 1 for number in same)


def line_of(query: Query) -> str:
    """Return the application's line that is nearest to a statement, ``""`` without one."""
    if not query.origin.steps:
        return ""
    step = query.origin.steps[0]
    return shortened(f"{step.file or getattr(step, 'template', '')}:{step.line}")


def shortened(place: str) -> str:
    """Return a place without where the application is installed."""
    return place.replace("\\", "/").rpartition("/site-packages/")[2]


def folded(statement: str) -> str:
    """Return a statement without its values and the lengths of its lists."""
    text = " ".join(_VALUES.sub("?", statement).split())
    return _ROWS.sub("(?)", _LISTS.sub("(?)", text))
