"""QS106: a block of several look-ups is sent again for each element.

## What it does

Finds two to eight different SELECTs that follow one another in the same order for each element:
the body of a loop, or of a function that is called for each row. They are one finding, with the
product, in place of one for each line. Loads of relations and columns, aggregates and writes have
codes of their own (QS101 to QS105, QS107, QS108) and do not count.

## Why it is bad

    cost = (elements - 1) x statements of the block x (round trip + statement)

## Example

```python
def described(key):
    book = Book.objects.get(pk=key)
    stock = Stock.objects.get(book_id=key)
    return f"{book.title}: {stock.quantity}"

lines = [described(key) for key in keys]
```

## Use instead

```python
books = Book.objects.in_bulk(keys)
stocks = {stock.book_id: stock for stock in Stock.objects.filter(book_id__in=keys)}
lines = [f"{books[key].title}: {stocks[key].quantity}" for key in keys]
```

## Not flagged

- one statement that repeats (QS102), or the same statement from several lines;
- fewer elements than the threshold, and the same parameters on each turn (QS202);
- pages, chunks of `IN` lists, rows locked one by one;
- `while` loops that decide by the answer, polling and retries;
- the same function called from several lines;
- loops of a test, and data migrations.

Without a loop in the source at least five elements have to come the same way: fewer may be the
fields of one form.

## Settings

- `n_plus_one_min_parents` (elements): 2 in tests, 3 in development, 5 in production.
- `critical_min_count` (statements, 10): from here on the finding is critical.

## Source

Shao et al., "Database-Access Performance Antipatterns in Database-Backed Web Applications", ICSME
2020: https://doi.org/10.1109/ICSME46990.2020.00016.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from queryscope.detectors import _loops, _words
from queryscope.detectors._advice import batch, short
from queryscope.detectors._openers import place
from queryscope.detectors.finding import Mend

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from queryscope.detectors.finding import Finding
    from queryscope.detectors.registry import Case
    from queryscope.trace.loops import Loop
    from queryscope.trace.repeat import Repeat

CODE = "QS106"
NAME = "repeating-block"
THRESHOLDS = _loops.thresholds(_loops.N_PLUS_ONE_MIN_PARENTS, _loops.CRITICAL_MIN_COUNT)

MAX_STATEMENTS = 8
"""Statements of one block; what is longer is told line by line."""
_GENERAL = "QS102"
"""The code of the table whose repeats say no more than that one place asks again."""


class _Block(NamedTuple):
    """Statements that follow one another for each element; each as often as the others."""

    members: tuple[Repeat, ...]
    loop: Loop | None

    @property
    def elements(self) -> int:
        return len(self.members[0].queries)


def detect(case: Case) -> Iterator[Finding]:
    """Yield one finding a block that repeats."""
    for block in _blocks(case):
        members = block.members
        names = [_named(repeat) for repeat in members]
        queries = sorted((q for r in members for q in r.queries), key=lambda query: query.number)
        product = f"{block.elements} x {len(members)}"
        yield _loops.finding(
            case,
            queries,
            code=CODE,
            name=NAME,
            confidence="medium",
            message=(
                f"{len(members)} statements ({', '.join(names)}) are sent for each of "
                f"{block.elements} elements{_words.in_loop(block.loop) or ' from one place'}: "
                f"{product} = {len(queries)}."
            ),
            saved=len(queries) - len(members),
            mend=Mend(
                _words.loop_position(block.loop, members[0].origin),
                "; ".join(
                    dict.fromkeys(
                        batch(case.trace, repeat.queries[0], name)
                        for repeat, name in zip(members, names, strict=True)
                    )
                ),
                "Collect the keys, send each statement once for all of them in front of the loop, "
                "and take the rows from dicts.",
            ),
            subject=" + ".join(names),
            origin=members[0].origin,
            evidence={
                "elements": block.elements,
                "product": product,
                "statements": "; ".join(
                    f"{name} at {place(repeat.origin)}"
                    for repeat, name in zip(members, names, strict=True)
                ),
            },
        )


def _named(repeat: Repeat) -> str:
    first = repeat.queries[0]
    return short(first.model) or ", ".join(sorted(first.shape.reads)) or "a statement"


def _blocks(case: Case) -> Iterator[_Block]:
    """Yield the blocks; a repeat belongs to one at most."""
    by_loop: dict[object, list[Repeat]] = {}
    for repeat in case.repeats.sites:
        if _may_belong(repeat, case):
            loop = repeat.loop
            around: object = loop.at if loop is not None else ("none", repeat.site[-1])
            by_loop.setdefault((around, len(repeat.queries)), []).append(repeat)
    for repeats in by_loop.values():
        members = _in_turn(repeats)
        different = {repeat.queries[0].shape.text for repeat in members}
        if len(different) <= 1 or len(members) > MAX_STATEMENTS:
            continue
        loop = members[0].loop
        if loop is not None or len(members[0].queries) >= _loops.SUSPECTED_MIN_QUESTIONS:
            yield _Block(tuple(members), loop)


def _may_belong(repeat: Repeat, case: Case) -> bool:
    """Tell whether a repeat is a look-up per element of which no other code knows more."""
    least = case.threshold(_loops.N_PLUS_ONE_MIN_PARENTS)
    if repeat.questions < least or not repeat.site or repeat.recursive:
        return False
    row = _loops.owner(repeat, case)
    if row is None or row.code != _GENERAL or _loops.in_migration(repeat.site):
        return False
    if repeat.operation in _loops.ISOLATION_VERBS or not _loops.can_be_batched(repeat):
        return False
    loop = repeat.loop
    if loop is None:
        return True
    if loop.once or loop.waits or loop.kind == "condition":
        return False
    return not _loops.is_of_test(case, loop)


def _in_turn(repeats: Sequence[Repeat]) -> list[Repeat]:
    """Return those that are sent in turn: the first, the second ... and the first again.

    Args:
        repeats: Repeats of one length, in order of their first statements.
    """
    members = [repeats[0]]
    for repeat in repeats[1:]:
        first, last = members[0].queries, members[-1].queries
        behind = all(one.number < two.number for one, two in zip(last, repeat.queries, strict=True))
        if behind and all(
            two.number < one.number for two, one in zip(repeat.queries[:-1], first[1:], strict=True)
        ):
            members.append(repeat)
    return members
