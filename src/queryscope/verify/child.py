"""The program of a child process: boots one copy of the application and replays requests on it.

Started as ``python -P -m queryscope.verify.child JOB``, with an environment of its own. Each result
is written and flushed before the next request: what a crash leaves says how far it came.
"""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import sys
import time
import traceback
from contextlib import contextmanager
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from queryscope import adapters, runtime
from queryscope.trace.freeze import freeze
from queryscope.verify import asking, confine
from queryscope.verify.clocks import Clock
from queryscope.verify.contract import STRANGER, Answer, Pairs, Request
from queryscope.verify.job import (
    CLONE_LIMIT_S,
    STEP_FACTOR,
    TIME_OUT,
    Failure,
    Job,
    Reply,
    reply_to_line,
)
from queryscope.verify.project import sqlite_file
from queryscope.verify.proposal import Cost

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from queryscope.trace.events import Trace
    from queryscope.verify.parts import Source

PARENT_VARIABLE = "QUERYSCOPE_PARENT"
DISGUISE = ["gunicorn"]
"""What the application reads in ``sys.argv``."""
QUIET: Mapping[str, Any] = {
    "mode": "production",
    "recording": "light",
    "store": False,
    "console": False,
    "headers": False,
    "viewer": False,
    "keep_values": False,
}
"""Settings of the recording: it counts, and leaves no trace in answers or files."""
MAX_ERROR_CHARS = 4_000
KEY = bytes(32)
"""Of the digests of parameters, which nobody compares with another process's."""


def main(arguments: list[str]) -> int:
    """Do a job; 0 when every step has its result."""
    confine.die_with_parent(int(os.environ.pop(PARENT_VARIABLE)))
    del os.environ["PYTHONPATH"]  # that was for this module
    job = Job.from_json(Path(arguments[0]).read_text(encoding="utf-8"))
    with Path(job.results).open("w", encoding="utf-8") as results:
        child = Child(job)

        def write(line: str) -> None:
            with child.fence.ours():
                results.write(line)
                results.flush()

        try:
            child.boot()
            write('{"booted": true}\n')
            for reply in child.replies():
                write(reply_to_line(reply))
        except Stopped as stop:
            write(_failure_line(stop.failure))
            return 1
        write('{"done": true}\n')
        child.close()
    return 0


def _failure_line(failure: Failure) -> str:
    return json.dumps({"failed": failure.stage, "error": failure.error[:MAX_ERROR_CHARS]}) + "\n"


class Stopped(Exception):  # noqa: N818 - an order to stop, no error of ours
    """The job cannot go on."""

    def __init__(self, failure: Failure) -> None:
        """Take the reason."""
        super().__init__(failure.error)
        self.failure = failure


class TookTooLong(BaseException):
    """An answer took longer than it may."""


