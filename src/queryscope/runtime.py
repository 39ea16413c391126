"""The composition root: settings in force, and where a finished Trace goes."""

from __future__ import annotations

import os
import secrets
import sys
import threading
from importlib import import_module
from typing import TYPE_CHECKING, Any

from queryscope.detectors import registry
from queryscope.detectors.registry import Judged
from queryscope.errors import QueryscopeError
from queryscope.policy.decisions import settled
from queryscope.settings import CAPTURE_VARIABLE, RUN_VARIABLE, STORE_VARIABLE, Mode, Settings
from queryscope.store import fork
from queryscope.trace import codes, guard
from queryscope.trace.flat import WIDTH
from queryscope.trace.freeze import freeze
from queryscope.trace.recorder import Recorder
from queryscope.trace.scope import recording
from queryscope.trace.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from queryscope.store.file import Store
    from queryscope.store.ring import Ring
    from queryscope.store.writer import Writer
    from queryscope.trace.events import Trace, TraceKind


class Finished:
    """A closed Recorder on its way to the sinks; frozen and judged once, by whoever asks first."""

    __slots__ = ("_judged", "_lock", "key", "recorder", "request", "thresholds", "url")

    def __init__(
        self,
        recorder: Recorder,
        key: bytes,
        thresholds: Mapping[str, float],
        url: str = "",
        request: tuple[str, str] | None = None,
    ) -> None:
        """Take a closed Recorder; nothing is computed yet."""
        self.request = request
        self.recorder: Recorder | None = recorder
        self.key = key
        self.thresholds = thresholds
        self.url = url
        self._judged: Judged | None = None
        self._lock = threading.Lock()

    @property
    def judged(self) -> Judged:
        """The Trace and its findings."""
        with self._lock:
            if self._judged is None:
                assert self.recorder is not None  # noqa: S101 - for the type checker
                trace = freeze(self.recorder, self.key)
                findings = settled(registry.judge_all(trace, chosen=self.thresholds))
                self._judged = Judged(trace, findings)
                self.recorder = None
            return self._judged


