"""The fixture ``query_growth``: runs work on 2, 4 and 8 rows and asserts how statements grow."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import pytest

from queryscope.growth.law import LAWS, faster
from queryscope.growth.sized import Run, growth_of
from queryscope.report.text import counted

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence
    from pathlib import Path

    from queryscope.detectors.finding import Finding
    from queryscope.growth.law import Law
    from queryscope.growth.sized import Growth, LineGrowth
    from queryscope.pytest_plugin.budget import Block

SIZES = (2, 4, 8)
"""Rows of the runs: three, so that a line and a square are told apart; few, so that it is quick."""
AT = 10_000
"""Rows that the message says the statements for."""
MAX_LINES = 8
ASSERTED: tuple[Law, ...] = LAWS[:-1]


class Measured:
    """The runs of one assertion while they are made.

    Args:
        block: Makes a block that records a run.
        sizes: Rows of the runs.
        law: The law asserted.
        with_make: Whether rows are made before each run; else the run is told how many.
    """

    def __init__(
        self,
        block: Callable[[], Block],
        sizes: Sequence[int],
        law: Law,
        *,
        with_make: bool,
    ) -> None:
        """Check what was asked for.

        Raises:
            pytest.UsageError: The sizes are no ascending whole numbers, or there is no such law.
        """
        __tracebackhide__ = True
        self._sizes = _checked_sizes(sizes)
        if law not in ASSERTED:
            known = ", ".join(map(repr, ASSERTED))
            raise pytest.UsageError(f"query_growth: there is no law {law!r}. There are {known}.")
        self._law = law
        self._block = block
        self._with_make = with_make
        self._blocks: list[Block] = []

    def steps(self) -> Iterator[tuple[int, tuple[int, ...], Block]]:
        """Yield (rows to add, arguments of the run, block to record it in) for each size."""
        before = 0
        for size in self._sizes:
            block = self._block()
            yield size - before, () if self._with_make else (size,), block
            before = size
            self._blocks.append(block)

    def verdict(self, base: Path) -> tuple[Growth, str]:
        """Return the growth, and the text of the failure, ``""`` where the law holds.

        Raises:
            pytest.UsageError: There is nothing to judge.
        """
        __tracebackhide__ = True
        judged = [block.judged for block in self._blocks]
        runs = [
            Run(size, item.trace)
            for size, item in zip(self._sizes, judged, strict=True)
            if item is not None
        ]
        for run in runs:
            over = sum(part.dropped.get("queries", 0) for part in run.trace.subtree())
            if over:
                raise pytest.UsageError(
                    f"query_growth: {over:,} statements of the run with {run.size} rows are over "
                    "the cap of a Trace. Choose smaller sizes."
                )
        growth = growth_of(runs)
        if not any(growth.statements):
            raise pytest.UsageError(
                "query_growth: no run sent any statement. Is it the work that was meant, and does "
                "it use Django's or SQLAlchemy's connections?"
            )
        last = judged[-1]
        findings = last.findings if last is not None else ()
        return growth, _failure(growth, self._law, findings, base)

    @property
    def last(self) -> Block:
        """The block of the run with the most rows."""
        return self._blocks[-1]


def is_asynchronous(*calls: Any) -> bool:
    """Tell whether one of the callables is a coroutine function."""
    return any(inspect.iscoroutinefunction(call) for call in calls)


def measure(measured: Measured, run: Callable[..., Any], make: Callable[..., Any] | None) -> None:
    """Make the rows and do the work, size by size."""
    __tracebackhide__ = True
    for more, arguments, block in measured.steps():
        if make is not None:
            _refuse_awaitable(make(more), "make")
        with block:
            done = run(*arguments)
        _refuse_awaitable(done, "run")


async def measure_async(
    measured: Measured, run: Callable[..., Any], make: Callable[..., Any] | None
) -> None:
    """Make the rows and do the work, size by size, in a coroutine."""
    __tracebackhide__ = True
    for more, arguments, block in measured.steps():
        if make is not None:
            await _awaited(make(more))
        async with block:
            await _awaited(run(*arguments))


async def _awaited(result: Any) -> None:
    if inspect.isawaitable(result):
        await result


def _refuse_awaitable(result: Awaitable[Any] | object, name: str) -> None:
    __tracebackhide__ = True
    if not inspect.isawaitable(result):
        return
    if inspect.iscoroutine(result):
        result.close()
    raise pytest.UsageError(
        f"query_growth: {name} returned a coroutine that nobody awaits. Give an `async def` "
        "function and write `await query_growth(...)`."
    )


def _checked_sizes(sizes: Sequence[int]) -> tuple[int, ...]:
    __tracebackhide__ = True
    found = tuple(sizes)
    whole = all(type(size) is int and size > 0 for size in found)
    if not whole or len(found) < 2 or list(found) != sorted(set(found)):  # noqa: PLR2004 - growth is between two
        raise pytest.UsageError(
            f"query_growth: sizes must be two or more whole numbers from 1 on, ascending, such as "
            f"{SIZES}, not {sizes!r}."
        )
    if found[-1] < 2 * found[0]:
        raise pytest.UsageError(
            f"query_growth: sizes must at least double from the first to the last, as {SIZES} "
            f"do; {sizes!r} are too close together to tell anything."
        )
    return found


def _failure(growth: Growth, law: Law, findings: Sequence[Finding], base: Path) -> str:
    """Return what the failure says: counts, law, and each line that grows with its remedy."""
    guilty = [line for line in growth.lines if line.rises and faster(line.law, than=law)]
    if not guilty:
        return ""
    found = max((line.law for line in guilty), key=LAWS.index)
    counts = ", ".join(f"{times:,}" for times in growth.statements)
    sizes = ", ".join(f"{size:,}" for size in growth.sizes)
    grows = f"{counts} statements for {sizes} rows: {_name(found)}, asserted {_name(law)}"
    lines = [f"{grows}; {_predicted(growth, guilty)}"]
    for item in guilty[:MAX_LINES]:
        lines += _described(item, findings, base)
    if len(guilty) > MAX_LINES:
        lines.append(f"  … {counted(len(guilty) - MAX_LINES, 'more line')}")
    return "\n".join(lines)


def _described(item: LineGrowth, findings: Sequence[Finding], base: Path) -> list[str]:
    from queryscope.pytest_plugin.message import place, remedy_of, shape_line, where

    at = item.line.place
    shown = where(item.sample.origin, base)
    if item.sample.origin.first is None and at is not None:
        shown = f"{place(at, base)}, for which library code asked"
    counts = ", ".join(f"{times:,}" for times in item.times)
    why = f" ({item.evidence})" if item.law in ("n*m", "unknown") else ""
    lines = [f"  {_name(item.law)}  {shown}  {counts}{why}; {_line_predicted(item)}"]
    lines.append(f"        {shape_line(item.sample)}")
    own = [
        finding
        for finding in findings
        if finding.trace_id == item.trace_id and item.sample.number in finding.queries
    ]
    if own:
        lines.append(f"        {own[0].code} {own[0].name}: {remedy_of(own[0], base)}")
    return lines


def _line_predicted(item: LineGrowth) -> str:
    if item.law == "unknown":
        return f"what it is for {AT:,} rows cannot be told"
    text = f"{item.at(AT):,} for {AT:,} rows"
    if item.limit is not None:
        return f"{text}, as far as LIMIT {item.limit:,} lets it"
    return f"{text} if the LIMIT above it allows so many" if item.limited else text


def _predicted(growth: Growth, guilty: Sequence[LineGrowth]) -> str:
    if any(line.law == "unknown" for line in guilty):
        return f"the number for {AT:,} rows cannot be told"
    return f"{growth.at(AT):,} for {AT:,} rows"


def _name(law: Law) -> str:
    return "growth without a law" if law == "unknown" else f"O({law})"
