"""The decision table of repetition: which code speaks of what was repeated, and how surely.

QS101 to QS107 are rows of ``TABLE``: the first row whose question is answered yes owns a repeat,
and its proof says whether it is worth a word. What is never flagged is decided here, once; a
detector's own file words its findings.
"""

from __future__ import annotations

import re
from pathlib import PurePath
from typing import TYPE_CHECKING, NamedTuple

from queryscope.detectors._advice import own_step
from queryscope.detectors.finding import Cost, Finding
from queryscope.detectors.registry import Threshold
from queryscope.trace.endpoint import endpoint_of
from queryscope.trace.events import Frame, Origin

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from queryscope.detectors.finding import Confidence, Mend, Severity
    from queryscope.detectors.registry import Case
    from queryscope.trace.events import Query
    from queryscope.trace.loops import Loop
    from queryscope.trace.repeat import Repeat
    from queryscope.trace.repeats import Repeats
    from queryscope.trace.site import Site

N_PLUS_ONE_MIN_PARENTS = "n_plus_one_min_parents"
CRITICAL_MIN_COUNT = "critical_min_count"
WRITES_MIN_STATEMENTS = "write_in_loop_min_statements"
DUPLICATES_MIN_STATEMENTS = "duplicates_min_statements"

_ALL: Mapping[str, Threshold] = {
    N_PLUS_ONE_MIN_PARENTS: Threshold(
        {"tests": 2, "development": 3, "production": 5},
        "different parent rows, or different keys looked up, from which a loop is one",
    ),
    CRITICAL_MIN_COUNT: Threshold(10, "statements from which a finding is critical"),
    WRITES_MIN_STATEMENTS: Threshold(5, "single writes from one loop of a Trace"),
    DUPLICATES_MIN_STATEMENTS: Threshold(2, "equal statements with nothing written in between"),
}
SUSPECTED_MIN_QUESTIONS = 5
"""Different keys from which one place is suspected without a loop in the user's source; from
``critical_min_count`` on it is no longer a suspicion."""
ISOLATION_VERBS = frozenset({"refresh", "get_or_create", "update_or_create"})
"""Asking again is what these are for: polling, and creating what may be there."""

_AGGREGATES = frozenset({"count", "exists", "aggregate"})
_ONE_BY_ONE = frozenset(
    {"create", "delete", "get_or_create", "m2m_write", "save", "update_or_create"}
)
_BEYOND = re.compile(r"[<>]=? \?|[<>]=?\(\?\)")
_TEST_FILE = re.compile(r"(^|/)(tests?|testing)/|(^|/)(test_[^/]*|[^/]*_test|tests|conftest)\.py$")
_MIGRATION_FILE = re.compile(r"/(migrations|alembic)/")
_SURENESS: tuple[Confidence, ...] = ("low", "medium", "high")
_SMALL_LIST = 10
"""An IN list that is as long each time and shorter than this may be a fixed set of values."""


def thresholds(*names: str) -> Mapping[str, Threshold]:
    """Return the thresholds of this table by name, for a detector's ``THRESHOLDS``."""
    return {name: _ALL[name] for name in names}


class Verdict(NamedTuple):
    """A repeat that a row of the table owns; of one relation with one mend, all places that ask.

    Attributes:
        repeats: The one with the most statements first.
        confidence: That of the surest.
        instances: Objects that the relation was loaded for, see ``Repeats.instances``.
    """

    repeats: tuple[Repeat, ...]
    confidence: Confidence
    instances: int

    @property
    def repeat(self) -> Repeat:
        """The place that asked most often."""
        return self.repeats[0]

    @property
    def queries(self) -> list[Query]:
        """All statements, in order."""
        found = [query for repeat in self.repeats for query in repeat.queries]
        return sorted(found, key=lambda query: query.number)

    @property
    def parents(self) -> int:
        """Parent rows served: distinct ones, or the objects that stand for them."""
        loads = (query.load for repeat in self.repeats for query in repeat.queries)
        rows = {load.parent for load in loads if load is not None and load.parent is not None}
        return max(len(rows), self.instances)

    @property
    def loop(self) -> Loop | None:
        """The loop in the user's source."""
        return self.repeat.loop


class Row(NamedTuple):
    """One row: a code, what it speaks of, and how sure it is (None: not worth a word)."""

    code: str
    owns: Callable[[Repeat, Repeats], bool]
    proof: Callable[[Repeat, Case], Confidence | None]


# -- what a row speaks of -----------------------------------------------------------------------


def _writes(repeat: Repeat, repeats: Repeats) -> bool:  # noqa: ARG001 - the table's signature
    return repeat.is_write


def _loads_columns(repeat: Repeat, repeats: Repeats) -> bool:  # noqa: ARG001 - as above
    return repeat.load is not None and repeat.load.relation in ("column", "expired")


def _aggregates(repeat: Repeat, repeats: Repeats) -> bool:  # noqa: ARG001 - as above
    return repeat.operation in _AGGREGATES or bool(repeat.queries[0].shape.aggregate)


