"""ORM sessions and checked-out connections, which may outlast the Recorder where they began."""

from __future__ import annotations

from collections import deque
from functools import partial
from itertools import repeat, starmap
from threading import get_ident
from typing import TYPE_CHECKING, Any
from weakref import ref

from queryscope.trace import guard
from queryscope.trace.facts import ConnectionInfo, OpenCheckout, OpenSession, OpenTransaction, clock
from queryscope.trace.lasting import Lasting, held_by

if TYPE_CHECKING:
    from queryscope.sqlalchemy.pools import PoolFacts
    from queryscope.trace.recorder import Recorder


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
        super().__init__(pool.database, pool.vendor)
        self.pool = pool
        self.owner = ""
        self.out: Lasting[OpenCheckout] = Lasting(checkout)
        self.using: LastingSession | None = None
        self.begun: Lasting[OpenTransaction] | None = None
        self.returned = False
        self.fairy: ref[Any] | None = None

    def belongs_to(self, fairy: Any) -> None:
        """Note when this checked-out connection dies before anybody gave it back.

        All in C, from the clock to the note: what a signal handler raises into a callback of the
        garbage collector would be lost.
        """
        moments = starmap(clock, repeat(()))
        self.fairy = ref(fairy, partial(next, map(dropped.append, zip(moments, repeat(self)))))

    def gave_back(self, now: int) -> None:
        """Note the return, here and in every Recorder that knows the checkout; once."""
        if self.returned:
            return
        self.pool.out.pop(id(self), None)
        for checkout in self.out.everywhere():
            checkout.returned_ns = now
        if self.begun is not None:
            # The pool's own rollback of a connection that comes back inside a transaction.
            for transaction in self.begun.everywhere():
                transaction.ended_ns = now
                transaction.outcome = "rollback"
            self.begun = None
        # Last: interrupted before, it is noted again when the connection dies.
        self.returned = True
        self.fairy = None

    def bind(self, recorder: Recorder) -> None:
        """Point session, checkout and transaction at what ``recorder`` knows of them."""
        if not self.returned and self.out.copies.get(recorder.id) is None:
            if dropped:
                write_dropped()
            before = held_by(recorder, list(self.pool.out.values()))
            self.out.within(recorder).held_before = before
        self.owner = recorder.id
        self.checkout = self.out.copies.get(recorder.id)
        self.transaction = None if self.begun is None else self.begun.within(recorder)
        self.session = None if self.using is None else self.using.used(recorder, self)
        if self.checkout is not None and self.checkout.session is None:
            self.checkout.session = self.session


dropped: deque[tuple[int, Link]] = deque()
"""Connections that died checked out, and when; ``write_dropped`` writes it to their facts."""


def write_dropped() -> None:
    """Write the return of the connections that died, before anybody asks who holds one."""
    try:
        # No call from the look to the first one, or to what takes it out: another thread may do
        # the same.
        while dropped:
            moment, link = dropped[0]
            link.gave_back(moment)
            if dropped and dropped[0][1] is link:
                dropped.popleft()
    except Exception as error:  # noqa: BLE001 - the guard passes on what is not ours
        guard.caught(error, "sqlalchemy.pool.dropped")
