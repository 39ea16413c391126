"""The waste ledger: what each finding and each line cost, and what would be left once mended.

**The waste ratio** of a request, a test or a whole recording is

    statements that mends would spare / statements sent

It counts statements and not their time, so that one test gives one ratio on every machine; the time
stands beside it. A statement that several findings speak of is counted once, by the one that spares
most of it. Findings of low confidence, and known ones (a baseline, an inline ignore, a path), spare
nothing: what somebody meant to do is no waste.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from queryscope.detectors.precedence import DUPLICATES
from queryscope.growth.lines import lines_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from queryscope.detectors.finding import Finding
    from queryscope.growth.lines import Line
    from queryscope.trace.events import Query, Trace
    from queryscope.trace.shape import Shape


class Amounts(NamedTuple):
    """What was spent, or what would be left.

    Attributes:
        statements: Statements; of what is left a part of one, where a batch stands for several.
        rows: Rows fetched or written.
        duration_ns: Time in statements.
        connection_ns: Time that connections were out of their pool or waited for; of a line 0.
        columns: Columns that came, each statement's counted; None where reads were not tracked.
        size_bytes: About how many bytes their values took; None where reads were not tracked.
    """

    statements: float = 0.0
    rows: float = 0.0
    duration_ns: float = 0.0
    connection_ns: float = 0.0
    columns: int | None = None
    size_bytes: int | None = None

    def plus(self, other: Amounts) -> Amounts:
        """Return the sum; what only one of the two knows is taken from it."""
        return Amounts(
            self.statements + other.statements,
            self.rows + other.rows,
            self.duration_ns + other.duration_ns,
            self.connection_ns + other.connection_ns,
            _sum(self.columns, other.columns),
            _sum(self.size_bytes, other.size_bytes),
        )


def _sum(one: int | None, two: int | None) -> int | None:
    return one if two is None else two if one is None else one + two


class Account(NamedTuple):
    """What was spent, and what would be left of it."""

    spent: Amounts = Amounts()
    left: Amounts = Amounts()

    @property
    def wasted(self) -> Amounts:
        """The difference."""
        spent, left = self
        return Amounts(
            spent.statements - left.statements,
            spent.rows - left.rows,
            spent.duration_ns - left.duration_ns,
            spent.connection_ns - left.connection_ns,
            None if spent.columns is None else spent.columns - (left.columns or 0),
            None if spent.size_bytes is None else spent.size_bytes - (left.size_bytes or 0),
        )

    @property
    def ratio(self) -> float:
        """The waste ratio, from 0.0 to 1.0; 0.0 where nothing was sent.

        Example:
            >>> Account(Amounts(statements=20), Amounts(statements=5)).ratio
            0.75
        """
        return self.wasted.statements / self.spent.statements if self.spent.statements else 0.0

    def plus(self, other: Account) -> Account:
        """Return the sum of two accounts."""
        return Account(self.spent.plus(other.spent), self.left.plus(other.left))


NOTHING = Account()


@dataclass(frozen=True, slots=True, kw_only=True)
class Waste:
    """The ledger of a Trace and of those nested in it.

    Attributes:
        total: All statements; overlapping findings counted once.
        findings: Each open finding by itself, in the order given: their sums may exceed the total.
        lines: Each line of the user's, those that waste most first.
        codes: Of each line, the codes of the findings that speak of its statements.
        samples: Of each line, one statement that a finding speaks of, else its first: the id of
            its Trace and its number there.
    """

    total: Account
    findings: tuple[tuple[Finding, Account], ...] = ()
    lines: Mapping[Line, Account] = field(default_factory=dict)
    codes: Mapping[Line, tuple[str, ...]] = field(default_factory=dict)
    samples: Mapping[Line, tuple[str, int]] = field(default_factory=dict)


def waste_of(
    trace: Trace,
    findings: Sequence[Finding],
    *,
    shape_of: Callable[[Query], Shape] | None = None,
) -> Waste:
    """Return the ledger of a Trace.

    Args:
        trace: A finished Trace.
        findings: Those of it and of every Trace in it; one without ``trace_id`` is about itself.
        shape_of: As for ``lines_of``.
    """
    spared: dict[tuple[str, int], float] = defaultdict(float)
    again: dict[tuple[str, int], float] = defaultdict(float)
    said: dict[tuple[str, int], list[str]] = defaultdict(list)
    counting = [item for item in findings if counts(item)]
    for item in counting:
        share = min(item.cost.avoidable / len(item.queries), 1.0) if item.queries else 0.0
        for number in item.queries:
            key = item.trace_id or trace.id, number
            said[key].append(item.code)
            spared[key] = max(spared[key], share)
            if item.code in DUPLICATES:
                again[key] = max(again[key], share)
    seen = _seen(trace)
    lines: dict[Line, Account] = {}
    codes: dict[Line, tuple[str, ...]] = {}
    samples: dict[Line, tuple[str, int]] = {}
    for line, sent in lines_of(trace, shape_of).items():
        keys = [(one.trace.id, one.query.number) for one in sent]
        lines[line] = _line([one.query for one in sent], keys, spared, again, seen)
        samples[line] = next((key for key in keys if key in said), keys[0])
        codes[line] = tuple(dict.fromkeys(code for key in keys for code in said.get(key, ())))
    total = Account()
    for account in lines.values():
        total = total.plus(account)
    ordered = dict(sorted(lines.items(), key=lambda item: weight(item[1])))
    return Waste(
        total=total.plus(_connections(trace, counting)),
        findings=tuple((item, _finding(item)) for item in counting),
        lines=ordered,
        codes=codes,
        samples=samples,
    )


def counts(finding: Finding) -> bool:
    """Tell whether a finding spares anything: it is open, and more than a suspicion."""
    return finding.known is None and finding.confidence != "low"


def total_of(accounts: Iterable[Account]) -> Account:
    """Return the sum of accounts, such as those of a suite."""
    total = Account()
    for account in accounts:
        total = total.plus(account)
    return total


def weight(account: Account) -> tuple[float, float, float]:
    """Return a key to sort by: what wastes most time, then most statements, then spent most."""
    wasted = account.wasted
    return -wasted.duration_ns, -wasted.statements, -account.spent.duration_ns


def _line(
    queries: Sequence[Query],
    keys: Sequence[tuple[str, int]],
    spared: Mapping[tuple[str, int], float],
    again: Mapping[tuple[str, int], float],
    seen: Mapping[tuple[str, int], _Seen],
) -> Account:
    """Return the account of some statements; their keys are of the same length."""
    rows = left_rows = duration = left_duration = left = 0.0
    known: list[tuple[_Seen, float]] = []
    for query, key in zip(queries, keys, strict=True):
        stays = 1.0 - spared.get(key, 0.0)
        # The rows of a loop come along with a join or a batch; those of an equal statement not.
        new = 1.0 - again.get(key, 0.0)
        left += stays
        rows += query.rows or 0
        left_rows += (query.rows or 0) * new
        duration += query.duration_ns
        left_duration += query.duration_ns * stays
        if key in seen:
            known.append((seen[key], new))
    if not known:
        return Account(
            Amounts(len(queries), rows, duration), Amounts(left, left_rows, left_duration)
        )
    return Account(
        Amounts(
            len(queries), rows, duration, 0.0,
            sum(item.columns for item, _ in known), sum(item.size_bytes for item, _ in known),
        ),
        Amounts(
            left, left_rows, left_duration, 0.0,
            sum(item.columns_read for item, _ in known),
            round(sum(item.read_bytes * new for item, new in known)),
        ),
    )  # fmt: skip


class _Seen(NamedTuple):
    """Columns and bytes of a statement, and those of them that were read."""

    columns: int
    columns_read: int
    size_bytes: int
    read_bytes: int


def _seen(trace: Trace) -> dict[tuple[str, int], _Seen]:
    """Return what came of each statement whose reads are known."""
    found: dict[tuple[str, int], _Seen] = {}
    for part in trace.subtree():
        for read in part.reads:
            if not read.known or read.alive or len(read.sizes) != len(read.columns):
                continue
            used = {*read.read, *read.keys}
            sizes = dict(zip(read.columns, read.sizes, strict=True))
            mine = _Seen(
                len(read.columns),
                sum(name in used for name in read.columns),
                read.rows * sum(sizes.values()),
                read.rows * sum(size for name, size in sizes.items() if name in used),
            )
            key = part.id, read.query
            before = found.get(key, _Seen(0, 0, 0, 0))
            found[key] = _Seen(*map(sum, zip(before, mine, strict=True)))
    return found


def _connections(trace: Trace, findings: Sequence[Finding]) -> Account:
    """Return connection time, and what is left of it without what findings complain of.

    Findings about one connection overlap: together they spare no more than was held idle or
    waited for.
    """
    held = idle = 0
    for part in trace.subtree():
        for checkout in part.checkouts:
            held += checkout.waited_ns
            idle += checkout.waited_ns
            if checkout.got_ns is not None:
                until = checkout.returned_ns
                out = max((part.duration_ns if until is None else until) - checkout.got_ns, 0)
                held += out
                idle += max(out - checkout.busy_ns, 0)
    named = sum(item.cost.connection_ns for item in findings)
    if not held:
        # Without a pool only the findings know.
        return Account(Amounts(connection_ns=named), Amounts())
    return Account(Amounts(connection_ns=held), Amounts(connection_ns=held - min(named, idle)))


def _finding(finding: Finding) -> Account:
    cost = finding.cost
    number = len(finding.queries)
    share = min(cost.avoidable / number, 1.0) if number else 0.0
    again = share if finding.code in DUPLICATES else 0.0
    return Account(
        Amounts(cost.statements, cost.rows, cost.duration_ns, cost.connection_ns),
        Amounts(
            cost.statements * (1.0 - share),
            cost.rows * (1.0 - again),
            cost.duration_ns * (1.0 - share),
            0.0,
        ),
    )
