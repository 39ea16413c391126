"""The decision table of repetition: which code speaks of what was repeated, and how surely.

QS101 to QS107 are rows of ``TABLE``: the first row whose question is answered yes owns a repeat,
and its proof says whether it is worth a word. QS201 and QS202 share ``asked_again``. What is
never flagged is decided here, once; a detector's own file words its findings.
"""

from __future__ import annotations

import re
from pathlib import PurePath
from typing import TYPE_CHECKING, Literal, NamedTuple

from queryscope.detectors._advice import own_step
from queryscope.detectors._openers import place
from queryscope.detectors.finding import Cost, Finding
from queryscope.detectors.registry import Threshold
from queryscope.trace.events import Frame

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from queryscope.detectors.finding import Confidence, Mend, Severity
    from queryscope.detectors.registry import Case
    from queryscope.trace.events import Origin, Query, TemplateNode
    from queryscope.trace.repeats import Repeat, Repeats, Site
    from queryscope.trace.source import Loop

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
_VOLATILE = re.compile(
    r"\b(RAND|RANDOM|NEXTVAL|SETVAL|UUID|GEN_RANDOM_UUID|PG_\w*LOCK\w*)\(", re.IGNORECASE
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


def _loads_columns(repeat: Repeat, repeats: Repeats) -> bool:  # noqa: ARG001
    return repeat.load is not None and repeat.load.relation in ("column", "expired")


def _aggregates(repeat: Repeat, repeats: Repeats) -> bool:  # noqa: ARG001
    return repeat.operation in _AGGREGATES or bool(repeat.queries[0].shape.aggregate)


def _asks_prefetched(repeat: Repeat, repeats: Repeats) -> bool:
    load = repeat.load
    return (
        load is not None
        and not load.batched
        and repeat.operation != "lazy"
        and repeats.prefetched(repeat) is not None
    )


def _loads_relation(repeat: Repeat, repeats: Repeats) -> bool:  # noqa: ARG001
    return repeat.load is not None


def _looks_up(repeat: Repeat, repeats: Repeats) -> bool:  # noqa: ARG001
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
        return None
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
    if any(query.shape.locks for query in repeat.queries):
        return None  # rows are locked one by one on purpose, in order
    if _is_batch(repeat) or _is_paging(repeat):
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
    at = repeat.loop.at
    if case.trace.kind == "test" and isinstance(at, Frame) and _TEST_FILE.search(_path(at)):
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


def verdicts(case: Case, code: str) -> Iterator[Verdict]:
    """Yield what the row of ``code`` has to say about a Trace.

    Places that ask for the same relation of rows from the same statement share one mend, and one
    verdict. Each has to be proved by itself.
    """
    found: dict[object, list[tuple[Repeat, Confidence]]] = {}
    for repeat in case.repeats.sites:
        row = next((row for row in TABLE if row.owns(repeat, case.repeats)), None)
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
        rows = (name_of(outer), made) if made is not None else outer.number
    elif parent is not None:
        # One line that selects is one line to mend, however often it ran.
        line = parent.query.created or parent.query.origin.steps
        rows = (parent.query.model, line) if line else (parent.query.number,)
    return load.relation, load.owner, load.attribute, repeat.narrowed, rows


# -- asked again with the same parameters ---------------------------------------------------------


class Again(NamedTuple):
    """Equal statements with no write to their tables between.

    Attributes:
        runs: The statements of each run without a write, two or more each.
        sites: The places that asked, in order of the first.
        loop: The loop around the one place, for QS202.
    """

    runs: tuple[tuple[Query, ...], ...]
    sites: tuple[Site, ...]
    loop: Loop | None

    @property
    def queries(self) -> list[Query]:
        """All statements, in order."""
        return sorted((q for run in self.runs for q in run), key=lambda query: query.number)

    @property
    def places(self) -> list[Frame | TemplateNode | None]:
        """The step of each place that tells it from the others: the callers of one helper."""
        depth = 0
        shortest = min(map(len, self.sites))
        while depth < shortest and len({site[depth] for site in self.sites}) == 1:
            depth += 1
        if len(self.sites) == 1 or depth >= shortest:
            depth = 0
        return [site[depth] if site else None for site in self.sites]


def asked_again(case: Case, where: Literal["loop", "elsewhere"]) -> Iterator[Again]:
    """Yield equal statements: of one line in a loop, or of other places; no statement in both."""
    least = case.threshold(DUPLICATES_MIN_STATEMENTS)
    found: dict[object, list[tuple[Query, ...]]] = {}
    turning: dict[object, dict[int, Repeat]] = {}
    for duplicate in case.repeats.duplicates:
        queries = duplicate.queries
        if not _could_be_reused(queries[0]) or in_migration(next(iter(duplicate.sites))):
            continue
        rest: list[Query] = []
        for site, own in duplicate.sites.items():
            if any(query.operation in ISOLATION_VERBS for query in own):
                continue
            repeat = case.repeats.repeat_of(own[0]) if len(own) > 1 else None
            loop = repeat.loop if repeat is not None else None
            if repeat is None or loop is None or (loop.once and not loop.waits):
                rest.extend(own)
            elif not loop.waits and where == "loop" and len(own) >= least:
                line = loop.at, site[:1], own[0].shape.text
                found.setdefault(line, []).append(own)
                turning.setdefault(line, {})[repeat.number] = repeat
        if where == "elsewhere" and len(rest) >= max(least, 2):
            rest.sort(key=lambda query: query.number)
            found.setdefault((frozenset(duplicate.sites), rest[0].shape.text), []).append(
                tuple(rest)
            )
    for key, runs in found.items():
        repeats = list(turning.get(key, {}).values())
        # Two of many turns that happen to ask for one key do not ask the same on every turn.
        if 2 * sum(map(len, runs)) < sum(len(repeat.queries) for repeat in repeats):
            continue
        steps = dict.fromkeys(query.origin.steps for run in runs for query in run)
        yield Again(tuple(runs), tuple(steps), repeats[0].loop if repeats else None)


def _could_be_reused(query: Query) -> bool:
    """Tell whether the answer of a SELECT could have been kept for the next time."""
    shape = query.shape
    if shape.kind != "select" or shape.locks or _VOLATILE.search(shape.text):
        return False
    # Rows that a commit expired are meant to be read anew.
    return query.load is None or query.load.relation != "expired"


# -- words ----------------------------------------------------------------------------------------


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
        origin=found[0].origin if origin is None else origin,
        mend=mend,
        queries=tuple(query.number for query in found),
        subject=subject,
        evidence=evidence,
    )


