"""The original's two runs, kept for the next patch: what they follow from, and as values."""

from __future__ import annotations

import datetime as dt
import json
import os
import sys
from importlib import metadata
from typing import TYPE_CHECKING, Any

import queryscope
from queryscope.verify.job import reply_from_plain, reply_to_line
from queryscope.verify.kept import key_of
from queryscope.verify.launch import Run

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from queryscope.verify.contract import Request
    from queryscope.verify.kept import Kept
    from queryscope.verify.parts import Clone, Source
    from queryscope.verify.plan import Plan
    from queryscope.verify.project import Project


class Baselines:
    """What is kept of one project's original source.

    A baseline of another day is none: answers say what day it is.

    Args:
        kept: Where it is kept.
        project: The user's project.
        tree_sha256: Digest of its source.
    """

    def __init__(self, kept: Kept, project: Project, tree_sha256: str) -> None:
        """Say what everything follows from, but for the data and the questions."""
        self._kept = kept
        settings = [
            (name, sorted(value.items()) if isinstance(value, dict) else str(value))
            for name in ("app", "host", "database", "database_variable", "environment", "actors",
                         "seed", "copy", "constant_tables", "memory_limit_mib")
            for value in (getattr(project, name),)
        ]  # fmt: skip
        packages = sorted({(one.name, one.version) for one in metadata.distributions()})
        self._facts = (
            queryscope.__version__,
            sys.version,
            packages,
            os.environ.get("TZ"),
            dt.datetime.now().astimezone().date().isoformat(),
            dt.datetime.now(dt.UTC).date().isoformat(),
            settings,
            tree_sha256,
        )

    def healed(
        self, source: Source, recorded: Mapping[str, Sequence[Request]], clones: Sequence[Clone]
    ) -> Healed:
        """Return where it is kept what was healed of clones, before they were."""
        asked = [(endpoint, _keys(ones)) for endpoint, ones in recorded.items()]
        return Healed(self._kept, key_of("healed", self._facts, asked, _prints(source, clones)))

    def runs(self, source: Source, plan: Plan) -> Runs:
        """Return where the two runs of the original over a plan are kept."""
        asked = _keys(plan.requests), plan.endpoints, [tuple(step) for step in plan.steps]
        return Runs(self._kept, key_of("runs", self._facts, asked, _prints(source, plan.clones)))


class Healed:
    """Clones to the tables of each that are put back, as they were found out once."""

    def __init__(self, kept: Kept, key: str) -> None:
        """Say where."""
        self._kept, self._key = kept, key

    def read(self) -> dict[str, list[str]] | None:
        """Return it, None where it is not known yet."""
        found = self._kept.read(self._key)
        return found if isinstance(found, dict) else None

    def write(self, healed: Mapping[str, Sequence[str]]) -> None:
        """Keep it."""
        self._kept.write(self._key, healed)


class Runs:
    """Both complete runs of one side over one plan."""

    def __init__(self, kept: Kept, key: str) -> None:
        """Say where."""
        self._kept, self._key = kept, key

    def read(self) -> tuple[Run, Run] | None:
        """Return them, None where they are not known yet."""
        found = self._kept.read(self._key)
        if not isinstance(found, list):
            return None
        first, second = map(_run, found)
        return first, second

    def write(self, runs: Iterable[Run]) -> None:
        """Keep them."""
        plain = [[json.loads(reply_to_line(one)) for one in run.replies.values()] for run in runs]
        self._kept.write(self._key, plain)

    def forget(self) -> None:
        """Let them be made anew: the original answers otherwise by now."""
        self._kept.forget(self._key)


def _run(plain: list[dict[str, Any]]) -> Run:
    replies = {one.step: one for one in map(reply_from_plain, plain)}
    return Run(replies=replies, failure=None, hung=None, ended="", duration_s=0.0, log="")


def _keys(requests: Iterable[Request]) -> list[str]:
    return [request.key for request in requests]


def _prints(source: Source, clones: Iterable[Clone]) -> list[tuple[object, ...]]:
    """Return what is on each clone; data that several share is looked at once."""
    known: dict[str, str] = {}
    for clone in clones:
        if clone.url not in known:
            known[clone.url] = source.fingerprint(clone)
    return [(clone.name, clone.changed, clone.at, known[clone.url]) for clone in clones]
