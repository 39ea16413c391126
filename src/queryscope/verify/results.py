"""The file of a replay's results, read while it grows."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING

from queryscope.verify.job import Failure, Reply, reply_from_plain

if TYPE_CHECKING:
    from pathlib import Path


class Results:
    """The file of a child's results, read while it grows.

    Attributes:
        replies: By step; those that have come.
        booted: Whether the application is there to be asked.
        done: Whether the child has come to the end.
    """

    def __init__(self, file: Path) -> None:
        """Say where it will be."""
        self.replies: dict[int, Reply] = {}
        self._file = file
        self._read = 0
        self._failure: Failure | None = None
        self.booted = self.done = False

    def more(self) -> list[Reply] | None:
        """Return the replies that have come since it was last asked; None where nothing has."""
        try:
            with self._file.open("rb") as stream:
                stream.seek(self._read)
                data = stream.read()
        except OSError:
            return None
        # A line that is not whole is being written, or was cut off when the process ended.
        whole = data[: data.rfind(b"\n") + 1]
        if not whole:
            return None
        self._read += len(whole)
        found = []
        for line in whole.splitlines():
            plain = json.loads(line)
            if "step" in plain:
                reply = reply_from_plain(plain)
                self.replies[reply.step] = reply
                found.append(reply)
            elif "failed" in plain:
                self._failure = Failure(plain["failed"], plain["error"])
            self.booted = self.booted or "booted" in plain
            self.done = self.done or "done" in plain
        return found

    def trouble(
        self, code: int, *, late: bool, stopped: bool, error: str
    ) -> tuple[Failure | None, str]:
        """Return why it did not come to the end, and how it ended; None and ``""`` when it did.

        Args:
            code: What the process returned.
            late: Whether it was ended because it took too long.
            stopped: Whether it was ended because enough had been seen.
            error: The first error that it printed.
        """
        if stopped or self.done:
            return self._failure, ""
        ended = ""
        if not late and self._failure is None:
            how = f"exit code {code}"
            if code < 0:
                how = f"signal {-code} ({signal.Signals(-code).name})"
            ended = f"{how}: {error}".removesuffix(": ")
        if not self.booted and self._failure is None:
            return Failure("boot", "time-out" if late else ended or error), ended
        return self._failure, ended