class Runtime:
    """One per process: the settings in force, the ring, the store and the writer.

    Nothing is opened or started before the first Trace ends.

    Attributes:
        captures: Whether whole requests are kept.
        unstored: Traces that could not be judged, or that the store was to take and could not;
            the guard counts a failed batch once, however many were in it.
        tally: The Recorders under way, and how many ended without a Trace.
    """

    def __init__(self, settings: Settings, mode: Mode) -> None:
        """Take the settings; ``mode`` decides what they leave open."""
        self.settings = settings
        self.mode: Mode = mode
        development = mode == "development"
        self.full = (settings.recording or ("light" if mode == "production" else "full")) == "full"
        self.reads = self.full and settings.reads is not False
        self.viewer = development if settings.viewer is None else settings.viewer
        self.console = development if settings.console is None else settings.console
        self.headers = mode != "production" if settings.headers is None else settings.headers
        self.keep_values = (
            development and self.viewer if settings.keep_values is None else settings.keep_values
        )
        asked = settings.capture_requests or (mode == "tests" and CAPTURE_VARIABLE in os.environ)
        self.captures = asked and mode != "production"
        self.store_path = os.environ.get(STORE_VARIABLE) or settings.store_path
        self._lock = threading.Lock()
        self._ring: Ring | None = None
        self._store: Store | None = None
        self._store_error = ""
        self.unstored = 0
        self.tally = Tally()
        self._told = 0
        self._writer: Writer[Finished] | None = None
        self._key: bytes | None = None
        codes.set_packages(user=settings.user_packages, library=settings.library_packages)
        fork.watch(self)

    def after_fork(self) -> None:
        """Make the locks anew: another thread of the parent may have held them."""
        global _lock
        self._lock = threading.Lock()
        _lock = threading.Lock()
        self.unstored = self._told = 0
        self.tally.clear()
        guard.after_fork()
        # A request in which the application forked ends twice, if the child lets it: there it is
        # another Trace, which must not take the place of the parent's in the store.
        recorder = recording()
        while recorder is not None:
            recorder.id = secrets.token_hex(6)
            recorder = recorder.outer

    # -- recording --------------------------------------------------------------------------

    def recorder(self, kind: TraceKind, name: str) -> Recorder:
        """Return a new Recorder with the settings in force, not yet open.

        It goes to ``finished``, or ``tally.settle`` is told that it goes nowhere; what dies without
        either is counted as lost.
        """
        settings = self.settings
        made = Recorder(
            kind,
            name,
            full=self.full,
            mode=self.mode,
            keep_values=self.keep_values,
            reads=self.reads,
            max_queries=settings.max_queries,
            max_statement_chars=settings.max_statement_chars,
            max_frames=settings.max_frames,
        )
        self.tally.begin(made)
        return made

    def finished(
        self, recorder: Recorder, url: str = "", request: tuple[str, str] | None = None
    ) -> Finished:
        """Send a closed Recorder to the sinks; a nested one goes with its outer one.

        Args:
            recorder: A closed Recorder.
            url: Where the viewer shows its report, for the console line.
            request: Endpoint and text of the captured request, None where none was.
        """
        done = Finished(recorder, self.key, self.settings.thresholds, url, request)
        outer = recorder.outer
        if outer is None or outer.closed:
            self.writer.put(done)
            self.tally.settle(recorder)
        elif "children" in outer.dropped:
            self.tally.settle(recorder)  # beyond what hangs under the outer one, and counted there
        return done

    def finish_now(self, recorder: Recorder) -> Judged:
        """Send a closed Recorder to the sinks on this thread: at exit none can be started."""
        done = Finished(recorder, self.key, self.settings.thresholds)
        self._take([done])
        return done.judged

    def _take(self, batch: Sequence[Finished]) -> None:
        """Handle a batch on the writer's thread."""
        kept = []
        for done in batch:
            recorder = done.recorder
            if recorder is not None:
                # A signal handler may have raised after it came here and before it was settled.
                self.tally.settle(recorder)
            try:
                self._tell_lost(recorder)
                judged = done.judged
            except Exception as error:  # noqa: BLE001 - one Trace must not take others along
                guard.count(error, "runtime.judge")
                with self._lock:
                    self.unstored += 1
                continue
            finally:
                del recorder
            self.ring.add(judged)
            if self._stores(judged.trace):
                kept.append(judged)
            if self.console and judged.trace.kind == "request":
                self._print(judged, done.url)
        if kept:
            self._write(kept)
        requests = [done.request for done in batch if done.request is not None]
        if requests:
            self._keep(requests)

    def _keep(self, requests: list[tuple[str, str]]) -> None:
        """Write captured requests."""
        kind = import_module("queryscope.store.captured").Captured
        try:
            store = self.store
            if store is not None:
                store.keep_requests([kind(*one) for one in requests])
        except QueryscopeError as error:
            guard.count(error, "store")
            self._store_error = str(error)

    def _tell_lost(self, recorder: Recorder | None) -> None:
        """Let a Trace say how many of this process were lost since the last one that said so."""
        lost = self.lost
        if recorder is not None and lost > self._told:
            recorder.drop("traces", lost - self._told)
            self._told = lost

    @property
    def lost(self) -> int:
        """Traces of this process that did not get where they were to go."""
        writer = self._writer
        queue = 0 if writer is None else writer.dropped + writer.failed
        return self.unstored + queue + self.tally.lost

    def _stores(self, trace: Trace) -> bool:
        """Tell whether a Trace is written to the file.

        By default everything in development, nothing in tests that ``queryscope run`` did not
        start, and in production what somebody asked for by name (a profiled block, script or
        task), not every request.
        """
        if self.settings.store is not None:
            return self.settings.store
        if self.mode == "production":
            return trace.kind != "request"
        return self.mode == "development" or launched()

    def _write(self, batch: list[Judged]) -> None:
        try:
            store = self.store
            if store is not None:
                store.add(batch)
                self._store_error = ""
                return
        except QueryscopeError as error:
            guard.count(error, "store")
            self._store_error = str(error)
        with self._lock:
            self.unstored += len(batch)

    def _print(self, judged: Judged, url: str) -> None:
        try:
            one_line = import_module("queryscope.report.console").one_line
            print(one_line(judged.trace, judged.findings, url), file=sys.stderr, flush=True)  # noqa: T201 - the console is its sink
        except Exception as error:  # noqa: BLE001 - a closed terminal must not cost the store its Traces
            guard.count(error, "console")

    # -- sinks, made when first used --------------------------------------------------------

    @property
    def ring(self) -> Ring:
        """The last Traces in memory."""
        with self._lock:
            if self._ring is None:
                self._ring = import_module("queryscope.store.ring").Ring(self.settings.ring_traces)
            return self._ring

    @property
    def store(self) -> Store | None:
        """The store on disk; None when it could not be opened, see ``store_error``.

        It is tried again each time: a damaged file may have been moved away by now.
        """
        with self._lock:
            if self._store is None:
                settings = self.settings
                try:
                    self._store = import_module("queryscope.store.file").Store(
                        self.store_path,
                        max_mib=settings.store_max_mib,
                        max_age_days=settings.store_max_age_days,
                        keep_values=bool(settings.keep_values),
                    )
                except QueryscopeError as error:
                    guard.count(error, "store")
                    self._store_error = str(error)
            return self._store

    @property
    def store_error(self) -> str:
        """Why the store could not be opened or written the last time, ``""`` if all is well."""
        return self._store_error

    @property
    def writer(self) -> Writer[Finished]:
        """The bounded queue with its one thread."""
        with self._lock:
            if self._writer is None:
                module = import_module("queryscope.store.writer")
                at_once = self.mode == "development"
                self._writer = module.Writer(
                    self._take,
                    limit=self.settings.queue_traces,
                    value=_value,
                    # Nothing catches the SIGTERM by which an editor ends `flask run`: whatever
                    # waits then for company is lost. A burst shares its commits all the same.
                    age_s=0.0 if at_once else module.AGE_S,
                    pace_s=module.PACE_S if at_once else 0.0,
                )
            return self._writer

    @property
    def key(self) -> bytes:
        """Keys the digests of parameters: one per project where a store is, else per process."""
        if self._key is None:
            keeps = self.settings.store
            if keeps is None:
                keeps = self.mode != "tests" or launched()
            load = import_module("queryscope.store.key").project_key if keeps else None
            self._key = load(self.store_path) if load is not None else os.urandom(16)
        return self._key

    def flush(self, timeout_s: float = 5.0) -> bool:
        """Wait until every Trace that has ended is in the sinks; False when time ran out."""
        with self._lock:
            writer = self._writer
        return writer is None or writer.flush(timeout_s)

    def close(self) -> None:
        """Write what is waiting and stop the writer."""
        with self._lock:
            writer, self._writer = self._writer, None
        if writer is not None:
            writer.close(5.0)
        with self._lock:  # not before: what was waiting would have opened another, for good
            store, self._store = self._store, None
        if store is not None:
            store.close()


