"""Facts that may outlast the Recorder in which they began: sessions, checkouts, transactions.

A session can be opened at import time, used in one request and closed in the next. Each Recorder
that sees it gets a copy of the fact, under the same uid; the end is written to all copies. No
Recorder is kept alive by them.
"""

from __future__ import annotations

from itertools import islice
from threading import get_ident
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from queryscope.trace import codes
from queryscope.trace.events import Frame
from queryscope.trace.facts import OpenCheckout, OpenSession, OpenTransaction, clock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from types import FrameType

    from queryscope.trace.recorder import Recorder

Fact = TypeVar("Fact", OpenSession, OpenCheckout, OpenTransaction)

KEPT_COPIES = 4
"""Copies from which on those of Recorders that are not open here are forgotten."""
MAX_HOLDERS = 20
"""Holders named by one waiting checkout."""
unwritten: list[Callable[[], None]] = []
"""Called before a Trace is frozen, one for each adapter that may have noted ends in C alone."""


class Lasting(Generic[Fact]):
    """One fact, its opener, and its copies by the id of the Recorder that has them."""

    __slots__ = ("chain", "copies", "first")

    def __init__(self, first: Fact) -> None:
        """Start a fact that no Recorder has yet."""
        self.first: Fact = first
        self.chain: tuple[int, ...] = ()
        self.copies: dict[str, Fact] = {}

    def opened_at(self, recorder: Recorder, frame: FrameType | None) -> int:
        """Remember where the fact was asked for; return the site in ``recorder``."""
        site, self.chain = recorder.place(frame)
        return site

    def within(self, recorder: Recorder) -> Fact:
        """Return the copy that ``recorder`` has of the fact, made now if it has none."""
        found = self.copies.get(recorder.id)
        if found is not None:
            return found
        fact: Fact = _copied(self.first)
        site = -1
        if self.chain:
            site = recorder.number(self.chain)
        self.add(recorder, fact, site)
        return fact

    def add(self, recorder: Recorder, fact: Fact, site: int) -> None:
        """Hand a copy to ``recorder``."""
        if len(self.copies) >= KEPT_COPIES:
            open_here = set(_ids(recorder))
            self.copies = {key: copy for key, copy in self.copies.items() if key in open_here}
        self.copies[recorder.id] = fact
        if isinstance(fact, OpenCheckout):
            recorder.add_checkout(fact, site)
            fact.recorder = None
        elif isinstance(fact, OpenSession):
            recorder.add_session(fact, site)
            fact.recorder = None
        else:
            fact.site = site
            recorder.add_transaction(fact)

    def everywhere(self) -> Iterator[Fact]:
        """Yield the fact and its copies, each once, to write what happens to it."""
        copies = list(self.copies.values())
        if not any(copy is self.first for copy in copies):
            yield self.first
        yield from copies


def _ids(recorder: Recorder | None) -> Iterator[str]:
    """Yield the ids of a Recorder and of those around it."""
    while recorder is not None:
        yield recorder.id
        recorder = recorder.outer


class Out(Protocol):
    """A connection that is out of its pool."""

    @property
    def out(self) -> Lasting[OpenCheckout]:
        """Its checkout."""


def held_by(recorder: Recorder, held: Iterable[Out]) -> int:
    """Return how many connections ``recorder`` and the Recorders around it hold."""
    ids = list(_ids(recorder))
    return sum(any(key in link.out.copies for key in ids) for link in held)


def holders(held: Iterable[Out]) -> tuple[str, ...]:
    """Return a line for each connection that is out: who asked for it, and since when."""
    now = clock()
    return tuple(_holder(link.out, now) for link in islice(held, MAX_HOLDERS))


def _holder(out: Lasting[OpenCheckout], now: int) -> str:
    checkout = out.first
    since = now - (checkout.got_ns or checkout.asked_ns)
    return f"{_opener(out.chain)} in thread {checkout.thread}, for {since / 1e6:.0f} ms"


def _opener(chain: tuple[int, ...]) -> str:
    if chain:
        step = codes.current().resolve(chain[0], chain[1])
        if isinstance(step, Frame):
            return f"{step.file}:{step.line} in {step.function}"
    return "asked for outside every Trace"


def _copied(fact: Any) -> Any:
    """Return a copy with the same uid, less what belongs to the first Recorder alone."""
    copy = object.__new__(type(fact))
    for name in type(fact).__slots__:
        setattr(copy, name, getattr(fact, name))
    if isinstance(copy, OpenSession):
        copy.threads = {get_ident(): None}
        copy.databases = {}
        copy.first_used_ns = None
        copy.closed_ns = None
    elif isinstance(copy, OpenCheckout):
        copy.waited_ns = copy.connect_ns = copy.held_before = 0
        copy.holders = ()
        copy.session = None
    return copy
