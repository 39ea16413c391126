"""Facts that may outlast the Recorder in which they began: sessions, checkouts, transactions.

A session can be opened at import time, used in one request and closed in the next. Each Recorder
that sees it gets a copy of the fact, under the same uid; the end is written to all copies. No
Recorder is kept alive by them.
"""

from __future__ import annotations

from threading import get_ident
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from queryscope.trace.recorder import (
    ConnectionInfo,
    OpenCheckout,
    OpenSession,
    OpenTransaction,
    clock,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType
    from weakref import ref

    from queryscope.sqlalchemy.pools import PoolFacts
    from queryscope.trace.recorder import Recorder

Fact = TypeVar("Fact", OpenSession, OpenCheckout, OpenTransaction)

KEPT_COPIES = 4
"""Copies from which on those of Recorders that are not open here are forgotten."""


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


def held_by(recorder: Recorder, links: list[Link]) -> int:
    """Return how many connections ``recorder`` and the Recorders around it hold."""
    ids = list(_ids(recorder))
    return sum(any(key in link.out.copies for key in ids) for link in links)


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


class LastingSession(Lasting[OpenSession]):
    """An ORM session and the connections that it uses."""

    __slots__ = ("links",)

    def __init__(self, first: OpenSession) -> None:
        """Start a session that has used no connection."""
        super().__init__(first)
        self.links: list[Link] = []

    def used(self, recorder: Recorder, link: Link) -> OpenSession:
        """Note that the session uses a connection in ``recorder``."""
        session = self.within(recorder)
        if session.first_used_ns is None:
            session.first_used_ns = clock()
        session.closed_ns = None
        session.threads[get_ident()] = None
        session.databases[link.database] = None
        return session

    def closed(self) -> None:
        """Note the end, here and in every Recorder that knows the session."""
        now = clock()
        for session in self.everywhere():
            session.closed_ns = now
        for link in self.links:
            if link.using is self:
                link.using = link.session = None
        self.links.clear()


class Link(ConnectionInfo):
    """A connection from checkout to return, as ``add_query`` wants it.

    ``uid`` is that of the DBAPI connection and stays over checkouts; ``session``, ``checkout``
    and ``transaction`` are the copies of the Recorder whose id is ``owner``.
    """

    __slots__ = ("begun", "fairy", "out", "owner", "pool", "returned", "using")

    def __init__(self, pool: PoolFacts, checkout: OpenCheckout) -> None:
        """Start with a connection that has just been asked for."""
        super().__init__(pool.name, pool.vendor)
        self.pool = pool
        self.owner = ""
        self.out: Lasting[OpenCheckout] = Lasting(checkout)
        self.using: LastingSession | None = None
        self.begun: Lasting[OpenTransaction] | None = None
        self.returned = False
        self.fairy: ref[Any] | None = None

    def bind(self, recorder: Recorder) -> None:
        """Point session, checkout and transaction at what ``recorder`` knows of them."""
        if not self.returned and self.out.copies.get(recorder.id) is None:
            before = held_by(recorder, list(self.pool.out.values()))
            self.out.within(recorder).held_before = before
        self.owner = recorder.id
        self.checkout = self.out.copies.get(recorder.id)
        self.transaction = None if self.begun is None else self.begun.within(recorder)
        self.session = None if self.using is None else self.using.used(recorder, self)
        if self.checkout is not None and self.checkout.session is None:
            self.checkout.session = self.session