@contextmanager
def _no_longer_than(limit_s: float) -> Iterator[None]:
    """Raise TookTooLong in a block that takes longer, by a timer; 0 is no limit."""

    def stop(_number: int, _frame: object) -> None:
        raise TookTooLong(f"more than {limit_s:.0f} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, limit_s)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


class Child:
    """One booted application and its data.

    Attributes:
        fence: What keeps it in.
    """

    def __init__(self, job: Job) -> None:
        """Take the job; nothing of the application is imported yet."""
        self._job = job
        self._notes = confine.Notes()
        self.fence = confine.Fence(job.folder, job.tree, job.work.url, self._notes)
        self._asker: asking.Asker | None = None
        self._data: _Data | None = None
        self._clock = Clock()
        self._headers: dict[str, Pairs] = {}
        self._modules = 0
        self._slowest_ns = 0

    def boot(self) -> None:
        """Put up the fence, then import the application from the copy.

        Raises:
            Stopped: It does not boot, or comes from the original tree.
        """
        job = self._job
        confine.set_limits(job.memory_limit_mib, job.cpu_limit_s)
        _turn_to_copy(job.original, job.tree)
        sys.argv[:] = DISGUISE
        if job.reversed_selects:
            _reverse_selects()
        confine.note_logs(self._notes)
        self._clock.put_in()
        self.fence.put_up()
        with self.fence.ours():
            found = runtime.configure(QUIET, source="verify", debug=False)
        self._runtime = found
        try:
            app = asking.load(job.app)
            _divert_mail()
            adapters.install_loaded()
            self._asker = asking.asker_of(app, job.host)
        except BaseException as error:
            raise Stopped(Failure("boot", first_error(error))) from error
        self._check_origin()
        self._data = _Data(job, self.fence)
        self._notes.take()

    def replies(self) -> Iterator[Reply]:
        """Yield a Reply for each question, in order."""
        assert self._data is not None  # noqa: S101 - for the type checker
        for number, step in enumerate(self._job.steps):
            if step.load is not None:
                self._data.load(step.load)
                self._clock.turn_to(self._job.clones[step.load].at)
                self._log_in()
            if step.ask is not None:
                request = self._job.requests[step.ask]
                answer, trace, duration_ns = self._asked(request)
                if _wrote(trace) or self._data.changed():
                    effects = (*answer.effects, *self._data.written())
                    answer = replace(answer, effects=tuple(sorted(effects)))
                    self._data.reload()
                    self._log_in()
                self._check_origin()
                yield Reply(
                    step=number,
                    answer=answer,
                    cost=cost_of(trace, duration_ns),
                    tables=_last_read(trace),
                )

    def close(self) -> None:
        """Let the application shut down."""
        if self._asker is not None:
            self._asker.close()

    def _asked(self, request: Request) -> tuple[Answer, Trace, int]:
        assert self._asker is not None  # noqa: S101 - for the type checker
        headers = (*request.headers, *self._headers.get(request.actor, ()))
        self._notes.take()
        # The hooks of what was imported while the application ran go in now, not while it answers.
        adapters.install_loaded()
        recorder = self._runtime.recorder("block", "replay")
        recorder.open()
        started = time.perf_counter_ns()
        error: BaseException | None = None
        try:
            with _no_longer_than(self._limit_s()):
                answer = self._asker.ask(request, headers)
        except TookTooLong as failure:
            error = failure
            answer = Answer(status=0, error=TIME_OUT)
        except Exception as failure:  # noqa: BLE001 - what a server answers with 500
            error = failure
            answer = Answer(status=0, error=f"{type(failure).__name__}: {failure}")
        duration_ns = time.perf_counter_ns() - started
        if self._data is None or self._data.untouched:
            self._slowest_ns = max(self._slowest_ns, duration_ns)
        recorder.close(error)
        self._runtime.tally.settle(recorder)
        trace = freeze(recorder, KEY)
        effects = tuple(sorted((*self._notes.take(), *_mails())))
        return replace(answer, effects=effects), trace, duration_ns

    def _limit_s(self) -> float:
        """Return how long an answer may take, 0 for as long as the parent lets it."""
        if self._job.step_limit_s is not None:
            return self._job.step_limit_s
        if self._data is None or self._data.untouched:
            return 0.0
        return max(CLONE_LIMIT_S, STEP_FACTOR * self._slowest_ns / 1e9)

    def _log_in(self) -> None:
        """Let every actor log in on the present data; one that cannot has no headers there."""
        assert self._data is not None  # noqa: S101 - for the type checker
        for name, place in self._job.actors.items():
            try:
                found = asking.load(f"{place.removesuffix('()')}()")
                sent = tuple((str(key), str(value)) for key, value in dict(found).items())
                self._headers[name] = sent
                self._headers[name + STRANGER] = tuple((key, f"{value}-x") for key, value in sent)
            except Exception as error:
                self._headers[name] = ()
                if self._data.untouched:
                    what = f"actor {name} cannot log in: {first_error(error)}"
                    raise Stopped(Failure("actor", what)) from error
        self._data.settle()
        self._notes.take()

    def _check_origin(self) -> None:
        """Stop where a module comes from the user's tree instead of the copy."""
        if len(sys.modules) == self._modules:
            return
        self._modules = len(sys.modules)
        for name, module in list(sys.modules.items()):
            for place in _places(module):
                if _is_original(place, self._job.original):
                    what = f"module {name} was imported from {place}, not from the copy"
                    raise Stopped(Failure("original tree", what))


class _Data:
    """The data under the application: loading clones, telling what was written."""

    def __init__(self, job: Job, fence: confine.Fence) -> None:
        self._job = job
        self._fence = fence
        self._clone = 0
        self._clean: dict[str, str] | None = None
        self._version: object = None
        self._logged_in = False
        with fence.ours():
            from queryscope.verify.clones import source_of

            self._source: Source = source_of(job.work.url, Path(job.folder), Path(job.folder).name)
            file = sqlite_file(job.work.url, Path("/"))
            self._watch = sqlite3.connect(file) if file is not None else None

    @property
    def untouched(self) -> bool:
        """Whether the clone in place is the user's own data."""
        return not self._job.clones[self._clone].changed

    def load(self, clone: int) -> None:
        """Put a clone's data in place."""
        self._clone = clone
        self.reload()

    def reload(self) -> None:
        """Put the present clone's data in place again."""
        with self._fence.ours():
            self._source.restore(self._job.work, self._job.clones[self._clone])
        self._clean = None
        self._version = self._seen()

    def settle(self) -> None:
        """Take what is there now, with who logged in, as the clean state."""
        if self.changed():
            with self._fence.ours():
                self._clean = self._source.state(self._job.work)
            self._version = self._seen()

    def changed(self) -> bool:
        """Tell at once whether a SQLite file was written; a server does not say."""
        return self._watch is not None and self._seen() != self._version

    def written(self) -> Pairs:
        """Return the tables that differ from the clean state, with digests of what they hold."""
        with self._fence.ours():
            if self._clean is None:
                self._clean = self._source.state(self._job.clones[self._clone])
            now = self._source.state(self._job.work)
        names = sorted({*now, *self._clean})
        return tuple(
            (f"rows of {name}", now.get(name, "(no table)"))
            for name in names
            if now.get(name) != self._clean.get(name)
        )

    def _seen(self) -> object:
        if self._watch is None:
            return None
        with self._fence.ours():
            return self._watch.execute("PRAGMA data_version").fetchone()[0]


def cost_of(trace: Trace, duration_ns: int) -> Cost:
    """Return what a Trace cost, nested ones included."""
    traces = list(trace.subtree())
    held_ns = 0
    for one in traces:
        ends = [(c.got_ns, c.returned_ns) for c in one.checkouts] or [
            (s.first_used_ns, s.closed_ns) for s in one.sessions
        ]
        held_ns += sum(end - start for start, end in ends if start is not None and end is not None)
    return Cost(
        statements=sum(one.statements for one in traces),
        rows=sum(query.rows or 0 for one in traces for query in one.queries if query.counts),
        sessions=sum(len(one.sessions_at_work) for one in traces),
        duration_ns=duration_ns,
        held_ns=held_ns,
    )


def _last_read(trace: Trace) -> tuple[str, ...]:
    queries = [query for one in trace.subtree() for query in one.queries if query.shape.reads]
    last = max(queries, key=lambda query: query.start_ns, default=None)
    return () if last is None else tuple(sorted(last.shape.reads))


def _wrote(trace: Trace) -> bool:
    return any(query.shape.is_write for one in trace.subtree() for query in one.queries)


def first_error(error: BaseException) -> str:
    """Return the first error of a chain, with its place: later ones follow from it."""
    first = error
    seen = {id(first)}
    while True:
        before = first.__cause__ or (None if first.__suppress_context__ else first.__context__)
        if before is None or id(before) in seen:
            break
        seen.add(id(before))
        first = before
    frames = traceback.extract_tb(first.__traceback__)
    place = f" at {frames[-1].filename}:{frames[-1].lineno}" if frames else ""
    if isinstance(first, SyntaxError):
        place = f" at {first.filename}:{first.lineno}"
    return f"{type(first).__name__}: {first}{place}"


# -- the copy instead of the original -----------------------------------------------------------


def _turn_to_copy(original: str, tree: str) -> None:
    """Let imports find the copy: first on the path, and wherever the original stood."""
    os.chdir(tree)
    turned = [_turned(entry, original, tree) for entry in sys.path]
    sys.path[:] = [tree, *(entry for entry in turned if entry != tree)]
    for name, module in list(sys.modules.items()):
        # Finders of editable installs know packages by folder, whatever the path says.
        mapping = getattr(module, "MAPPING", None)
        if name.startswith("__editable__") and isinstance(mapping, dict):
            for package, place in mapping.items():
                mapping[package] = _turned(str(place), original, tree)
    sys.path_importer_cache.clear()


def _turned(entry: str, original: str, tree: str) -> str:
    full = os.path.realpath(entry)
    return tree + full[len(original) :] if _is_original(full, original) else entry


def _is_original(place: str, original: str) -> bool:
    full = os.path.realpath(place)
    if full != original and not full.startswith(original + os.sep):
        return False
    # A virtual environment may lie in the tree: what is installed there is nobody's source.
    return not any(
        full == folder or full.startswith(folder + os.sep)
        for folder in map(os.path.realpath, {sys.prefix, sys.base_prefix})
        if folder.startswith(original + os.sep)
    )


def _places(module: Any) -> Iterator[str]:
    try:
        file = getattr(module, "__file__", None)
        if isinstance(file, str):
            yield file
        elif (paths := getattr(module, "__path__", None)) is not None:
            yield from [path for path in list(paths) if isinstance(path, str)]
    except Exception:  # noqa: BLE001 - a lazy module may do anything when it is asked
        return


# -- databases and mail ---------------------------------------------------------------------------


def _reverse_selects() -> None:
    """Let every SQLite connection answer unordered selects backwards."""
    inner: Callable[..., sqlite3.Connection] = sqlite3.connect

    def connect(*arguments: Any, **named: Any) -> sqlite3.Connection:
        connection = inner(*arguments, **named)
        # A factory of the user's may count statements: past its own methods.
        sqlite3.Connection.execute(connection, "PRAGMA reverse_unordered_selects = ON")
        return connection

    for name in ("sqlite3", "sqlite3.dbapi2"):
        vars(import_module(name))["connect"] = connect


def _divert_mail() -> None:
    """Let Django keep its mails in memory."""
    conf = sys.modules.get("django.conf")
    if conf is not None and conf.settings.configured:
        conf.settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"


def _mails() -> Iterator[tuple[str, str]]:
    mail = sys.modules.get("django.core.mail")
    box = getattr(mail, "outbox", None)
    if box:
        for message in box:
            yield f"mail to {', '.join(message.recipients())}", f"{message.subject}\n{message.body}"
        box.clear()


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
