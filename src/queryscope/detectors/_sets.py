"""What the detectors of repeated sets share: which statements could have answered one another."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from queryscope.detectors._advice import own_step, short
from queryscope.detectors._loops import ISOLATION_VERBS, in_migration
from queryscope.detectors.registry import Threshold
from queryscope.trace.events import Frame

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from queryscope.detectors.registry import Case
    from queryscope.trace.events import Query, TemplateNode
    from queryscope.trace.repeats import Repeats
    from queryscope.trace.sets import Ask


SAME_SET_MAX_ROWS = "same_set_max_rows"
THRESHOLDS: Mapping[str, Threshold] = {
    SAME_SET_MAX_ROWS: Threshold(1_000, "rows of a set from which parts of it may be cut again"),
}

_known: WeakKeyDictionary[Repeats, tuple[tuple[Ask, ...], ...]] = WeakKeyDictionary()
"""What is comparable in the Traces being judged: three detectors ask for it in turn."""


def comparable(case: Case) -> tuple[tuple[Ask, ...], ...]:
    """Return the asks of each set that one session, or none, made on purpose of the user's.

    Without what is read anew on purpose, what only library code asked (authentication, an admin
    list), and what filled a batch of rows for others.
    """
    found = _known.get(case.repeats)
    if found is None:
        found = _known[case.repeats] = tuple(_comparable(case.repeats))
    return found


def held(case: Case) -> Iterator[tuple[Query, Query]]:
    """Yield (what fetched a set, what asked for one row of it after that), nothing written between.

    Both were asked by one function of the user's, in one session and transaction, so that the row
    is at hand. Without questions that are asked several times, and large sets, which may be gone.
    """
    pairs = case.repeats.members
    texts = Counter((ask.query.statement, ask.conditions) for _, ask in pairs)
    for whole, ask in pairs:
        first, asked = whole.query, ask.query
        if (
            texts[asked.statement, ask.conditions] == 1
            and asked.rows == 1
            and asked.load is None
            and 1 < (first.rows or 0) <= case.threshold(SAME_SET_MAX_ROWS)
            and (first.session, first.transaction) == (asked.session, asked.transaction)
            and function_of(first) == function_of(asked)
            and all(_is_users(query) and _is_question(query) for query in (first, asked))
            and case.repeats.unchanged(first, asked)
        ):
            yield first, asked


def _comparable(repeats: Repeats) -> Iterator[tuple[Ask, ...]]:
    meant: dict[int, bool] = {}
    for asks in repeats.sets:
        first = asks[0].query
        if all(ask.query.statement is first.statement for ask in asks):
            continue  # equal statements are QS201's
        by_session: dict[int | None, list[Ask]] = {}
        for ask in asks:
            query = ask.query
            # A Trace has each origin once.
            own = meant.get(id(query.origin))
            if own is None:
                own = meant[id(query.origin)] = _is_users(query)
            if own and _is_question(query):
                by_session.setdefault(query.session, []).append(ask)
        for found in by_session.values():
            if len(found) > 1:
                yield tuple(found)


def _is_users(query: Query) -> bool:
    steps = query.origin.steps
    return own_step(steps) is not None and not in_migration(steps)


def _is_question(query: Query) -> bool:
    if query.operation in ISOLATION_VERBS:
        return False
    load = query.load
    return load is None or not (load.batched or load.relation in ("column", "expired"))


def what(query: Query) -> str:
    """Return what a statement is about in one word: its class, else its tables."""
    return short(query.model) or ", ".join(sorted(query.shape.reads))


def function_of(query: Query) -> tuple[str, str]:
    """Return (file, function) of the line of the user's that asked, or the template."""
    step: Frame | TemplateNode | None = own_step(query.origin.steps)
    if isinstance(step, Frame):
        return step.file, step.scope
    return (step.template, "") if step is not None else ("", "")