def evidence_of(case: Case, verdict: Verdict) -> dict[str, str | int | float]:
    """Return what carries a verdict: rows, the loops around and inside, the places."""
    repeat, repeats = verdict.repeat, case.repeats
    found: dict[str, str | int | float] = {}
    if verdict.parents:
        found["parents"] = verdict.parents
    else:
        found["different parameters"] = repeat.questions
    if repeat.loop is not None:
        found["loop"] = place(repeat.loop.at)
        if repeat.loop.constant:
            found["length of the loop"] = "constant"
    if len(verdict.repeats) > 1:
        found["also at"] = "; ".join(place(item.origin.first) for item in verdict.repeats[1:])
    if repeat.load is None or repeat.is_write:
        return found
    parent = repeats.parent(repeat)
    if parent is None:
        found["parent rows"] = "loaded by a statement that is not known"
    else:
        how = "" if parent.known_by == "recorded" else f", as their {parent.known_by} tells"
        if parent.candidates > 1:
            how += f"; {parent.candidates} statements may have"
        found["parent rows"] = f"loaded by statement {parent.query.number}{how}"
    outer = repeats.outer(repeat)
    if outer is not None:
        found["inside"] = f"{name_of(outer)}, {len(outer.queries)} statements"
        found["product"] = product(outer, len(verdict.queries))
    inner = [f"{name_of(item)}, {len(item.queries)} statements" for item in repeats.inner(repeat)]
    if inner:
        found["around"] = "; ".join(inner)
    return found


def product(outer: Repeat, count: int) -> str:
    """Return ``12 x 5`` for 60 loads inside 12; an average where rows differ."""
    return f"{len(outer.queries)} x {round(count / len(outer.queries), 1):g}"


def name_of(repeat: Repeat) -> str:
    """Return what a repeat loads in one word: its relation, or verb and class."""
    return repeat.relation or f"{repeat.operation or 'statement'} {repeat.queries[0].model}".strip()


def around(case: Case, verdict: Verdict) -> str:
    """Return the words that name the loop around a loop, with the product; ``""`` without."""
    outer = case.repeats.outer(verdict.repeat)
    # Less than one statement in two turns: that is hardly the loop around.
    if outer is None or 2 * len(verdict.queries) < len(outer.queries):
        return ""
    return f", inside {name_of(outer)} ({product(outer, len(verdict.queries))})"


def in_loop(loop: Loop | None) -> str:
    """Return the words that name a loop: `` in the loop at views.py:41 in book_list``."""
    if loop is None:
        return ""
    return f" in the loop at {place(loop.at)}" + (" of constant length" if loop.constant else "")


def loop_position(loop: Loop | None, origin: Origin) -> Frame | TemplateNode | None:
    """Return where a batch has to go: in front of the loop; without one, where it was asked."""
    return loop.at if loop is not None else own_step(origin.steps)


def in_migration(site: Site) -> bool:
    """Tell whether a place lies in a data migration: it runs once."""
    return any(isinstance(step, Frame) and _MIGRATION_FILE.search(_path(step)) for step in site)


def _path(frame: Frame) -> str:
    return PurePath(frame.file).as_posix()
