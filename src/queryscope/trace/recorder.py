"""The Recorder: collects the raw facts of a Trace while it runs.

Hooks append plain and slotted values; nothing is parsed, formatted or judged here.
``freeze`` turns a closed Recorder into a Trace.
"""

from __future__ import annotations

import secrets
import sys
import time
from functools import partial
from threading import get_ident
from typing import TYPE_CHECKING, Any
from weakref import ref

from queryscope.trace import guard
from queryscope.trace.facts import OpenStage, clock, next_uid
from queryscope.trace.flat import WIDTH, Statements
from queryscope.trace.scope import ACTIVE, Scope, recording
from queryscope.trace.text import describe, plain_text
from queryscope.trace.walk import Walker, unwalked

if TYPE_CHECKING:
    from contextvars import Token
    from types import FrameType

    from queryscope.trace.answer import OpenAnswer
    from queryscope.trace.events import TraceKind
    from queryscope.trace.facts import (
        ConnectionInfo,
        OpenCheckout,
        OpenEngine,
        OpenLogCall,
        OpenSession,
        OpenTransaction,
    )
    from queryscope.trace.flat import Raw
    from queryscope.trace.walk import Way

_getframe = sys._getframe

MAX_SESSIONS = 2_000
"""Sessions, checkouts, transactions and stages kept in one Trace, each; more are counted."""
MAX_CHILDREN = 500
"""Nested Traces kept under one Trace."""
MAX_STATEMENT_TOTAL_CHARS = 32 * 1024 * 1024
"""Characters of distinct statements kept in one Trace; later distinct ones are cut short."""
CUT_STATEMENT_CHARS = 2_000