def _asks_prefetched(repeat: Repeat, repeats: Repeats) -> bool:
    load = repeat.load
    return (
        load is not None
        and not load.batched
        and repeat.operation != "lazy"
        and repeats.prefetched(repeat) is not None
    )


def _loads_relation(repeat: Repeat, repeats: Repeats) -> bool:  # noqa: ARG001 - as above
    return repeat.load is not None


def _looks_up(repeat: Repeat, repeats: Repeats) -> bool:  # noqa: ARG001 - as above
    return repeat.queries[0].shape.kind == "select"


# -- how sure it is -------------------------------------------------------------------------------


def _per_parent(repeat: Repeat, case: Case) -> Confidence | None:
    """Judge by distinct parent rows; the ORM itself said which row each load was for."""
    load = repeat.load
    if load is None:
        return None
    least = case.threshold(N_PLUS_ONE_MIN_PARENTS)
    if load.batched:
        if any(query.load is None or query.load.parents != 1 for query in repeat.queries):
            return None
        # A batch of one row each time; which row it was for, only its parameters tell.
        return "high" if max(repeat.parents, repeat.questions) >= least else None
    if case.repeats.instances(repeat) < least:
        return None
    if load.relation not in ("column", "expired") and case.repeats.is_chain(repeat):
        # No batch could serve it, and ancestors are few: a long walk may want to be recursive.
        return "low" if len(repeat.queries) >= case.threshold(CRITICAL_MIN_COUNT) else None
    if not repeat.site and case.repeats.rows_side_by_side(repeat) < least:
        # Asked by library code alone: only rows that lay side by side make it a loop, or the
        # loop of the user's that loaded them.
        outer = case.repeats.outer(repeat)
        if outer is None or not outer.site:
            return None
    parent = case.repeats.parent(repeat)
    return "high" if parent is None or parent.is_sure else "medium"


def _per_question(repeat: Repeat, case: Case) -> Confidence | None:
    """Judge by different parameters at one place inside a loop of the source."""
    if repeat.questions < case.threshold(N_PLUS_ONE_MIN_PARENTS) or not repeat.site:
        return None
    if not can_be_batched(repeat):
        return None
    if repeat.loop is not None and not repeat.loop.once:
        # "while taken(name): name = another()" cannot know the next name before.
        return None if repeat.loop.kind == "condition" else "medium"
    if repeat.recursive or repeat.questions < SUSPECTED_MIN_QUESTIONS:
        return None
    # A serializer, a table or a resolver calls the user's code for each row: the loop is the
    # library's. Few keys may as well be the fields of one form.
    return "medium" if repeat.questions >= case.threshold(CRITICAL_MIN_COUNT) else "low"


def _per_parent_or_question(repeat: Repeat, case: Case) -> Confidence | None:
    return _per_question(repeat, case) if repeat.load is None else _per_parent(repeat, case)


def _one_by_one(repeat: Repeat, case: Case) -> Confidence | None:
    """Judge writes: only those that a loop of the user's source sends row by row."""
    if len(repeat.queries) < case.threshold(WRITES_MIN_STATEMENTS) or repeat.isolated:
        return None
    if not repeat.site or repeat.loop is None or repeat.loop.once:
        return None
    if not _writes_single_rows(repeat):
        return None
    if is_of_test(case, repeat.loop):
        return None  # the test makes its data
    return "medium"


def _writes_single_rows(repeat: Repeat) -> bool:
    if any(query.many > 1 or query.many < 0 for query in repeat.queries):
        return False
    if repeat.operation in _ONE_BY_ONE:
        return True
    return all(query.rows is None or query.rows <= 1 for query in repeat.queries)


def _is_batch(repeat: Repeat) -> bool:
    """Tell whether the statements ask for many keys at once: chunks of an IN list."""
    lengths = {query.shape.in_list for query in repeat.queries}
    longest = max(lengths)
    if longest <= 1:
        return False
    fixed = len(lengths) == 1 and longest < _SMALL_LIST
    # "status IN (?, ?) AND book_id = ?" asks for one book, with a fixed set beside it.
    return not (fixed and re.search(r"= \?", repeat.queries[0].shape.text))


def _is_paging(repeat: Repeat) -> bool:
    """Tell whether the statements are pages: by OFFSET, or from a key onwards.

    SQLAlchemy writes an OFFSET with every LIMIT on SQLite: one row at most is no page.
    """
    shape = repeat.queries[0].shape
    if not shape.limited or all(query.rows in (0, 1) for query in repeat.queries):
        return False
    return shape.offset or bool(_BEYOND.search(shape.text))


TABLE: tuple[Row, ...] = (
    Row("QS107", _writes, _one_by_one),
    Row("QS104", _loads_columns, _per_parent),
    Row("QS103", _aggregates, _per_parent_or_question),
    Row("QS105", _asks_prefetched, _per_parent),
    Row("QS101", _loads_relation, _per_parent),
    Row("QS102", _looks_up, _per_question),
)


