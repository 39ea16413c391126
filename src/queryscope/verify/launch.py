"""A replay in a child process: started, watched, ended with all it left behind, read."""

from __future__ import annotations

import ctypes
import json
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
from queryscope.verify.job import Failure, Job, Reply, reply_from_plain

if TYPE_CHECKING:
    from collections.abc import Mapping

POLL_S = 0.02
STOP_S = 5.0
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
    """

    replies: Mapping[int, Reply]
    failure: Failure | None
    hung: int | None
    ended: str
    duration_s: float
    log: str

    @property
    def complete(self) -> bool:
        """Whether every step has its result."""
        return self.failure is None and self.hung is None and not self.ended


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


def replay(
    job: Job,
    wanted: Mapping[str, str],
    *,
    name: str,
    hash_seed: int,
    time_limit_s: float,
    step_limit_s: float,
) -> Run:
    """Run a job in a child of its own and return what came of it.

    Args:
        job: What to do; its folder takes the child's files.
        wanted: Environment variables that the application needs.
        name: Of the replay, unique in the run: its files are called so.
        hash_seed: Decides the order of sets.
        time_limit_s: Longest time of all.
        step_limit_s: Longest time without a new result.
    """
    folder = Path(job.folder)
    order = folder / f"{name}.job"
    order.write_text(job.to_json(), encoding="utf-8")
    log = folder / f"{name}.log"
    results = Path(job.results)
    variables = environment(folder, wanted, hash_seed=hash_seed)
    variables[PARENT_VARIABLE] = str(os.getpid())
    variables["PYTHONPATH"] = str(Path(queryscope.__file__).parents[1])  # the same as ours
    started = time.monotonic()
    with log.open("wb") as output, ended_with_all(folder) as children:
        process = subprocess.Popen(  # noqa: S603 - our own interpreter, our own module
            [sys.executable, "-P", "-m", "queryscope.verify.child", str(order)],
            cwd=folder,
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        children.append(process)
        late = _watched(process, results, started, time_limit_s, step_limit_s)
    text = log.read_text(encoding="utf-8", errors="replace")
    run = _read(results, process.returncode, late=late, log=text)
    order.unlink()
    return Run(
        replies=run[0],
        failure=run[1],
        hung=_open_step(job, run[0]) if late else None,
        ended=run[2],
        duration_s=time.monotonic() - started,
        log=text,
    )


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


def _watched(
    process: subprocess.Popen[bytes],
    results: Path,
    started: float,
    time_limit_s: float,
    step_limit_s: float,
) -> bool:
    """Wait for the end; True when it took too long, all in all or without a new result."""
    size = -1
    moved = started
    while True:
        with suppress(subprocess.TimeoutExpired):
            process.wait(POLL_S)
            return False
        now = time.monotonic()
        with suppress(OSError):
            if (found := results.stat().st_size) != size:
                size, moved = found, now
        if now - started > time_limit_s or now - moved > step_limit_s:
            return True


def _read(
    results: Path, code: int, *, late: bool, log: str
) -> tuple[dict[int, Reply], Failure | None, str]:
    replies: dict[int, Reply] = {}
    failure: Failure | None = None
    booted = done = False
    lines = results.read_text(encoding="utf-8").splitlines() if results.exists() else []
    for line in lines:
        try:
            plain = json.loads(line)
        except ValueError:
            break  # cut off when the process ended
        if "step" in plain:
            reply = reply_from_plain(plain)
            replies[reply.step] = reply
        elif "failed" in plain:
            failure = Failure(plain["failed"], plain["error"])
        booted = booted or "booted" in plain
        done = done or "done" in plain
    ended = ""
    if not done and not late and failure is None:
        how = f"signal {-code} ({signal.Signals(-code).name})" if code < 0 else f"exit code {code}"
        ended = f"{how}: {first_error_of(log)}".removesuffix(": ")
    if not booted and failure is None:
        failure = Failure("boot", "time-out" if late else ended or first_error_of(log))
    return replies, failure, ended


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
