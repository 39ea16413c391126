"""What watches a scenario: queryscope, or a peer. Each gives its reports in the same form."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
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


class Report(NamedTuple):
    """One thing said about a scenario.

    Attributes:
        code: The code, empty from a peer.
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

    def __init__(self, orm: str) -> None:
        """Install the hooks."""
        from queryscope import adapters, runtime

        self.orm = orm
        settings = {"mode": "tests", "recording": "full", "console": False, "store": False}
        settings["keep_values"] = True  # a plan depends on them
        runtime.configure({**settings, **PATIENCE}, source="benchmark", debug=False)
        adapters.install()

    def watch(self, endpoint: str) -> AbstractContextManager[Any]:
        """Return what records a block as a request."""
        from queryscope import profile

        return profile(endpoint, kind="request")

    def reports(self, seen: Sequence[Any], *, timed: bool, url: str) -> list[Report]:
        """Return what is said about each block that has ended, and about all of them together.

        Args:
            seen: What ``watch`` gave.
            timed: The scenario is about time: idle connections count.
            url: Where the database is, for scenarios whose code needs its plans; else ``""``.
        """
        from queryscope.detectors.registry import judge_all, judge_traffic
        from queryscope.detectors.traffic import Traffic
        from queryscope.trace import guard

        chosen = PATIENCE if timed else FOR_EVER
        findings = [item for one in seen for item in judge_all(one.trace, chosen=chosen)]
        if len(seen) > 1:
            findings += judge_traffic(Traffic.of([one.trace for one in seen], chosen))
        if url:
            findings += _judged_by_plans([one.trace for one in seen], url)
        reports = [_report(finding) for finding in findings]
        if guard.failures():
            raise RuntimeError(f"hooks failed: {guard.failures()}")
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


class Watcher(ABC):
    """What the peers have in common: no middleware, no apps, reports that are texts."""

    middleware: tuple[str, ...] = ()
    apps: tuple[str, ...] = ()
    debug = False

    def __init__(self, orm: str) -> None:
        """Install nothing."""
        self.orm = orm

    def watch(self, endpoint: str) -> AbstractContextManager[Any]:  # noqa: ARG002 - as ours
        """Return what records a block and gives a list of texts, filled at its end."""
        return self.block()

    @abstractmethod
    def block(self) -> AbstractContextManager[Any]:
        """Record a block."""

    def reports(self, seen: Sequence[list[str]], *, timed: bool, url: str) -> list[Report]:  # noqa: ARG002 - ours
        """Return what was said about each block, one report a text."""
        return [Report("", "warning", text) for texts in seen for text in dict.fromkeys(texts)]


class Zeal(Watcher):
    """django-zeal, with warnings in place of errors, and its threshold of two."""

    apps = ("zeal",)

    @contextmanager
    def block(self) -> Iterator[list[str]]:
        """See ``Watcher``."""
        from django.conf import settings
        from zeal import zeal_context

        settings.ZEAL_RAISE = False
        texts: list[str] = []
        with warnings.catch_warnings(record=True) as caught, zeal_context():
            warnings.simplefilter("always")
            yield texts
        texts += [str(one.message) for one in caught if "N+1" in str(one.message)]


class Nplusone(Watcher):
    """nplusone's profiler, told to note instead of raise."""

    apps = ("nplusone.ext.django",)

    def __init__(self, orm: str) -> None:
        """Patch the ORM."""
        super().__init__(orm)
        if orm == "sqlalchemy":
            import nplusone.ext.sqlalchemy
        else:
            import nplusone.ext.django.patch  # noqa: F401 - imported for what it patches

    @contextmanager
    def block(self) -> Iterator[list[str]]:
        """See ``Watcher``."""
        from nplusone.core import profiler

        texts: list[str] = []

        class Noting(profiler.Profiler):
            def notify(self, message: Any) -> None:
                texts.append(message.message)

        with Noting():
            yield texts


class QueryDoctor(Watcher):
    """django-query-doctor's context manager."""

    apps = ("query_doctor",)

    @contextmanager
    def block(self) -> Iterator[list[str]]:
        """See ``Watcher``."""
        from query_doctor import diagnose_queries

        texts: list[str] = []
        with diagnose_queries() as report:
            yield texts
        texts += [
            f"{one.description} {one.fix_suggestion} {one.extra}" for one in report.prescriptions
        ]


class DebugToolbar(Watcher):
    """django-debug-toolbar's SQL panel: statements that it marks as similar or duplicate."""

    apps = ("django.contrib.staticfiles", "debug_toolbar")
    debug = True

    @contextmanager
    def block(self) -> Iterator[list[str]]:
        """See ``Watcher``."""
        from debug_toolbar.panels.sql.panel import SQLPanel
        from debug_toolbar.toolbar import DebugToolbar as Toolbar
        from django.http import HttpResponse
        from django.test import RequestFactory

        request = RequestFactory().get("/")
        toolbar = Toolbar(request, lambda _: HttpResponse())
        panel = toolbar.get_panel_by_id(SQLPanel.panel_id)
        texts: list[str] = []
        panel.enable_instrumentation()
        try:
            yield texts
        finally:
            panel.disable_instrumentation()
        panel.generate_stats(request, HttpResponse())
        texts += [
            str(query.get("raw_sql") or query["sql"])
            for query in panel.get_stats().get("queries", ())
            if query.get("similar_count") or query.get("duplicate_count")
        ]


class Queryguard(Watcher):
    """pytest-queryguard, by the assertion of its recording, with its defaults."""

    @contextmanager
    def block(self) -> Iterator[list[str]]:
        """See ``Watcher``."""
        from pytest_queryguard import NPlusOneDetected, record_queries

        texts: list[str] = []
        with record_queries() as log:
            yield texts
        try:
            log.assert_no_nplusone()
        except NPlusOneDetected as error:
            texts.append(str(error))


class Queryspy(Watcher):
    """Queryspy's recording, with its defaults."""

    @contextmanager
    def block(self) -> Iterator[list[str]]:
        """See ``Watcher``."""
        from queryspy import record

        texts: list[str] = []
        with record() as recorder:
            yield texts
        texts += [f"{one.kind} {one.label} {one.sql}" for one in recorder.findings()]


WATCHERS: dict[str, Callable[[str], Any]] = {
    "queryscope": Queryscope,
    "zeal": Zeal,
    "nplusone": Nplusone,
    "query_doctor": QueryDoctor,
    "debug_toolbar": DebugToolbar,
    "queryguard": Queryguard,
    "queryspy": Queryspy,
}