def owner(repeat: Repeat, case: Case) -> Row | None:
    """Return the row of the table that speaks of a repeat."""
    return next((row for row in TABLE if row.owns(repeat, case.repeats)), None)


def can_be_batched(repeat: Repeat) -> bool:
    """Tell whether look-ups of one key each could have been one: no locks, pages or chunks."""
    if any(query.shape.locks for query in repeat.queries):
        return False  # rows are locked one by one on purpose, in order
    return not (_is_batch(repeat) or _is_paging(repeat))


def verdicts(case: Case, code: str) -> Iterator[Verdict]:
    """Yield what the row of ``code`` has to say about a Trace.

    Places that ask for the same relation of rows from the same statement share one mend, and one
    verdict. Each has to be proved by itself.
    """
    found: dict[object, list[tuple[Repeat, Confidence]]] = {}
    for repeat in case.repeats.sites:
        row = owner(repeat, case)
        if row is None or row.code != code or in_migration(repeat.site):
            continue
        confidence = row.proof(repeat, case)
        if confidence is not None:
            found.setdefault(_mended_as_one(repeat, case), []).append((repeat, confidence))
    for group in found.values():
        group.sort(key=lambda item: -len(item[0].queries))
        surest = max((item[1] for item in group), key=_SURENESS.index)
        repeats = tuple(item[0] for item in group)
        yield Verdict(repeats, surest, max(map(case.repeats.instances, repeats)))


def _mended_as_one(repeat: Repeat, case: Case) -> object:
    load = repeat.load
    if load is None or repeat.is_write:
        # A loop in a helper is one loop, whoever calls the helper.
        loop = repeat.loop
        where = (loop.at, repeat.site[0]) if loop is not None and repeat.site else repeat.site
        return where, repeat.operation, "" if repeat.is_write else repeat.queries[0].shape.text
    parent = case.repeats.parent(repeat)
    outer = case.repeats.outer(repeat)
    rows: object = repeat.site
    if outer is not None:
        made = outer.queries[0].created
        rows = (outer.name, made) if made is not None else outer.number
    elif parent is not None:
        # One line that selects is one line to mend, however often it ran.
        line = parent.query.created or parent.query.origin.steps
        rows = (parent.query.model, line) if line else (parent.query.number,)
    return load.relation, load.owner, load.attribute, repeat.narrowed, rows


# -- the Finding -------------------------------------------------------------------------------


def severity(case: Case, count: int, confidence: Confidence) -> Severity:
    """Return how grave so many statements are; what is only suspected is never a warning."""
    if confidence == "low":
        return "info"
    return "critical" if count >= case.threshold(CRITICAL_MIN_COUNT) else "warning"


def finding(
    case: Case,
    queries: Iterable[Query],
    *,
    code: str,
    name: str,
    confidence: Confidence,
    message: str,
    saved: int,
    mend: Mend | None,
    subject: str,
    evidence: Mapping[str, str | int | float],
    origin: Origin | None = None,
) -> Finding:
    """Return a Finding about statements, with their cost.

    Args:
        case: The Trace and the thresholds.
        queries: The statements it explains, in order.
        code: Catalogue code.
        name: Catalogue name.
        confidence: How sure the table is.
        message: One sentence.
        saved: How many of the statements the mended code would not send.
        mend: What to edit.
        subject: The relation or the shape.
        evidence: What carries the verdict.
        origin: Where it ran; the first statement's origin if left out.
    """
    found = tuple(queries)
    return Finding(
        code=code,
        name=name,
        severity=severity(case, len(found), confidence),
        confidence=confidence,
        message=message,
        count=len(found),
        cost=Cost(
            statements=len(found),
            avoidable=saved,
            rows=sum(query.rows or 0 for query in found),
            duration_ns=sum(query.duration_ns for query in found),
        ),
        origin=_nearest(case, found[0].origin if origin is None else origin),
        mend=mend,
        queries=tuple(query.number for query in found),
        subject=subject,
        evidence=evidence,
    )


def _nearest(case: Case, origin: Origin) -> Origin:
    """Return an origin that names something of the user's: where only libraries asked, who answers.

    A library's tag comes first then, as it did before.
    """
    if own_step(origin.steps) is not None:
        return origin
    endpoint = endpoint_of(case.trace)
    return origin if endpoint is None else Origin((*origin.steps, endpoint))


def is_of_test(case: Case, loop: Loop) -> bool:
    """Tell whether a loop is a test's own: it makes data, or asks for several things in turn."""
    at = loop.at
    return (
        case.trace.kind == "test" and isinstance(at, Frame) and bool(_TEST_FILE.search(_path(at)))
    )


def in_migration(site: Site) -> bool:
    """Tell whether a place lies in a data migration: it runs once."""
    return any(isinstance(step, Frame) and _MIGRATION_FILE.search(_path(step)) for step in site)


def _path(frame: Frame) -> str:
    return PurePath(frame.file).as_posix()
