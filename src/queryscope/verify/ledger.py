"""The ledger: every attempt, its Verdict and what it taught, one JSON line each, on disk."""

from __future__ import annotations

import datetime as dt
import json
import os
from typing import TYPE_CHECKING, Any, NamedTuple

from queryscope.errors import StoreError
from queryscope.verify import verdicts

if TYPE_CHECKING:
    from pathlib import Path

    from queryscope.verify.proposal import Constraint, Proposal, Verdict

FILE = "ledger.jsonl"
FORMAT = 1


class Attempt(NamedTuple):
    """What was judged: the same attempt has the same Verdict.

    Attributes:
        proposal: ``Proposal.key``.
        tree: Digest of the source it was judged on.
        data: Digest of the data.
        requests: Digest of the recorded requests.
    """

    proposal: str
    tree: str
    data: str
    requests: str


class Ledger:
    """A file to which lines are added, never changed.

    A line that was cut off by a kill is passed over: its attempt is made again.

    Args:
        path: The file; it and its folder are made when first written.
    """

    def __init__(self, path: Path) -> None:
        """Open nothing yet."""
        self.path = path

    def begin(self, attempt: Attempt, proposal: Proposal) -> None:
        """Note that an attempt is under way."""
        about = {"title": proposal.title, "origin": proposal.origin}
        self._add({"state": "begun", **attempt._asdict(), **about})

    def end(self, attempt: Attempt, verdict: Verdict) -> None:
        """Note a Verdict."""
        plain = verdicts.to_plain(verdict)
        self._add({"state": "judged", **attempt._asdict(), "verdict": plain})

    def verdict(self, attempt: Attempt) -> Verdict | None:
        """Return the last Verdict of an attempt that came to its end, None if there is none."""
        found = None
        for line in self._lines():
            if line.get("state") == "judged" and all(
                line.get(name) == value for name, value in attempt._asdict().items()
            ):
                found = verdicts.from_plain(line["verdict"])
        return found if found is None or found.machinery == "completed" else None

    def constraints(self) -> dict[Constraint, int]:
        """Return what refusals taught so far, and how often each was taught."""
        found: dict[Constraint, int] = {}
        for line in self._lines():
            if line.get("state") == "judged":
                constraint = verdicts.from_plain(line["verdict"]).constraint
                if constraint is not None:
                    found[constraint] = found.get(constraint, 0) + 1
        return found

    def _add(self, line: dict[str, Any]) -> None:
        now = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
        text = json.dumps({"ledger": FORMAT, "at": now, **line}, ensure_ascii=True)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a+b") as file:
                # The line before may have been cut off.
                if file.tell() and not _ends_whole(file):
                    text = "\n" + text
                file.write(text.encode("ascii") + b"\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise StoreError(
                f"The ledger {self.path} cannot be written: {error.strerror}."
            ) from error

    def _lines(self) -> list[dict[str, Any]]:
        try:
            text = self.path.read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return []
        except OSError as error:
            raise StoreError(f"The ledger {self.path} cannot be read: {error.strerror}.") from error
        found = []
        for line in text.splitlines():
            try:
                plain = json.loads(line)
            except ValueError:
                continue
            if isinstance(plain, dict) and plain.get("ledger") == FORMAT:
                found.append(plain)
        return found


def _ends_whole(file: Any) -> bool:
    file.seek(-1, os.SEEK_END)
    whole: bool = file.read(1) == b"\n"
    return whole
