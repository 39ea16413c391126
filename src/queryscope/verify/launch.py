"""A replay in a child process: started, watched, ended with all it left behind, read."""

from __future__ import annotations

import ctypes
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import queryscope
from queryscope.verify.child import PARENT_VARIABLE
from queryscope.verify.job import STEP_FACTOR, STEP_LIMIT_S
from queryscope.verify.results import Results

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from queryscope.verify.job import Failure, Job, Reply

POLL_S = 0.02
BOOT_LIMIT_S = 60.0
"""Seconds until an application must be there to be asked."""
PR_SET_CHILD_SUBREAPER = 36
_ERROR = re.compile(
    r"^(Traceback \(most recent call last\):|\S*(Error|Exception)\b.*|.*\b(ERROR|CRITICAL)\b.*)"
)
_RAISED = re.compile(r"^[A-Za-z_][\w.]*(Error|Exception|Warning|Exit|Interrupt)\b.*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What one replay gave.

    Attributes:
        replies: By step; those that came before it ended.
        failure: Why it did not come to the end, None if it did.
        hung: The step that took too long, None if none did.
        ended: How the process ended: ``exit code 1``, ``signal 9``; ``""`` when all was well.
        duration_s: From the start to the end.
        log: What it printed.
        stopped: Whether it was ended because enough had been seen.
    """

    replies: Mapping[int, Reply]
    failure: Failure | None
    hung: int | None
    ended: str
    duration_s: float
    log: str
    stopped: bool = False

    @property
    def slowest_allowed_s(self) -> float:
        """How long other code may take for one of these requests."""
        slowest = max((reply.cost.duration_ns for reply in self.replies.values()), default=0)
        return max(STEP_LIMIT_S, STEP_FACTOR * slowest / 1e9)

    @property
    def complete(self) -> bool:
        """Whether every step has its result."""
        return self.failure is None and self.hung is None and not self.ended and not self.stopped


def environment(folder: Path, wanted: Mapping[str, str], *, hash_seed: int) -> dict[str, str]:
    """Return an environment that holds what a program needs and nothing of the user's."""
    home = folder / "home"
    home.mkdir(exist_ok=True)
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(home),
        "TMPDIR": str(home),
        "LANG": "C.UTF-8",
        "TZ": os.environ.get("TZ", "UTC"),
        "PYTHONHASHSEED": str(hash_seed),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
    } | dict(wanted)


