"""Statements asked again with the same parameters: what QS201 and QS202 share."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal, NamedTuple

from queryscope.detectors._loops import DUPLICATES_MIN_STATEMENTS, ISOLATION_VERBS, in_migration

if TYPE_CHECKING:
    from collections.abc import Iterator

    from queryscope.detectors.registry import Case
    from queryscope.trace.events import Frame, Query, TemplateNode
    from queryscope.trace.loops import Loop
    from queryscope.trace.repeat import Repeat
    from queryscope.trace.site import Site

_VOLATILE = re.compile(
    r"\b(RAND|RANDOM|NEXTVAL|SETVAL|UUID|GEN_RANDOM_UUID|PG_\w*LOCK\w*)\(", re.IGNORECASE
)


class Again(NamedTuple):
    """Equal statements with no write to their tables between.

    Attributes:
        runs: The statements of each run without a write, two or more each.
        sites: The places that asked, in order of the first.
        loop: The loop around the one place, for QS202.
    """

    runs: tuple[tuple[Query, ...], ...]
    sites: tuple[Site, ...]
    loop: Loop | None

    @property
    def queries(self) -> list[Query]:
        """All statements, in order."""
        return sorted((q for run in self.runs for q in run), key=lambda query: query.number)

    @property
    def places(self) -> list[Frame | TemplateNode | None]:
        """The step of each place that tells it from the others: the callers of one helper."""
        depth = 0
        shortest = min(map(len, self.sites))
        while depth < shortest and len({site[depth] for site in self.sites}) == 1:
            depth += 1
        if len(self.sites) == 1 or depth >= shortest:
            depth = 0
        return [site[depth] if site else None for site in self.sites]


def asked_again(case: Case, where: Literal["loop", "elsewhere"]) -> Iterator[Again]:
    """Yield equal statements: of one line in a loop, or of other places; no statement in both."""
    least = case.threshold(DUPLICATES_MIN_STATEMENTS)
    found: dict[object, list[tuple[Query, ...]]] = {}
    turning: dict[object, dict[int, Repeat]] = {}
    for duplicate in case.repeats.duplicates:
        queries = duplicate.queries
        if not _could_be_reused(queries[0]) or in_migration(next(iter(duplicate.sites))):
            continue
        rest: list[Query] = []
        for site, own in duplicate.sites.items():
            if any(query.operation in ISOLATION_VERBS for query in own):
                continue
            repeat = case.repeats.repeat_of(own[0]) if len(own) > 1 else None
            loop = repeat.loop if repeat is not None else None
            if repeat is None or loop is None or (loop.once and not loop.waits):
                rest.extend(own)
            elif not loop.waits and where == "loop" and len(own) >= least:
                line = loop.at, site[:1], own[0].shape.text
                found.setdefault(line, []).append(own)
                turning.setdefault(line, {})[repeat.number] = repeat
        if where == "elsewhere" and len(rest) >= max(least, 2):
            rest.sort(key=lambda query: query.number)
            found.setdefault((frozenset(duplicate.sites), rest[0].shape.text), []).append(
                tuple(rest)
            )
    for key, runs in found.items():
        repeats = list(turning.get(key, {}).values())
        # Two of many turns that happen to ask for one key do not ask the same on every turn.
        if 2 * sum(map(len, runs)) < sum(len(repeat.queries) for repeat in repeats):
            continue
        steps = dict.fromkeys(query.origin.steps for run in runs for query in run)
        yield Again(tuple(runs), tuple(steps), repeats[0].loop if repeats else None)


def _could_be_reused(query: Query) -> bool:
    """Tell whether the answer of a SELECT could have been kept for the next time."""
    shape = query.shape
    if shape.kind != "select" or shape.locks or _VOLATILE.search(shape.text):
        return False
    # Rows that a commit expired are meant to be read anew.
    return query.load is None or query.load.relation != "expired"
