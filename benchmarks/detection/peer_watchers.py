"""What watches a scenario in place of queryscope: the peers, each as its authors set it up.

Each keeps its defaults: what has to be asked for by a setting is not asked for. What it says comes
in kinds, by its own words, and each kind claims codes: those that its documentation says it sees.
Kinds that speak of something else than statements that repeat, or relations loaded for nothing,
claim none, and count neither for it nor against it.
"""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from benchmarks.detection.watchers import Report

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager


TRANSACTIONS = ("BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE SAVEPOINT")


class Said(NamedTuple):
    """One thing that a peer said: its kind, and a text with the names in it."""

    kind: str
    text: str


class Watcher(ABC):
    """What the peers have in common: no middleware, no apps, what is said becomes reports.

    Attributes:
        claims: The codes that each kind of what it says may mean.
        by_thread: It watches the connections of a thread, and has to be started in the one where
            Django's ORM runs: as its middleware is, under an event loop.
    """

    middleware: tuple[str, ...] = ()
    apps: tuple[str, ...] = ()
    debug = False
    by_thread = False
    claims: ClassVar[Mapping[str, tuple[str, ...]]]

    def __init__(self, orm: str) -> None:
        """Install nothing."""
        self.orm = orm

    def watch(self, endpoint: str) -> AbstractContextManager[list[Said]]:  # noqa: ARG002 - as ours
        """Return what records a block and gives a list of what is said, filled at its end."""
        return self.block()

    @abstractmethod
    def block(self) -> AbstractContextManager[list[Said]]:
        """Record a block."""

    def reports(self, seen: Sequence[list[Said]], **_ours: Any) -> list[Report]:
        """Return what was said about each block: a report for each code that it may mean."""
        return [
            Report(code, "warning", one.text)
            for said in seen
            for one in dict.fromkeys(said)
            for code in self.claims.get(one.kind, ())
        ]

    @classmethod
    def codes(cls) -> tuple[str, ...]:
        """Return the codes that it claims to see."""
        return tuple(sorted({code for codes in cls.claims.values() for code in codes}))


class Zeal(Watcher):
    """django-zeal, with warnings in place of errors, which would end a scenario at the first.

    Its documentation: missing prefetches, and the use of ``.defer()``, ``.only()`` and ``.get()``.
    """

    apps = ("zeal",)
    claims: ClassVar = {"N+1": ("QS101", "QS102", "QS104")}

    @contextmanager
    def block(self) -> Iterator[list[Said]]:
        """See ``Watcher``."""
        from django.conf import settings
        from zeal import zeal_context

        settings.ZEAL_RAISE = False
        said: list[Said] = []
        with warnings.catch_warnings(record=True) as caught, zeal_context():
            warnings.simplefilter("always")
            yield said
        said += [Said("N+1", str(one.message)) for one in caught if "N+1" in str(one.message)]


class Nplusone(Watcher):
    """nplusone's profiler, told to note instead of raise.

    Its documentation: relations loaded lazily, and those loaded eagerly and never accessed.
    """

    apps = ("nplusone.ext.django",)
    claims: ClassVar = {
        "n_plus_one": ("QS101", "QS112"),
        "unused_eager_load": ("QS101", "QS112"),
    }

    def __init__(self, orm: str) -> None:
        """Patch the ORM."""
        super().__init__(orm)
        if orm == "sqlalchemy":
            import nplusone.ext.sqlalchemy
        else:
            import nplusone.ext.django.patch  # noqa: F401 - imported for what it patches

    @contextmanager
    def block(self) -> Iterator[list[Said]]:
        """See ``Watcher``."""
        from nplusone.core import profiler

        said: list[Said] = []

        class Noting(profiler.Profiler):
            def notify(self, message: Any) -> None:
                said.append(Said(message.label, message.message))

        with Noting():
            yield said


_NPLUS1 = ("QS101", "QS102", "QS104", "QS112")


class Nplus1(Watcher):
    """django-nplus1's scope of a request, with a notifier that notes.

    Its documentation: lazy loads, deferred fields among them, ``.get()`` in a loop, and eager loads
    that nobody uses; duplicate queries have to be asked for.
    """

    apps = ("django_nplus1",)
    claims: ClassVar = dict.fromkeys(("n_plus_one", "get_in_loop", "unused_eager_load"), _NPLUS1)

    @contextmanager
    def block(self) -> Iterator[list[Said]]:
        """See ``Watcher``."""
        from django_nplus1 import DetectionContext
        from django_nplus1.notifiers import Notifier

        said: list[Said] = []

        class Noting(Notifier):
            def notify(self, message: Any) -> None:
                said.append(Said(message.label, message.message))

        with DetectionContext(notifiers=[Noting()]):
            yield said


