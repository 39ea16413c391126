"""The data under a replayed application: clones put in place, what was written told."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING

from queryscope.verify.project import sqlite_file

if TYPE_CHECKING:
    from queryscope.verify.confine import Fence
    from queryscope.verify.contract import Pairs
    from queryscope.verify.job import Job
    from queryscope.verify.parts import Source


class Dataset:
    """What the application works on: clones are loaded, and it tells what was written.

    Args:
        job: Names the working copy and the clones.
        fence: Lets pass what is done to them.
    """

    def __init__(self, job: Job, fence: Fence) -> None:
        """Connect to a SQLite file beside the application; nothing is loaded yet."""
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
