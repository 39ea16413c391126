"""Traces of random facts from a seed, for the tests of what must carry any Trace."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any, get_args
from uuid import UUID

from queryscope.detectors.finding import SEVERITIES, Cost, Finding, Mend
from queryscope.trace.connections import Checkout, Engine, Session, Transaction
from queryscope.trace.events import (
    NOWHERE,
    Answer,
    ExternalCall,
    Frame,
    Load,
    LogCall,
    Origin,
    Query,
    Read,
    Relation,
    Stage,
    TemplateNode,
    Trace,
    TraceKind,
)
from queryscope.trace.guard import Failure

HOSTILE = (
    "",
    "\0",
    "</script><script>alert(1)</script>",
    'it\'s "quoted" \\ `x`',
    "\u202edesrever",
    "\ud83d\ude00",  # two lone surrogates side by side: not the emoji that they would make
    "\udcff broken UTF-8",
    "\U0001f600 é ß 表",
    "line\r\nbreak\x1b[31m",
    "x" * 10_000,
)


class Dice:
    """Makes facts from one seeded source of chance."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)

    def text(self) -> str:
        """Return a text, often a hostile one."""
        return self.chance.choice((*HOSTILE, "default", "library.Book", "SELECT 1"))

    def number(self) -> int:
        """Return an integer, often an extreme one."""
        return self.chance.choice(
            (0, 1, -1, 7, 2**40, -(2**63), 2**70, self.chance.getrandbits(50))
        )

    def digest(self) -> str:
        """Return what ``parameters_key`` looks like."""
        return f"{self.chance.getrandbits(64):016x}" if self.chance.random() < 0.9 else ""

    def maybe(self, make: Callable[[], Any]) -> Any:
        """Return what ``make`` gives, or None."""
        return None if self.chance.random() < 0.4 else make()

    def several(self, make: Callable[[], Any], most: int = 4) -> tuple[Any, ...]:
        """Return up to ``most`` of what ``make`` gives."""
        return tuple(make() for _ in range(self.chance.randrange(most + 1)))

    def flag(self) -> bool:
        """Return True or False."""
        return self.chance.random() < 0.5

    def value(self, depth: int = 0) -> Any:
        """Return a parameter value."""
        values: list[Any] = [
            None, True, False, 0, -1, 2**63, -(2**64), 2**200, 0.1, -0.0, float("inf"), 1e300,
            self.text(), b"", b"\x00\xff", Decimal("1.10"), Decimal("-0"), Decimal("Infinity"),
            date(1, 1, 1), datetime(2024, 2, 29, 23, 30, 1, 5),  # noqa: DTZ001 - as drivers give them
            datetime(2024, 10, 27, 2, 30, tzinfo=timezone(timedelta(hours=2, seconds=7))),
            datetime(9999, 12, 31, tzinfo=UTC), time(23, 59, 59, 999_999),
            timedelta(days=-1, microseconds=3), UUID(int=self.chance.getrandbits(128)),
        ]  # fmt: skip
        if depth < 3:
            values.append(self.several(lambda: self.value(depth + 1)))
        return self.chance.choice(values)

    def frame(self) -> Frame:
        """Return a Frame."""
        number, text = self.number, self.text
        return Frame(text(), number(), number(), number(), number(), text(), text())

    def node(self) -> TemplateNode:
        """Return a TemplateNode."""
        text = self.text
        return TemplateNode(text(), self.maybe(text), self.number(), text(), text())

    def origin(self) -> Origin:
        """Return an Origin of frames and nodes."""
        steps = self.several(lambda: self.frame() if self.flag() else self.node())
        return Origin(steps) if steps else NOWHERE

    def load(self) -> Load:
        """Return a Load."""
        number = self.number
        relation = self.chance.choice(get_args(Relation))
        return Load(
            relation, self.text(), self.text(), self.maybe(number), number(), self.maybe(number),
            self.flag(), self.flag(),
        )  # fmt: skip

    def query(self) -> Query:
        """Return a Query."""
        number, text, maybe = self.number, self.text, self.maybe
        return Query(
            number(), number(), number(), text(), text(), text(), self.digest(),
            maybe(lambda: self.several(self.value)), number(), maybe(number), maybe(text),
            number(), maybe(number), maybe(number), maybe(number), number(), number(),
            self.origin(), text(), text(), maybe(self.load), maybe(self.frame),
            maybe(lambda: self.several(number)), maybe(number), maybe(number),
        )  # fmt: skip

    def session(self) -> Session:
        """Return a Session."""
        number, text = self.number, self.text
        return Session(
            number(), number(), number(), self.maybe(number), self.origin(), number(),
            self.several(number), text(), self.several(text),
        )  # fmt: skip

    def checkout(self) -> Checkout:
        """Return a Checkout."""
        number, text, maybe = self.number, self.text, self.maybe
        return Checkout(
            number(), text(), number(), maybe(number), number(), maybe(number), number(), number(),
            number(), maybe(number), maybe(number), maybe(text), self.flag(), self.origin(),
            number(), maybe(number), number(), self.several(text), number(),
        )  # fmt: skip

    def transaction(self) -> Transaction:
        """Return a Transaction."""
        number, text = self.number, self.text
        return Transaction(
            number(), number(), text(), number(), self.maybe(number), text(), number(),
            self.origin(), number(), number(),
        )  # fmt: skip

    def engine(self) -> Engine:
        """Return an Engine."""
        n, text = self.number, self.text
        return Engine(n(), text(), n(), n(), n(), self.flag(), self.origin(), n())

    def stage(self) -> Stage:
        """Return a Stage."""
        n = self.number
        return Stage(
            n(), self.text(), self.text(), n(), n(), n(), n(), n(), n(), n(), n()
        )  # fmt: skip

    def log_call(self) -> LogCall:
        """Return a LogCall."""
        n = self.number
        return LogCall(
            n(), self.text(), n(), n(), n(), n(), n(), n(), self.flag(), self.origin()
        )  # fmt: skip

    def external_call(self) -> ExternalCall:
        """Return an ExternalCall."""
        n = self.number
        return ExternalCall(
            n(), n(), n(), self.text(), self.maybe(self.text), n(), n(), self.origin()
        )  # fmt: skip

    def read(self) -> Read:
        """Return what was read of some rows."""
        n, text, flag = self.number, self.text, lambda: self.chance.random() < 0.5
        names = tuple(self.text() for _ in range(3))
        return Read(
            n(), text(), text(), n(), names, (n(), n(), n()), names[:1], names[1:], flag(), flag(),
            flag(), (n(), n()), self.maybe(n), self.maybe(n),
        )  # fmt: skip

    def answer(self) -> Answer:
        """Return what a request was answered with."""
        text, flag = self.text, lambda: self.chance.random() < 0.5
        return Answer(text(), text(), self.number(), text(), text(), flag(), flag())

    def trace(self, depth: int = 0) -> Trace:
        """Return a Trace with nested ones."""
        return Trace(
            id=self.text(),
            kind=self.chance.choice(get_args(TraceKind)),
            name=self.text(),
            started_at_ns=self.number(),
            duration_ns=self.number(),
            mode=self.text(),
            recording=self.text(),
            w3c_trace_id=self.text(),
            attributes={self.text(): self.text() for _ in range(3)},
            error=self.maybe(self.text),
            queries=self.several(self.query, 12),
            sessions=self.several(self.session),
            checkouts=self.several(self.checkout),
            transactions=self.several(self.transaction),
            engines=self.several(self.engine),
            stages=self.several(self.stage),
            reads=self.several(self.read),
            unchanged=self.several(lambda: (self.number(), self.number())),
            answer=self.maybe(self.answer),
            log_calls=self.several(self.log_call),
            external_calls=self.several(self.external_call),
            orphans=self.number(),
            dropped={self.text(): self.number() for _ in range(2)},
            unlabelled=self.number(),
            failures=self.several(lambda: Failure(self.text(), self.text(), self.number())),
            process=self.number(),
            children=() if depth > 2 else self.several(lambda: self.trace(depth + 1), 2),
        )

    def finding(self) -> Finding:
        """Return a Finding."""
        number, text = self.number, self.text
        place = self.chance.choice((lambda: None, self.frame, self.node))
        return Finding(
            code=text(),
            name=text(),
            severity=self.chance.choice(SEVERITIES),
            confidence=self.chance.choice(("low", "medium", "high")),
            message=text(),
            count=number(),
            cost=Cost(number(), number(), number(), number(), number()),
            origin=self.origin(),
            mend=self.maybe(lambda: Mend(place(), text(), text())),
            queries=self.several(number),
            sessions=self.several(number),
            checkouts=self.several(number),
            subject=text(),
            evidence={text(): self.chance.choice((text(), number(), 0.5)) for _ in range(3)},
            trace_id=text(),
        )
