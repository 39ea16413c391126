"""What watches a scenario: queryscope; the peers stand in ``peer_watchers``, with the same form."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractContextManager

PATIENCE = {
    "held_idle_min_ms": 700,
    "held_idle_gap_min_ms": 700,
    "pool_wait_min_ms": 40,
    "transaction_apart_ms": 60_000,
}
"""A busy machine must not decide a verdict: scenarios that idle do so for longer."""
FOR_EVER = {
    "held_idle_min_ms": 600_000,
    "held_idle_gap_min_ms": 600_000,
    "pool_wait_min_ms": 600_000,
    "transaction_apart_ms": 600_000,
}
"""For scenarios that are not about time."""


SLOW = {"slow_statement_ms": 500}
"""As in production: scenarios of slow statements wait longer."""


SETTINGS = {
    "mode": "tests",
    "recording": "full",
    "console": False,
    "store": False,
    "keep_values": True,  # a plan depends on them
    **PATIENCE,
}
"""Of ours, as in tests; whoever puts settings in force while scenarios run has to give these."""


class Report(NamedTuple):
    """One thing said about a scenario.

    Attributes:
        code: The code; of a peer: one that what it said may mean, and a report for each of them.
        severity: As in findings; a peer's reports are warnings.
        text: What is said, with the names of relations or tables in it.
        places: File, first and last line of where to mend it.
    """

    code: str
    severity: str
    text: str
    places: tuple[tuple[str, int, int], ...] = ()


class Queryscope:
    """Ourselves, as in tests: full recording, the thresholds of tests."""

    middleware: tuple[str, ...] = ("queryscope.django.Middleware",)
    apps: tuple[str, ...] = ()
    debug = False
    by_thread = False

    def __init__(self, orm: str) -> None:
        """Install the hooks."""
        from queryscope import adapters, runtime

        self.orm = orm
        runtime.configure(SETTINGS, source="benchmark", debug=False)
        adapters.install()

    def watch(self, endpoint: str) -> AbstractContextManager[Any]:
        """Return what records a block as a request."""
        from queryscope import profile

        return profile(endpoint, kind="request")

    def reports(
        self, seen: Sequence[Any], *, timed: bool, url: str, settings: Mapping[str, float]
    ) -> list[Report]:
        """Return what is said about each block that has ended, and about all of them together.

        Args:
            seen: What ``watch`` gave.
            timed: The scenario is about time: idle connections count.
            url: Where the database is, for scenarios whose code needs its plans; else ``""``.
            settings: Thresholds of the scenario's own.
        """
        from queryscope.detectors.registry import judge_all, judge_traffic
        from queryscope.detectors.traffic import Traffic
        from queryscope.trace import guard

        chosen = {**(PATIENCE if timed else FOR_EVER), **settings}
        findings = [item for one in seen for item in judge_all(one.trace, chosen=chosen)]
        if len(seen) > 1:
            findings += judge_traffic(Traffic.of([one.trace for one in seen], chosen))
        if url:
            findings += _judged_by_plans([one.trace for one in seen], url)
        reports = [_report(finding) for finding in findings]
        if guard.failures():
            raise RuntimeError(f"hooks failed: {guard.failures()}")
        if any(one.trace.recording != "full" or one.trace.mode != "tests" for one in seen):
            raise RuntimeError("other settings were put in force")
        return reports


def _judged_by_plans(traces: Sequence[Any], url: str) -> Sequence[Any]:
    """Return what the plans and the schema of a database show."""
    from queryscope.cli.models import known_models
    from queryscope.detectors.planned import Planned
    from queryscope.detectors.registry import in_force, judge_plans
    from queryscope.plans.database import Database
    from queryscope.plans.study import ANY, study

    found = study(
        traces,
        {ANY: Database.of_url(url)},
        least_rows=in_force("plan_min_rows", {}, "tests"),
        models=known_models(),
    )
    return judge_plans(Planned(found, SLOW))


def _report(finding: Any) -> Report:
    mend = finding.mend
    places = []
    if mend is not None and mend.at is not None and mend.at.file is not None:
        end = getattr(mend.at, "end_line", mend.at.line)
        places.append((mend.at.file, mend.at.line, end))
    text = f"{finding.subject} | {finding.message} | {mend.write if mend else ''}"
    return Report(finding.code, finding.severity, text, tuple(places))
