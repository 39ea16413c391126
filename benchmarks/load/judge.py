"""Compares every Trace of a load run with the one of the same request served alone."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from queryscope.store.file import Store

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from queryscope.trace.events import Trace

KEPT = 10
"""Problems of which the text is kept; more are counted."""

Sent = tuple[str, str, int | None, str | None]
"""A statement, the digest of its parameters, its rows and its error."""
Asked = tuple[int, str, str, str]
"""A request: index of its variant, its mark, the id of its Trace, the status of the answer."""


class Facts(NamedTuple):
    """What a Trace says that depends on its request alone, not on what runs beside it."""

    name: str
    statements: frozenset[tuple[Sent, int]]
    sessions: int
    checkouts: int
    transactions: int

    @property
    def sent(self) -> Counter[Sent]:
        """The statements with how often each was sent."""
        return Counter(dict(self.statements))


def facts_of(trace: Trace) -> Facts:
    """Return what is compared of a Trace, but for what the request's own mark says."""
    sent: Counter[Sent] = Counter(
        (query.statement, query.parameters_key, query.rows, query.error) for query in trace.queries
    )
    return Facts(
        trace.name,
        frozenset(sent.items()),
        len(trace.sessions),
        len(trace.checkouts),
        len(trace.transactions),
    )


@dataclass
class Judgement:
    """What came out of one run.

    Attributes:
        recorded: Requests that were answered with the id of a Trace.
        stored: Of those, how many are in the store.
        dropped: How many the server counted as dropped.
        lost: How many are neither.
        strange: Traces in the store that no request was answered with.
        mixed: Stored Traces that are not those of their request.
        refills: Traces with the statements by which a process fills its cache, too.
        problems: The first few texts about mixed ones.
    """

    recorded: int = 0
    stored: int = 0
    dropped: int = 0
    lost: int = 0
    strange: int = 0
    mixed: int = 0
    refills: int = 0
    problems: list[str] = field(default_factory=list)


def judge(
    path: Path,
    variants: Sequence[tuple[str, dict[str, str]]],
    alone: Sequence[Sequence[Asked]],
    asked: Iterable[Asked],
    dropped: int,
) -> Judgement:
    """Return how the Traces of a store fit the requests.

    Args:
        path: The store.
        variants: Path and headers by index.
        alone: Rounds of all variants, each request served alone; the first fills caches.
        asked: The requests under load.
        dropped: What the server counted as dropped, of all these requests.
    """
    found = Judgement(dropped=dropped)
    store = Store(path, max_mib=2**20)
    try:
        there = {summary.id for summary in store.list(limit=2**31)}
        references, refill = _references(store, alone)
        known = set()
        for number, requests in ((0, [one for some in alone for one in some]), (1, asked)):
            for index, mark, trace_id, status in requests:
                found.recorded += bool(trace_id)
                if not trace_id or trace_id in known:
                    _mixed(found, f"{variants[index][0]} {mark}: answered with id {trace_id!r}")
                known.add(trace_id)
                if trace_id not in there or not number:
                    continue
                trace = store.get(trace_id).trace
                wrong = _differences(
                    trace, variants[index][0], mark, status, references[index], refill
                )
                if wrong == ["refill"]:
                    found.refills += 1
                elif wrong:
                    _mixed(found, f"{variants[index][0]} {mark} {trace_id}: {'; '.join(wrong)}")
    finally:
        store.close()
    found.stored = len(known & there)
    found.strange = len(there - known)
    found.lost = found.recorded - found.stored - dropped
    return found


def _references(
    store: Store, alone: Sequence[Sequence[Asked]]
) -> tuple[dict[int, Facts], Counter[Sent]]:
    """Return the facts of each variant, and the statements that fill a process's cache."""
    references: dict[int, Facts] = {}
    seen: list[tuple[int, Facts]] = []
    for some in alone:
        for index, _, trace_id, _ in some:
            facts = facts_of(store.get(trace_id).trace)
            seen.append((index, facts))
            least = references.get(index)
            if least is None or facts.sent.total() < least.sent.total():
                references[index] = facts
    refill: Counter[Sent] = Counter()
    for index, facts in seen:
        refill |= facts.sent - references[index].sent
    return references, refill


def _differences(
    trace: Trace,
    target: str,
    mark: str,
    status: str,
    reference: Facts,
    refill: Counter[Sent],
) -> list[str]:
    """Return what a Trace says that its request alone would not have made it say."""
    wrong = []
    facts = facts_of(trace)
    path = target.partition("?")[0]
    if trace.w3c_trace_id != mark:
        wrong.append(f"it is of the request {trace.w3c_trace_id}")
    if trace.attributes.get("path") != path or trace.attributes.get("status") != status:
        wrong.append(f"it says {dict(trace.attributes)}, answered was {status}")
    if trace.orphans or trace.failures or trace.dropped or trace.children or trace.error:
        wrong.append(
            f"{trace.orphans} orphans, failures {trace.failures}, dropped {dict(trace.dropped)}, "
            f"{len(trace.children)} children, error {trace.error}"
        )
    if facts == reference:
        return wrong
    more, less = facts.sent - reference.sent, reference.sent - facts.sent
    counts, expected = facts[2:], reference[2:]
    if not less and more and not more - refill and facts.name == reference.name:
        return [*wrong, "refill"] if counts == expected else [*wrong, f"{counts} of {expected}"]
    wrong.append(
        f"{facts.name} for {reference.name}; sessions, checkouts and transactions {counts} for "
        f"{expected}; statements too many {_short(more)}, missing {_short(less)}"
    )
    return wrong


def _short(sent: Counter[Sent]) -> list[str]:
    return [f"{count}x {item[0][:120]} {item[1:]}" for item, count in list(sent.items())[:3]]


def _mixed(found: Judgement, text: str) -> None:
    found.mixed += 1
    if len(found.problems) < KEPT:
        found.problems.append(text[:2_000])