def _value(done: Finished) -> int:
    """Return what a waiting Trace is worth when the queue is full: slow and failed ones stay."""
    recorder = done.recorder
    if recorder is None:
        return 0
    duration_ms = (recorder.end_ns - recorder.start_ns) // 1_000_000
    return duration_ms + len(recorder.statements) // WIDTH + (1_000_000 if recorder.error else 0)


_lock = threading.Lock()
_runtime: Runtime | None = None


def get() -> Runtime:
    """Return the runtime of this process, made with default settings when none was configured."""
    global _runtime
    if _runtime is None:
        with _lock:
            if _runtime is None:
                _runtime = Runtime(Settings(), decide_mode(None, debug=False))
    return _runtime


def configure(values: Mapping[str, Any], *, source: str, debug: bool) -> Runtime:
    """Put settings in force; the same settings again change nothing.

    Args:
        values: Names to values, as the user wrote them.
        source: Where they stand, for error texts.
        debug: Whether the framework runs in its debug mode.

    Raises:
        SettingsError: A setting is unknown or ill-typed.
    """
    global _runtime
    settings = Settings.from_mapping(values, source=source, thresholds=registry.threshold_names())
    mode = decide_mode(settings.mode, debug=debug)
    with _lock:
        before = _runtime
        if before is not None and before.settings == settings and before.mode == mode:
            return before
        _runtime = Runtime(settings, mode)
        if before is not None:
            _runtime._ring = before._ring  # noqa: SLF001 - what was recorded stays to be seen
    if before is not None:
        before.close()
    return _runtime


def decide_mode(chosen: Mode | None, *, debug: bool) -> Mode:
    """Return where this process runs: as set, under pytest, in debug, else in production."""
    if chosen is not None:
        return chosen
    if "PYTEST_VERSION" in os.environ or "PYTEST_CURRENT_TEST" in os.environ:
        return "tests"
    if debug or launched():
        return "development"
    return "production"


def launched() -> bool:
    """Tell whether ``queryscope run`` started this process."""
    return bool(os.environ.get(RUN_VARIABLE))


def reset() -> None:
    """Forget settings, ring and writer; what is waiting is written first."""
    global _runtime
    with _lock:
        before, _runtime = _runtime, None
    if before is not None:
        before.close()
    codes.forget_packages()


def flush_waiting(timeout_s: float) -> bool:
    """Have written what this process has waiting, if it has a runtime; False when time ran out."""
    current = _runtime
    return current is None or current.flush(timeout_s)


def viewer_path(runtime: Runtime, trace_id: str) -> str:
    """Return the path under which the viewer shows a Trace."""
    return f"{runtime.settings.viewer_path}{trace_id}"


def judge_now(recorder: Recorder) -> Judged:
    """Freeze and judge a closed Recorder at once, with the settings in force."""
    runtime = get()
    runtime.tally.settle(recorder)
    return Finished(recorder, runtime.key, runtime.settings.thresholds).judged