class Replay:
    """A job in a child of its own.

    Attributes:
        over: Whether the child has ended, or was ended.
    """

    def __init__(
        self,
        job: Job,
        wanted: Mapping[str, str],
        *,
        name: str,
        hash_seed: int,
        time_limit_s: float,
        step_limit_s: float,
    ) -> None:
        """Prepare it.

        Args:
            job: What to do; its folder takes the child's files.
            wanted: Environment variables that the application needs.
            name: Of the replay, unique in the run: its files are called so.
            hash_seed: Decides the order of sets.
            time_limit_s: Longest time of all.
            step_limit_s: Longest time without a new result.
        """
        self.over = False
        self._job = job
        self._limits_s = time_limit_s, step_limit_s
        folder = Path(job.folder)
        self._order, self._log = folder / f"{name}.job", folder / f"{name}.log"
        self._variables = environment(folder, wanted, hash_seed=hash_seed)
        self._results = Results(Path(job.results))
        self._late = self._stopped = False

    def start(self) -> subprocess.Popen[bytes]:
        """Start the child and return it."""
        self._order.write_text(self._job.to_json(), encoding="utf-8")
        Path(self._job.results).unlink(missing_ok=True)
        ours = str(Path(queryscope.__file__).parents[1])  # the same as of this process
        told = {PARENT_VARIABLE: str(os.getpid()), "PYTHONPATH": ours}
        self._started = self._moved = time.monotonic()
        with self._log.open("wb") as output:
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter, our own module
                [sys.executable, "-P", "-m", "queryscope.verify.child", str(self._order)],
                cwd=self._job.folder,
                env=self._variables | told,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return self._process

    def look(self) -> list[Reply]:
        """Return what was answered since the last look; one that takes too long is ended."""
        ended = self._process.poll() is not None
        found = self._results.more()
        now = time.monotonic()
        if found is not None:
            self._moved = now
        self.over = ended
        whole_s, step_s = self._limits_s
        if not self._results.booted:  # imports take long on a busy machine, whatever answers take
            step_s = max(step_s, BOOT_LIMIT_S)
        if not ended and (now - self._started > whole_s or now - self._moved > step_s):
            self._late = True
            self._end()
        return found or []

    @property
    def broken(self) -> bool:
        """Whether it ended before its job was done, and not because enough had been seen."""
        return self.over and not self._stopped and not self._results.done

    def stop(self) -> None:
        """End it: enough has been seen."""
        if not self.over:
            self._stopped = True
            self._end()

    def run(self) -> Run:
        """Return what came of it, once it is over."""
        self._results.more()
        text = self._log.read_text(encoding="utf-8", errors="replace")
        failure, ended = self._results.trouble(
            self._process.returncode,
            late=self._late,
            stopped=self._stopped,
            error=first_error_of(text),
        )
        self._order.unlink()
        return Run(
            replies=self._results.replies,
            failure=failure,
            hung=_open_step(self._job, self._results.replies) if self._late else None,
            ended=ended,
            duration_s=time.monotonic() - self._started,
            log=text,
            stopped=self._stopped,
        )

    def _end(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self.over = True


def together(
    replays: Sequence[Replay], folder: Path, enough: Callable[[int, Reply], bool] | None = None
) -> list[Run]:
    """Run replays side by side and return what came of each; one that breaks ends all.

    Args:
        replays: Each with files and data of its own.
        folder: Of the run.
        enough: Told the index of a replay and each of its replies; true to end that replay.
    """
    with ended_with_all(folder) as children:
        for replay in replays:
            children.append(replay.start())
        while not all(replay.over for replay in replays):
            for number, replay in enumerate(replays):
                if replay.over:
                    continue
                for reply in replay.look():
                    if enough is not None and enough(number, reply):
                        replay.stop()
                        break
            if any(replay.broken for replay in replays):
                for replay in replays:
                    replay.stop()
            time.sleep(POLL_S)
    return [replay.run() for replay in replays]


class ended_with_all:  # noqa: N801 - reads as what it does: with ended_with_all() as children
    """Ends processes with their sessions, and what left those, when the block is left.

    Args:
        folder: Of the run. An orphan that works in it, or has it in its environment, is ours.
    """

    def __init__(self, folder: Path) -> None:
        """Take the folder."""
        self._folder = folder

    def __enter__(self) -> list[subprocess.Popen[bytes]]:
        """Adopt whatever becomes an orphan from now on; Linux only."""
        if sys.platform.startswith("linux"):
            ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
        self._started: list[subprocess.Popen[bytes]] = []
        return self._started

    def __exit__(self, *_error: object) -> None:
        """End them."""
        for process in self._started:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        # A grandchild with a session of its own has become our child, and so will its children.
        while orphans := [pid for pid in _children() if _works_in(pid, self._folder)]:
            for pid in orphans:
                with suppress(ProcessLookupError, ChildProcessError):
                    os.kill(pid, signal.SIGKILL)
                    os.waitpid(pid, 0)
        if sys.platform.startswith("linux"):
            ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 0)


def _works_in(pid: int, folder: Path) -> bool:
    with suppress(OSError):
        process = Path(f"/proc/{pid}")
        here = os.fsencode(folder)
        return (
            here in (process / "environ").read_bytes()
            or folder in (process / "cwd").readlink().parents
        )
    return False


def _open_step(job: Job, replies: Mapping[int, Reply]) -> int | None:
    """Return the question that was never answered."""
    asked = (number for number, step in enumerate(job.steps) if step.ask is not None)
    return next((number for number in asked if number not in replies), None)


def _children() -> list[int]:
    found: list[int] = []
    for file in Path("/proc/self/task").glob("*/children"):
        with suppress(OSError):
            found += map(int, file.read_text(encoding="ascii").split())
    return found


def first_error_of(log: str) -> str:
    """Return the FIRST error that a log tells of: what stands below often follows from it."""
    lines = log.splitlines()
    at = next((number for number, line in enumerate(lines) if _ERROR.match(line)), None)
    if at is None:
        return ""
    # What a server logs above a traceback says that something failed, the traceback what.
    started = next((one for one in (at, at + 1) if _is_traceback(lines[one : one + 1])), None)
    if started is None:
        return lines[at].strip()
    ended = next((one for one in range(started, len(lines)) if _RAISED.match(lines[one])), None)
    if ended is None:
        return lines[started]
    places = [line.strip() for line in lines[started:ended] if line.startswith("  File ")]
    return f"{lines[ended]} ({places[-1]})" if places else lines[ended]


def _is_traceback(lines: list[str]) -> bool:
    return bool(lines) and lines[0].startswith("Traceback")