_QUERY_DOCTOR = ("QS101", "QS102", "QS107", "QS201", "QS202")


class QueryDoctor(Watcher):
    """django-query-doctor's context manager.

    Its documentation: related objects and rows by key one at a time in loops, methods of
    serializers that do so, the same SQL executed several times, and writes row by row. What it says
    of indexes, wide rows, joins and evaluated querysets is not about repetition.
    """

    apps = ("query_doctor",)
    by_thread = True
    claims: ClassVar = dict.fromkeys(
        ("n_plus_one", "duplicate_query", "serializer_method_field", "write_n_plus_one"),
        _QUERY_DOCTOR,
    )

    @contextmanager
    def block(self) -> Iterator[list[Said]]:
        """See ``Watcher``."""
        from query_doctor import diagnose_queries

        said: list[Said] = []
        with diagnose_queries() as report:
            yield said
        said += [
            Said(one.issue_type.value, f"{one.description} {one.fix_suggestion} {one.extra}")
            for one in report.prescriptions
        ]


class DebugToolbar(Watcher):
    """django-debug-toolbar's SQL panel: statements that it marks as similar or duplicate.

    It marks the statements that begin a transaction, too: nobody would take that for a warning.
    """

    apps = ("django.contrib.staticfiles", "debug_toolbar")
    debug = True
    by_thread = True
    claims: ClassVar = {
        "mark": (
            "QS101", "QS102", "QS103", "QS104", "QS105", "QS106", "QS107", "QS201", "QS202",
        )
    }  # fmt: skip

    @contextmanager
    def block(self) -> Iterator[list[Said]]:
        """See ``Watcher``."""
        from debug_toolbar.panels.sql.panel import SQLPanel
        from debug_toolbar.toolbar import DebugToolbar as Toolbar
        from django.http import HttpResponse
        from django.test import RequestFactory

        request = RequestFactory().get("/")
        toolbar = Toolbar(request, lambda _: HttpResponse())
        panel = toolbar.get_panel_by_id(SQLPanel.panel_id)
        said: list[Said] = []
        panel.enable_instrumentation()
        try:
            yield said
        finally:
            panel.disable_instrumentation()
        panel.generate_stats(request, HttpResponse())
        marked = [
            str(query.get("raw_sql") or query["sql"])
            for query in panel.get_stats().get("queries", ())
            if query.get("similar_count") or query.get("duplicate_count")
        ]
        said += [Said("mark", sql) for sql in marked if not sql.startswith(TRANSACTIONS)]


class Queryguard(Watcher):
    """pytest-queryguard, by the assertion of its recording, which has the rules of its plugin.

    Its documentation: a relationship lazy-loaded for two parents or more, a SELECT that runs five
    times or more, and columns reloaded for five objects or more.
    """

    claims: ClassVar = {"failure": ("QS101", "QS102", "QS103", "QS104", "QS105", "QS106", "QS202")}

    @contextmanager
    def block(self) -> Iterator[list[Said]]:
        """See ``Watcher``."""
        from pytest_queryguard import NPlusOneDetected, record_queries

        said: list[Said] = []
        with record_queries() as log:
            yield said
        try:
            log.assert_no_nplusone()
        except NPlusOneDetected as error:
            said.append(Said("failure", str(error)))


_QUERYSPY = ("QS101", "QS102", "QS103", "QS104", "QS105", "QS106", "QS201", "QS202")


class Queryspy(Watcher):
    """Queryspy's recording.

    Its documentation: relationships and columns loaded once per row, and the same statement of the
    ORM executed twice or more.
    """

    claims: ClassVar = dict.fromkeys(("lazy_load", "column_load", "repeated_statement"), _QUERYSPY)

    @contextmanager
    def block(self) -> Iterator[list[Said]]:
        """See ``Watcher``."""
        from queryspy import record

        said: list[Said] = []
        with record() as recorder:
            yield said
        said += [Said(one.kind, f"{one.label} {one.sql}") for one in recorder.findings()]


PEERS: Mapping[str, type[Watcher]] = {
    "zeal": Zeal,
    "nplusone": Nplusone,
    "nplus1": Nplus1,
    "query_doctor": QueryDoctor,
    "debug_toolbar": DebugToolbar,
    "queryguard": Queryguard,
    "queryspy": Queryspy,
}
