"""What the detectors of repeated sets share: which statements could have answered one another."""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from queryscope.detectors._advice import own_step, short
from queryscope.detectors._loops import ISOLATION_VERBS, in_migration
from queryscope.trace.events import Frame

if TYPE_CHECKING:
    from collections.abc import Iterator

    from queryscope.detectors.registry import Case
    from queryscope.trace.events import Query, TemplateNode
    from queryscope.trace.repeats import Repeats
    from queryscope.trace.sets import Ask


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
