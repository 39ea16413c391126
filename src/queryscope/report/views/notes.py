"""What a reader must know to trust a report: what is missing, and why."""

from __future__ import annotations

import platform
from importlib import metadata
from typing import TYPE_CHECKING, NamedTuple

from queryscope.report.text import counted, duration, visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from queryscope.trace.events import Trace


class Note(NamedTuple):
    """A sentence of the footer, ``tone`` ``plain`` or ``warn``, with details."""

    tone: str
    text: str
    details: tuple[str, ...] = ()


def notes_of(
    trace: Trace, failed: Iterable[str | tuple[str, object]], *, values_kept: bool
) -> tuple[Note, ...]:
    """Return the notes on a Trace and on those nested in it.

    Args:
        trace: The Trace.
        failed: Codes of detectors that raised, alone or with the error.
        values_kept: Whether parameters were kept.
    """
    return (
        *_dropped(trace),
        *_late(trace),
        *_failures(trace),
        *_failed_detectors(failed),
        *_unlabelled(trace),
        *_plain(trace, values_kept=values_kept),
    )


def _dropped(trace: Trace) -> Iterator[Note]:
    dropped: dict[str, int] = {}
    for item in trace.subtree():
        for name, number in item.dropped.items():
            dropped[name] = dropped.get(name, 0) + number
    for name, number in dropped.items():
        if name == "query_ns":
            continue
        text = f"{number:,} {visible(name, limit=60).replace('_', ' ')} dropped: over the cap."
        if name == "queries":
            spent = duration(dropped.get("query_ns", 0))
            text = f"{counted(number, 'statement')} not kept ({spent}): over the cap max_queries."
        elif name == "traces":
            text = (
                f"{counted(number, 'Trace')} of this process lost before this one: the queue was "
                "full, the store could not take them, or their end was interrupted."
            )
        elif name == "killed":
            text = (
                "The process was killed, and with it went what was recorded: no statement is known."
            )
        elif name == "statement_tails":
            text = f"{counted(number, 'statement')} cut at max_statement_chars."
        yield Note("warn", text)


def _late(trace: Trace) -> Iterator[Note]:
    orphans = sum(item.orphans for item in trace.subtree())
    if orphans:
        text = f"{counted(orphans, 'fact')} arrived after the end, not counted."
        yield Note("warn", text)


def _failures(trace: Trace) -> Iterator[Note]:
    failures: dict[tuple[str, str], int] = {}
    for item in trace.subtree():
        for failure in item.failures:  # process-wide counts: the latest is the highest
            place = (failure.place, failure.error)
            failures[place] = max(failures.get(place, 0), failure.count)
    if failures:
        total = sum(failures.values())
        details = tuple(
            visible(f"{place}: {error}") + (f" ({number:,} times)" if number > 1 else "")
            for (place, error), number in failures.items()
        )
        yield Note("warn", f"{counted(total, 'hook failure')} in this process.", details)


def _failed_detectors(failed: Iterable[str | tuple[str, object]]) -> Iterator[Note]:
    names = tuple(
        visible(item if isinstance(item, str) else f"{item[0]}: {item[1]}") for item in failed
    )
    if names:
        yield Note("warn", f"{counted(len(names), 'detector')} failed.", names)


def _unlabelled(trace: Trace) -> Iterator[Note]:
    unlabelled = sum(item.unlabelled for item in trace.subtree())
    if unlabelled:
        yield Note(
            "warn",
            f"{counted(unlabelled, 'statement')} came from an ORM frame of unknown shape: "
            "label unknown.",
        )


def _plain(trace: Trace, *, values_kept: bool) -> Iterator[Note]:
    kept = f"{'with' if values_kept else 'without'} values of parameters"
    mode = f"{visible(trace.recording, limit=20)} recording, {visible(trace.mode, limit=20)} mode"
    yield Note("plain", f"{mode}, {kept}. Times of statements end when the driver returns.")
    python = platform.python_version()
    yield Note("plain", f"Written by queryscope {_version()} on Python {python}.")


def _version() -> str:
    try:
        return metadata.version("queryscope")
    except ImportError:  # no such package, or a library of Python's own that cannot be read
        return "from its source tree"