class Recorder(Walker):
    """Collects one Trace. ``open`` makes it the innermost, ``close`` ends it.

    Attributes:
        statements: Raw statements, see ``add_query``; ``queries`` are their tuples.
        reads: What adapters note of what is read, see ``trace.reads``; None where reading is
            not tracked.
        answer: What a request is answered with; None where that is not looked at.
        unchanged: Uids of UPDATEs that wrote a row back as it was, each with the uid of the
            statement that loaded it.
        rows: Rows fetched by the uid of the statement.
        orphans: Facts that came after ``close``.
        late: Takes, and only counts, the facts of what goes on after ``close``.
        link: An adapter's own: what it knows of the connection of the last statement.
    """

    __slots__ = (
        "__weakref__",
        "answer",
        "attributes",
        "carried",
        "checkouts",
        "children",
        "closed",
        "dropped",
        "end_ns",
        "engines",
        "error",
        "external_calls",
        "id",
        "keep_values",
        "kind",
        "late",
        "link",
        "log_calls",
        "max_statement_chars",
        "max_values",
        "mode",
        "name",
        "opened",
        "orphans",
        "outer",
        "reads",
        "rows",
        "sessions",
        "stages",
        "start_ns",
        "started_at_ns",
        "statement_chars",
        "statements",
        "token",
        "transactions",
        "unchanged",
        "w3c_trace_id",
    )

    def __init__(
        self,
        kind: TraceKind,
        name: str,
        *,
        full: bool = False,
        mode: str = "production",
        keep_values: bool = False,
        reads: bool = False,
        max_queries: int = 20_000,
        max_statement_chars: int = 65_536,
        max_frames: int = 150,
    ) -> None:
        """Prepare a Recorder; it takes facts from ``open`` on."""
        super().__init__(full=full, max_frames=max_frames)
        self.id = secrets.token_hex(6)
        self.kind = kind
        self.name = name
        self.mode = mode
        self.keep_values = keep_values
        self.max_values = max_queries * WIDTH
        self.max_statement_chars = max_statement_chars
        self.attributes: dict[str, str] = {}
        self.w3c_trace_id = ""
        self.error: str | None = None
        self.statements = Statements()
        self.rows: dict[int, int] = {}
        self.reads: list[Any] | None = [] if reads and full else None
        self.unchanged: list[tuple[int, int]] = []
        self.answer: OpenAnswer | None = None
        self.link: Any = None
        self.statement_chars = 0
        self.sessions: list[OpenSession] = []
        self.checkouts: list[OpenCheckout] = []
        self.transactions: list[OpenTransaction] = []
        self.engines: list[OpenEngine] = []
        self.stages: list[OpenStage] = []
        self.log_calls: dict[tuple[str, int], OpenLogCall] = {}
        self.external_calls: list[tuple[Any, ...]] = []
        self.children: list[Recorder] = []
        self.opened: dict[int, Recorder] = {}
        self.carried: dict[int, ref[Scope]] = {}
        self.late: Recorder | None = None
        self.dropped: dict[str, int] = {}
        self.orphans = 0
        self.closed = False
        self.outer: Recorder | None = None
        self.token: Token[Scope | None] | None = None
        self.started_at_ns = 0
        self.start_ns = 0
        self.end_ns = 0

    def open(self) -> Scope:
        """Become the innermost Recorder of this context and start the clock."""
        self.outer = recording()
        self.started_at_ns = time.time_ns()
        self.start_ns = clock()
        if self.outer is not None:
            self.outer.opened[id(self)] = self
        scope = self.carry(-1)
        before = ACTIVE.get()
        try:
            self.token = ACTIVE.set(scope)
        except BaseException:
            # A signal handler may raise before the token is kept. Nobody would leave this
            # Recorder, and all that this thread does later would go into it.
            ACTIVE.set(before)
            raise
        return scope

    def leave(self) -> None:
        """Stop being the innermost of this context, without ending the Trace.

        Streamed responses leave when the view has returned and end when the stream is closed.
        """
        token = self.token
        if token is not None:
            try:
                ACTIVE.reset(token)
            except (ValueError, RuntimeError) as error:
                if not guard.is_ours(error):
                    raise
                # Another context than the one of open(): a generator closed elsewhere. Our
                # value there goes away with that context.
                scope = ACTIVE.get()
                if scope is not None and scope.recorder is self:
                    ACTIVE.set(None)
            self.token = None

    def close(self, error: BaseException | None = None) -> None:
        """End the Trace: stop the clock, hang it under the outer one. Closing twice is no error."""
        if self.closed:
            return
        # A response that nobody closed, as with a request factory, must not hide its facts
        # from the budget around it.
        for inner in list(self.opened.values()):
            # Nobody left it, and this context may have gone on since: what left us left it, too.
            inner.token = None
            inner.close()
            inner._hang()  # where a signal handler raised in its own close()
        self.end_ns = clock()
        self.closed = True
        self.leave()
        if error is not None:
            self.error = describe(error)
        self._hang()
        if self.carried:
            self._let_go()

    def _hang(self) -> None:
        """Hang an ended Trace under the outer one; two threads may do so at the same moment."""
        outer = self.outer
        if outer is None or outer.closed:
            return
        key = id(self)
        opened, children = outer.opened, outer.children
        room = len(children) < MAX_CHILDREN
        try:
            del opened[key]
        except KeyError:
            return  # another thread does it
        # No call since then: it is in one of the two wherever a signal handler raises.
        if room:
            children += [self]
        else:
            outer.drop("children", 1)

    # -- places that work which goes on after the end still has --------------------------------

    def carry(self, stage: int) -> Scope:
        """Return a place in this Trace that keeps nothing of it alive once it has ended.

        A thread, task or greenlet may go on long after its request, with the Scope in its
        context.
        """
        scope = Scope(self, stage)
        self._hold(scope)
        return scope

    def _hold(self, scope: Scope) -> None:
        carried = self.carried
        key = next_uid()
        # All in C: what a signal handler raises into a callback's frame would be lost.
        carried[key] = ref(scope, partial(carried.pop, key))
        if self.closed:
            self._let_go()

    def _let_go(self) -> None:
        """Hand every place over to the Recorder around this one, or to ``late`` if none is open."""
        target = self.outer
        while target is not None and target.closed:
            target = target.outer
        for key, held in list(self.carried.items()):
            self.carried.pop(key, None)
            scope = held()
            if scope is None:
                continue
            scope.stage = -1  # first: an index of this Trace means nothing in the other
            if target is not None:
                scope.recorder = target
                target._hold(scope)
                continue
            if self.late is None:
                late = Recorder(self.kind, self.name)
                late.closed = True
                self.late = late
            scope.recorder = self.late

    # Threads share a Recorder without a lock: CPython changes threads only where a call is made
    # or a loop jumps back, so that ``x += 1`` is one step unless its value comes from a call.

    def drop(self, what: str, count: int) -> None:
        """Count something that a cap kept out."""
        dropped = self.dropped
        dropped.setdefault(what, 0)
        dropped[what] += count

    @property
    def queries(self) -> list[Raw]:
        """The raw statements so far, a tuple each."""
        return self.statements.since()

    # -- the hot path ---------------------------------------------------------------------

    def add_query(
        self,
        start_ns: int,
        end_ns: int,
        statement: Any,
        parameters: Any,
        many: int,
        info: ConnectionInfo,
        stage: int,
        error: BaseException | None,
        frame: FrameType | int | None,
    ) -> int:
        """Append one statement and return its uid, 0 when it was counted but not kept.

        Args:
            start_ns: ``clock()`` before the driver was called.
            end_ns: ``clock()`` after.
            statement: The text as sent.
            parameters: As sent; lists and dicts are copied shallowly, nothing is looked into.
            many: Size of an ``executemany`` batch, -1 unknown, 0 for a plain execute.
            info: The connection.
            stage: ``Scope.stage``.
            error: What the driver raised.
            frame: How many frames above the caller the walk starts; or that frame itself.
        """
        if self.closed:
            self.orphans += 1
            return 0
        statements = self.statements
        if len(statements) >= self.max_values:
            self.drop("queries", 1)
            self.drop("query_ns", end_ns - start_ns)
            return 0
        text, marks, site, reader, at, code, label = self.last
        # The same object, where a library keeps what it compiled; else comparing with the last
        # one is cheaper than hashing each.
        if text is not statement:
            if type(statement) is not str:
                statement = plain_text(statement)
            if text != statement:
                try:
                    way = self.last = self.ways[statement]
                except KeyError:
                    way = self._keep(statement)
                text, marks, site, reader, at, code, label = way
        if many:
            parameters = None
        elif (kind := type(parameters)) is not tuple:
            if kind is list:
                parameters = tuple(parameters)
            elif kind is dict:
                parameters = parameters.copy()
        if marks is None:
            site, label = self._explore(text, frame)
        else:
            # Asking for a frame at a known depth costs a tenth of walking there: Python makes
            # frame objects only for those that are asked for. Written out here: a call more
            # costs as much as two frames.
            try:
                for depth, expected, instruction in marks:
                    step = _getframe(depth)
                    if step.f_code is not expected or step.f_lasti != instruction:
                        site, label = self._explore(text, frame)
                        break
                else:
                    if reader is not None:
                        step = _getframe(at)
                        if step.f_code is code:
                            label = self._label(reader, step, label)
                        else:
                            site, label = self._explore(text, frame)
            except ValueError as raised:  # the stack is not that deep
                if not guard.is_ours(raised):
                    raise
                site, label = self._explore(text, frame)
        uid = next_uid()
        statements += (
            uid,
            start_ns,
            end_ns - start_ns,
            text,
            parameters,
            many,
            info,
            info.checkout,
            info.session,
            info.transaction,
            get_ident(),
            stage,
            site,
            label,
            None if error is None else describe(error),
        )
        return uid

    def _keep(self, kept: str) -> Way:
        """Return the way of a statement whose text is new in this Trace: not walked yet."""
        ways = self.ways
        if len(kept) > self.max_statement_chars:
            kept = kept[: self.max_statement_chars]
            self.drop("statement_tails", 1)
            known = ways.get(kept)
            if known is not None:
                return known
        if self.statement_chars > MAX_STATEMENT_TOTAL_CHARS:
            self.drop("statement_tails", 1)
            return unwalked(kept[:CUT_STATEMENT_CHARS])
        size = len(kept)
        self.statement_chars += size
        way = ways[kept] = unwalked(kept)
        return way

    # -- sessions, checkouts, transactions, stages ----------------------------------------

    def add_session(self, session: OpenSession, site: int) -> None:
        """Take over a session at its first use."""
        if self._room(self.sessions, "sessions"):
            session.site = site
            session.recorder = self
            self.sessions.append(session)

    def add_checkout(self, checkout: OpenCheckout, site: int) -> None:
        """Take over a checkout when it has been asked for."""
        if self._room(self.checkouts, "checkouts"):
            checkout.site = site
            checkout.recorder = self
            self.checkouts.append(checkout)

    def add_transaction(self, transaction: OpenTransaction) -> None:
        """Take over a transaction at its begin."""
        if self._room(self.transactions, "transactions"):
            self.transactions.append(transaction)

    def add_engine(self, engine: OpenEngine) -> None:
        """Note an engine that was made."""
        if self._room(self.engines, "engines"):
            self.engines.append(engine)

    def begin_stage(self, name: str, kind: str, parent: int) -> int:
        """Start a stage and return its index, -1 when it is only counted."""
        if not self._room(self.stages, "stages"):
            return -1
        stage = OpenStage(name, kind, parent, get_ident())
        stages = self.stages
        stages.append(stage)
        index = len(stages) - 1
        while stages[index] is not stage:  # another thread has begun one since then
            index -= 1
        return index

    def end_stage(self, index: int) -> None:
        """End a stage; its inner stages that are still open end with it."""
        if 0 <= index < len(self.stages):
            now = clock()
            stage = self.stages[index]
            if stage.end_ns is None:
                stage.end_ns = now

    def _room(self, facts: list[Any], what: str) -> bool:
        if self.closed:
            self.orphans += 1
            return False
        if len(facts) >= MAX_SESSIONS:
            self.drop(what, 1)
            return False
        return True
