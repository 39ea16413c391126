"""What stands in a report without findings: what was looked at, and what for."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from queryscope.detectors import registry
from queryscope.report.text import counted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from queryscope.report.views.headline import Totals
    from queryscope.trace.events import Trace


class Clean(NamedTuple):
    """A sentence, and the names of what was looked for: none if there was nothing.

    Without their codes: whoever searches a report for a code wants a finding.
    """

    sentence: str
    looked_for: tuple[str, ...]


def clean_of(
    trace: Trace,
    totals: Totals,
    failed: Iterable[str | tuple[str, object]] = (),
    *,
    known: int = 0,
) -> Clean:
    """Return what to say of a Trace without findings.

    Args:
        trace: The Trace.
        totals: Its numbers with those of nested Traces.
        failed: Codes of detectors that raised, alone or with the error: they found nothing
            because they did not look.
        known: Findings that are there and known.
    """
    checkouts = sum(len(item.checkouts) for item in trace.subtree())
    numbers = (
        (totals.statements, "statement"),
        (totals.sessions, "session"),
        (checkouts, "checkout"),
    )
    seen = [counted(number, name) for number, name in numbers if number]
    if not seen:
        return Clean("No statement was recorded, so there was nothing to judge.", ())
    *others, last = seen
    listed = f"{', '.join(others)} and {last}" if others else last
    without = {item if isinstance(item, str) else item[0] for item in failed}
    detectors = registry.for_a_trace().items()
    return Clean(
        f"Nothing {'new' if known else 'to mend'} was found in {listed}.",
        tuple(item.NAME for code, item in detectors if code not in without),
    )
