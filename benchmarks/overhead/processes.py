"""Measured processes, driven from outside: one request of each in turn, in shuffled order."""

from __future__ import annotations

import json
import os
import random
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

HERE = Path(__file__).parent
CPU, WALL, OFF = 0, 1, 2
"""Places in what a process answers for one request."""
WARMING = 2
"""Rounds that only warm caches."""

Samples = dict[str, list[list[int]]]
"""Of each variant, a ``[cpu_ns, wall_ns, off_ns]`` a round."""


class ProcessError(Exception):
    """A measured process ended; the text is its last word."""


class Process:
    """A process of ``serve.py``."""

    def __init__(self, python: Path, subject: str, folder: Path, layout: int) -> None:
        """Start it and wait until it is ready.

        Args:
            python: The interpreter.
            subject: Its name in ``subjects.MAKERS``.
            folder: Where its databases lie.
            layout: Shifts where its objects lie, see ``serve.shift``.

        Raises:
            ProcessError: It could not be started.
        """
        self._errors = (folder / f"{subject}.log").open("w+", encoding="utf-8")
        self._process = subprocess.Popen(
            [python, HERE / "serve.py", subject, folder, str(layout)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            # Equal hashes in all processes: else dicts differ, and with them times, by chance.
            env={**os.environ, "PYTHONHASHSEED": "1"},
            cwd=folder,
        )
        self._answer()

    def ask(self, **command: Any) -> Any:
        """Send a command and return the answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def close(self) -> None:
        """End the process."""
        self._process.communicate()
        self._errors.close()

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._errors.flush()
            self._errors.seek(0)
            words = self._errors.read().strip().splitlines() or ["it ended without a word"]
            self.close()
            raise ProcessError(words[-1][:300])
        return json.loads(line)


@contextmanager
def started(python: Path, subject: str, folder: Path, layout: int = 0) -> Iterator[Process]:
    """Run a process for the length of a block."""
    process = Process(python, subject, folder, layout)
    try:
        yield process
    finally:
        process.close()


def paired(process: Process, path: str, rounds: int) -> Samples:
    """Measure bare, bare again and recorded in one process, in each round in shuffled order."""
    names = ["bare", "bare2", "recorded"]
    found: Samples = {name: [] for name in names}
    for number in range(WARMING + rounds):
        order = random.sample(names, len(names))
        answer = process.ask(do="round", path=path, order=order)
        if number >= WARMING:
            for name in names:
                found[name].append(answer[name])
    return found


def lockstep(processes: Mapping[str, tuple[Process, str]], path: str, rounds: int) -> Samples:
    """Measure one variant of each process in turn, in each round in shuffled order.

    Each process answers twice and the second answer counts: the first finds the caches of the
    processor full of another process's data.
    """
    names = list(processes)
    found: Samples = {name: [] for name in names}
    for number in range(WARMING + rounds):
        for name in random.sample(names, len(names)):
            process, variant = processes[name]
            answer = process.ask(do="round", path=path, order=[variant, variant])
            if number >= WARMING:
                found[name].append(answer[variant])
    return found
