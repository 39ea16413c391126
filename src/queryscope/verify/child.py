"""The program of a child process: boots one copy of the application and replays requests on it.

Started as ``python -P -m queryscope.verify.child JOB``, with an environment of its own. Each result
is written and flushed before the next request: what a crash leaves says how far it came.
"""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from queryscope import adapters, runtime
from queryscope.trace.freeze import freeze
from queryscope.verify import asking, confine, copied, disguise
from queryscope.verify.clocks import Clock
from queryscope.verify.contract import STRANGER, Answer, Pairs, Request, filled
from queryscope.verify.dataset import Dataset
from queryscope.verify.deadline import TookTooLong, no_longer_than
from queryscope.verify.job import (
    CLONE_LIMIT_S,
    STEP_FACTOR,
    TIME_OUT,
    Failure,
    Job,
    Reply,
    reply_to_line,
)
from queryscope.verify.spent import cost_of, last_read, wrote

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from queryscope.trace.events import Trace

PARENT_VARIABLE = "QUERYSCOPE_PARENT"
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
        self._data: Dataset | None = None
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
        copied.turn_to_copy(job.original, job.tree)
        sys.argv[:] = disguise.ARGUMENTS
        if job.reversed_selects:
            disguise.reverse_selects()
        confine.note_logs(self._notes)
        self._clock.put_in()
        self.fence.put_up()
        with self.fence.ours():
            found = runtime.configure(QUIET, source="verify", debug=False)
        self._runtime = found
        try:
            app = asking.load(job.app)
            disguise.divert_mail()
            adapters.install_loaded()
            self._asker = asking.asker_of(app, job.host)
        except BaseException as error:
            raise Stopped(Failure("boot", first_error(error))) from error
        self._check_origin()
        self._data = Dataset(job, self.fence)
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
                if wrote(trace) or self._data.changed():
                    effects = (*answer.effects, *self._data.written())
                    answer = replace(answer, effects=tuple(sorted(effects)))
                    self._data.reload()
                    self._log_in()
                self._check_origin()
                yield Reply(
                    step=number,
                    answer=answer,
                    cost=cost_of(
                        trace, duration_ns, judged=self._data.untouched and not request.variant
                    ),
                    tables=last_read(trace),
                )

    def close(self) -> None:
        """Let the application shut down."""
        if self._asker is not None:
            self._asker.close()

    def _asked(self, request: Request) -> tuple[Answer, Trace, int]:
        assert self._asker is not None  # noqa: S101 - for the type checker
        headers = filled(request.headers, self._headers.get(request.actor, ()))
        self._notes.take()
        # The hooks of what was imported while the application ran go in now, not while it answers.
        adapters.install_loaded()
        recorder = self._runtime.recorder("block", "replay")
        recorder.open()
        started = time.perf_counter_ns()
        error: BaseException | None = None
        try:
            with no_longer_than(self._limit_s()):
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
        effects = tuple(sorted((*self._notes.take(), *disguise.mails())))
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
        for name, place in copied.strays(self._job.original):
            what = f"module {name} was imported from {place}, not from the copy"
            raise Stopped(Failure("original tree", what))


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


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
