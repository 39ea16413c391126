"""What is judged and what comes out: Proposal, Edit, Check, Counterexample, Verdict, Constraint."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from queryscope.verify.contract import Answer, Difference, Request

Outcome = Literal["proved", "refused", "inconclusive"]
Machinery = Literal["completed", "crashed", "timed out", "not started"]


def digest(source: bytes) -> str:
    """Return the hash by which an edit knows the source it was made for."""
    return hashlib.sha256(source).hexdigest()


class Edit(NamedTuple):
    """A change in one file, pinned to the source it was made for.

    Attributes:
        path: Relative to the project's folder, with slashes.
        old: The exact text that is replaced; None where the file is made new.
        new: What stands there afterwards; None where the file is deleted.
        line: Where ``old`` begins in the source, from 1: it may occur more than once.
        sha256: ``digest`` of the whole file before; ``""`` for a new one.
    """

    path: str
    old: str | None
    new: str | None
    line: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A change as data. Making one writes nothing.

    Attributes:
        title: One line for a person.
        edits: In the order of path and line; they do not overlap.
        origin: Who made it: ``patch change.diff``, a rule's name, a model's.
    """

    title: str
    edits: tuple[Edit, ...]
    origin: str

    @property
    def key(self) -> str:
        """A digest of the change; the ledger knows an attempt by it."""
        return digest(repr(self.edits).encode())[:16]

    @property
    def paths(self) -> tuple[str, ...]:
        """The files that it touches, each once."""
        return tuple(dict.fromkeys(edit.path for edit in self.edits))

    def edits_of(self, path: str) -> tuple[Edit, ...]:
        """Return the edits of one file, in the order of their lines."""
        return tuple(
            sorted((one for one in self.edits if one.path == path), key=attrgetter("line"))
        )


class Cost(NamedTuple):
    """What answering cost, summed over requests.

    Attributes:
        statements: Statements sent.
        rows: Rows fetched or written.
        sessions: ORM sessions that used a connection; on Django connections in use.
        duration_ns: Wall time, the least of the runs.
        held_ns: Connection time: how long connections were out of their pools, or in use.
        requests: How many requests.
        loops: Findings QS101 to QS104, of recorded requests on the data as it is.
        lazy_loads: Statements that loaded a relation or a column of one row, likewise.
    """

    statements: int = 0
    rows: int = 0
    sessions: int = 0
    duration_ns: int = 0
    held_ns: int = 0
    requests: int = 0
    loops: int = 0
    lazy_loads: int = 0

    def plus(self, other: Cost) -> Cost:
        """Return the sum of two costs."""
        return Cost(*(mine + its for mine, its in zip(self, other, strict=True)))


class Check(NamedTuple):
    """One step of a verification and what it found out.

    Attributes:
        name: Such as ``applies``, ``compiles``, ``boots``, ``answers on clone 'nulls'``, ``cost``.
        passed: None where it could not be made.
        detail: With the numbers, one sentence without a full stop.
    """

    name: str
    passed: bool | None
    detail: str


class Counterexample(NamedTuple):
    """The smallest request found whose answer the patch changes.

    Attributes:
        request: The request.
        clone: The name of the data it was asked on, and what was changed there.
        expected: What the original answered.
        got: What the patched code answered.
        differences: Where they differ, the first ones.
    """

    request: Request
    clone: str
    expected: Answer
    got: Answer
    differences: tuple[Difference, ...]


class Constraint(NamedTuple):
    """What a refused Proposal taught; later attempts obey it.

    Attributes:
        kind: Such as ``answer``, ``cost``, ``boot``, ``policy``, ``no effect``.
        subject: What it is about: an endpoint, a path of the answer, a file.
        sentence: For a person and for who writes the next attempt.
    """

    kind: str
    subject: str
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the verifier found out about one Proposal. Machinery and outcome are two things.

    Attributes:
        outcome: ``proved`` means: on the inputs and clones that the checks list.
        machinery: Whether the verifier itself could do its work.
        reason: One sentence.
        checks: Every step with its numbers, in order.
        before: Endpoint to what its recorded requests cost the original code.
        after: The same of the patched code.
        counterexample: Of a refused one, where an answer changed.
        constraint: What a refusal taught.
    """

    outcome: Outcome
    machinery: Machinery
    reason: str
    checks: tuple[Check, ...] = ()
    before: tuple[tuple[str, Cost], ...] = ()
    after: tuple[tuple[str, Cost], ...] = ()
    counterexample: Counterexample | None = None
    constraint: Constraint | None = None
