"""The Recorder: collects the raw facts of a Trace while it runs.

Hooks append plain tuples and slotted values; nothing is parsed, formatted or judged here.
``freeze`` turns a closed Recorder into a Trace.
"""

from __future__ import annotations

import itertools
import os
import secrets
import sys
import time
from contextvars import ContextVar
from functools import partial
from threading import get_ident
from typing import TYPE_CHECKING, Any
from weakref import ref

from queryscope.trace import codes, guard
from queryscope.trace.codes import BOUNDARY, HANDED, JINJA, LIBRARY, NODE, NODE_STEP, USER

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextvars import Token
    from types import CodeType, FrameType

    from queryscope.trace.codes import Reader
    from queryscope.trace.events import TraceKind

clock = time.perf_counter_ns
_getframe = sys._getframe

MAX_SESSIONS = 2_000
"""Sessions, checkouts, transactions and stages kept in one Trace, each; more are counted."""
MAIN_BOTTOMS = frozenset({"<module>", "_run_module_as_main"})
"""Functions in which the stack of a main thread begins."""
MAX_CHILDREN = 500
"""Nested Traces kept under one Trace."""
MAX_NODES = 5_000
"""Template nodes kept alive by one Recorder."""
MAX_STATEMENT_TOTAL_CHARS = 32 * 1024 * 1024
"""Characters of distinct statements kept in one Trace; later distinct ones are cut short."""
CUT_STATEMENT_CHARS = 2_000

RawLabel = tuple[Any, ...]
"""``(static, parent, parents, parent_uid)`` with static = ``(operation, model, relation, owner,
attribute, narrowed, batched, created)``; models are strings or classes, ``created`` a number
of ``codes.creation_site``. The static part is interned."""

Mark = tuple[int, "CodeType", int]
"""``(depth, code, instruction)`` of a frame that must stand there again."""

Way = tuple[
    str, tuple[Mark, ...] | None, int, "Reader | None", int, "CodeType | None", RawLabel | None
]
"""``(text, marks, chain, reader, depth, code, label)``: a statement's text as kept, and the way it
came, since the next one mostly comes the same way. The marks are the user's frames and the
boundary, None for a way that cannot be followed. The reader takes the label from the frame at
``depth``, which must have this ``code``; without a reader ``label`` is that of all that come this
way. One tuple, so that a thread that sends the same statement never sees half of it."""

NO_WAY: Way = ("", None, -1, None, 0, None, None)
NO_PARENT = (None, 0, None)
"""What a label says of the parent rows of a statement that has none."""
UNKNOWN_LABEL: RawLabel = (("", "", "", "", "", False, False, 0), None, 0, None)
"""The label of a statement whose ORM frame has a shape that we do not know."""

# From a random start, so that a number which travelled in a pickled instance from another
# process names nothing here.
_uids = itertools.count(1 + (secrets.randbits(40) << 16))
next_uid = _uids.__next__
"""Process-wide numbers of statements and other facts. Never 0."""


class ConnectionInfo:
    """What is known of one connection object, made when a hook first meets it."""

    __slots__ = ("checkout", "database", "session", "transaction", "uid", "vendor")

    def __init__(self, database: str, vendor: str) -> None:
        """Number the connection; the other attributes are set as facts arrive."""
        self.uid = next_uid()
        self.database = database
        self.vendor = vendor
        self.checkout: OpenCheckout | None = None
        self.session: OpenSession | None = None
        self.transaction: OpenTransaction | None = None


class OpenSession:
    """A session while it lives: an ORM session, or a Django connection in use."""

    __slots__ = (
        "closed_ns",
        "databases",
        "first_used_ns",
        "framework",
        "opened_ns",
        "recorder",
        "site",
        "thread",
        "threads",
        "uid",
    )

    def __init__(self, framework: str, opened_ns: int, thread: int) -> None:
        """Start a session that no Recorder owns yet."""
        self.uid = next_uid()
        self.framework = framework
        self.opened_ns = opened_ns
        self.first_used_ns: int | None = None
        self.closed_ns: int | None = None
        self.site = -1
        self.thread = thread
        self.threads: dict[int, None] = {thread: None}
        self.databases: dict[str, None] = {}
        self.recorder: Recorder | None = None


class OpenCheckout:
    """A connection on its way out of a pool, out, or back."""

    __slots__ = (
        "asked_ns",
        "connect_ns",
        "connection",
        "error",
        "got_ns",
        "held_before",
        "holders",
        "max_overflow",
        "overflow",
        "pool",
        "pool_uid",
        "recorder",
        "returned_ns",
        "session",
        "site",
        "size",
        "thread",
        "uid",
        "waited_ns",
    )

    def __init__(self, pool: str, pool_uid: int, asked_ns: int, thread: int) -> None:
        """Start a checkout at the moment it is asked for."""
        self.uid = next_uid()
        self.pool = pool
        self.pool_uid = pool_uid
        self.size: int | None = None
        self.max_overflow = 0
        self.asked_ns = asked_ns
        self.waited_ns = 0
        self.connect_ns = 0
        self.got_ns: int | None = None
        self.returned_ns: int | None = None
        self.connection: int | None = None
        self.error: str | None = None
        self.overflow = False
        self.held_before = 0
        self.holders: tuple[str, ...] = ()
        self.session: OpenSession | None = None
        self.site = -1
        self.thread = thread
        self.recorder: Recorder | None = None


class OpenTransaction:
    """A transaction while it runs."""

    __slots__ = (
        "connection",
        "database",
        "ended_ns",
        "outcome",
        "savepoints",
        "site",
        "started_ns",
        "thread",
        "uid",
    )

    def __init__(self, info: ConnectionInfo, started_ns: int, site: int, thread: int) -> None:
        """Start a transaction on a connection."""
        self.uid = next_uid()
        self.connection = info.uid
        self.database = info.database
        self.started_ns = started_ns
        self.ended_ns: int | None = None
        self.outcome = "open"
        self.savepoints = 0
        self.site = site
        self.thread = thread


class OpenStage:
    """A stage while it runs."""

    __slots__ = ("end_ns", "kind", "name", "parent", "start_ns", "thread")

    def __init__(self, name: str, kind: str, parent: int, thread: int) -> None:
        """Start a stage now, inside the stage with index ``parent``."""
        self.name = name
        self.kind = kind
        self.parent = parent
        self.start_ns = clock()
        self.end_ns: int | None = None
        self.thread = thread


class Scope:
    """What the context variable holds: the innermost Recorder and the stage we are in."""

    __slots__ = ("__weakref__", "recorder", "stage")

    def __init__(self, recorder: Recorder, stage: int) -> None:
        """Name a place inside a Recorder; ``stage`` is -1 outside every stage."""
        self.recorder = recorder
        self.stage = stage


ACTIVE: ContextVar[Scope | None] = ContextVar("queryscope_scope", default=None)
active = ACTIVE.get

CAUSE: ContextVar[tuple[int, ...]] = ContextVar("queryscope_cause", default=())
"""The chain of who waits on the other side, where a library joins coroutines and threads."""
waiting: list[Callable[[codes.CodeTable], tuple[int, ...]]] = []
"""Asked for the chain of those who await what runs here, where its stack ends."""
beyond: list[Callable[[], FrameType | None]] = []
"""Asked for the frame that goes on where the stack of a greenlet ends, one for each adapter."""


def recording() -> Recorder | None:
    """Return the innermost Recorder that still takes facts."""
    scope = ACTIVE.get()
    if scope is None:
        return None
    recorder = scope.recorder
    while recorder.closed:
        if recorder.outer is None:
            return None
        recorder = recorder.outer
    return recorder


class Recorder:
    """Collects one Trace. ``open`` makes it the innermost, ``close`` ends it.

    Attributes:
        full: Full recording.
        queries: Raw statements, see ``add_query``.
        rows: Rows fetched by the uid of the statement.
        orphans: Facts that came after ``close``.
        late: Takes, and only counts, the facts of what goes on after ``close``.
    """

    __slots__ = (
        "attributes",
        "carried",
        "chains",
        "checkouts",
        "children",
        "closed",
        "dropped",
        "end_ns",
        "error",
        "full",
        "id",
        "keep_values",
        "kind",
        "label_failures",
        "labels",
        "last",
        "late",
        "max_frames",
        "max_queries",
        "max_statement_chars",
        "mode",
        "name",
        "next_chain",
        "nodes",
        "opened",
        "orphans",
        "outer",
        "queries",
        "rows",
        "sessions",
        "stages",
        "start_ns",
        "started_at_ns",
        "statement_chars",
        "table",
        "token",
        "transactions",
        "w3c_trace_id",
        "ways",
    )

    def __init__(
        self,
        kind: TraceKind,
        name: str,
        *,
        full: bool = False,
        mode: str = "production",
        keep_values: bool = False,
        max_queries: int = 20_000,
        max_statement_chars: int = 65_536,
        max_frames: int = 150,
    ) -> None:
        """Prepare a Recorder; it takes facts from ``open`` on."""
        self.id = secrets.token_hex(6)
        self.kind = kind
        self.name = name
        self.full = full
        self.mode = mode
        self.keep_values = keep_values
        self.max_queries = max_queries
        self.max_statement_chars = max_statement_chars
        self.max_frames = max_frames
        self.attributes: dict[str, str] = {}
        self.w3c_trace_id = ""
        self.error: str | None = None
        self.queries: list[tuple[Any, ...]] = []
        self.rows: dict[int, int] = {}
        self.ways: dict[Any, Way] = {}
        self.last = NO_WAY
        self.statement_chars = 0
        self.labels: dict[RawLabel, RawLabel] = {}
        self.label_failures = 0
        self.chains: dict[tuple[int, ...], int] = {}
        self.next_chain = itertools.count().__next__
        self.nodes: dict[int, Any] = {}
        self.sessions: list[OpenSession] = []
        self.checkouts: list[OpenCheckout] = []
        self.transactions: list[OpenTransaction] = []
        self.stages: list[OpenStage] = []
        self.children: list[Recorder] = []
        self.opened: dict[int, Recorder] = {}
        self.carried: dict[int, ref[Scope]] = {}
        self.late: Recorder | None = None
        self.dropped: dict[str, int] = {}
        self.orphans = 0
        self.closed = False
        self.outer: Recorder | None = None
        self.token: Token[Scope | None] | None = None
        self.table = codes.current()
        self.started_at_ns = 0
        self.start_ns = 0
        self.end_ns = 0

    def open(self) -> Scope:
        """Become the innermost Recorder of this context and start the clock."""
        self.outer = recording()
        if self.outer is not None:
            self.outer.opened[id(self)] = self
        scope = self.carry(-1)
        self.started_at_ns = time.time_ns()
        self.start_ns = clock()
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
            inner.close()
        self.end_ns = clock()
        self.closed = True
        self.leave()
        if error is not None:
            self.error = describe(error)
        outer = self.outer
        if outer is not None and not outer.closed:
            if outer.opened.pop(id(self), None) is None:
                pass  # another thread closed this one at the same moment
            elif len(outer.children) < MAX_CHILDREN:
                outer.children.append(self)
            else:
                outer.drop("children", 1)
        if self.carried:
            self._let_go()

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
        queries = self.queries
        if len(queries) >= self.max_queries:
            self.drop("queries", 1)
            self.drop("query_ns", end_ns - start_ns)
            return 0
        if type(statement) is not str:
            statement = _plain_text(statement)
        way = self.last
        if way[0] != statement:  # comparing with the last one is cheaper than hashing each
            try:
                way = self.last = self.ways[statement]
            except KeyError:
                way = self._keep(statement)
        text, marks, site, reader, at, code, label = way
        if many:
            parameters = None
        elif type(parameters) is list:
            parameters = tuple(parameters)
        elif type(parameters) is dict:
            parameters = parameters.copy()
        if type(frame) is not int:
            site, label = self.walk(frame)  # type: ignore[arg-type] # isinstance() costs a call
        elif marks is None:
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
                            label = self._label(reader, step)
                        else:
                            site, label = self._explore(text, frame)
            except ValueError as raised:  # the stack is not that deep
                if not guard.is_ours(raised):
                    raise
                site, label = self._explore(text, frame)
        uid = next_uid()
        queries.append(
            (
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
        )
        return uid

    def walk(self, frame: FrameType | None) -> tuple[int, RawLabel | None]:
        """Walk outwards and return (index of the chain, label of the outermost ORM frame).

        The label is taken from the last known ORM frame before the first user frame: that is
        the ORM call the user made. A final source, such as a prefetch, is not overruled. All
        nodes of a template are read in full recording; in light recording only the innermost,
        since reading one frame's locals costs as much as ten frames.
        """
        chain, source, source_frame, _, _ = self._walk(frame, 0)
        site = self.number(chain)
        if source is None or source_frame is None:
            return site, None
        return site, self._label(source.read, source_frame)

    def site(self, frame: FrameType | None) -> int:
        """Walk outwards and return the index of the chain, without reading a label."""
        return self.number(self._walk(frame, 0)[0])

    def place(self, frame: FrameType | None) -> tuple[int, tuple[int, ...]]:
        """Walk outwards and return (index of the chain, the chain)."""
        chain = self._walk(frame, 0)[0]
        return self.number(chain), chain

    def number(self, chain: tuple[int, ...]) -> int:
        """Return the index of a chain, a new one for a new chain.

        Where two threads bring the same new chain at a time, one number is never used.
        """
        site = self.chains.get(chain)
        return self.chains.setdefault(chain, self.next_chain()) if site is None else site

    def _walk(
        self, frame: FrameType | None, depth: int
    ) -> tuple[tuple[int, ...], Any, FrameType | None, int, tuple[Mark, ...] | None]:
        """Walk outwards and return (chain, label source, its frame, the depth of that, marks).

        The marks are None when the way cannot be followed again: a template node stands in a
        frame's locals, which the same code at the same depth does not repeat, and what waits
        for a greenlet or a thread has no depth from here. A stack that ends early, as a
        greenlet's does, has no mark at its end: the same function may be called further in.
        """
        table = self.table
        get = table.kinds.get
        steps: list[int] = []
        marks: list[Mark] = []
        source: Any = None
        source_frame: FrameType | None = None
        source_depth = 0
        nodes = 0
        far = False
        bottom = True
        code: CodeType | None = None
        for at in range(depth, depth + self.max_frames):
            if frame is None:
                frame = None if far else _frame_beyond()
                far = far or frame is not None
                if frame is None:
                    if cause := self._cause():
                        steps += cause
                        far = True
                    break
            code = frame.f_code
            kind = get(id(code))
            if kind is None:
                kind = table.classify(frame, code)
            if kind is LIBRARY:
                pass
            elif kind is USER or kind is JINJA:
                steps += (id(code), frame.f_lasti)
                marks.append((at, code, frame.f_lasti))
            elif kind is BOUNDARY:
                marks.append((at, code, frame.f_lasti))
                bottom = False
                break
            elif kind is HANDED:
                marks.append((at, code, frame.f_lasti))
                bottom = False
                cause = self._cause()
                # Without a step of its own it is known only by who waits for it.
                far = far or bool(cause) or not steps
                steps += cause
                break
            elif kind is NODE:
                if self.full or not nodes:
                    nodes += 1
                    node = frame.f_locals.get("self")
                    key = id(node)
                    if key not in self.nodes and len(self.nodes) < MAX_NODES:
                        self.nodes[key] = node
                    steps += (key, NODE_STEP)
            elif not steps and (source is None or not source.final):
                source = kind
                source_frame = frame
                source_depth = at
            frame = frame.f_back
        else:
            bottom = False
        if bottom and code is not None and code.co_name not in MAIN_BOTTOMS:
            far = True
        followed = None if nodes or far else tuple(marks) or None
        return tuple(steps), source, source_frame, source_depth, followed

    def _cause(self) -> tuple[int, ...]:
        """Return the chain of those who wait for what runs here."""
        found = CAUSE.get()
        for ask in waiting:
            found = (*ask(self.table), *found)
        return found

    def _explore(self, text: str, depth: int) -> tuple[int, RawLabel | None]:
        """Walk from ``depth`` frames above the caller of ``add_query``; remember the way."""
        # 0 is this frame, 1 add_query, 2 its caller. Marks count from add_query, which follows.
        try:
            start = _getframe(depth + 2)
        except ValueError as raised:  # a greenlet that was given the driver's own method to run
            if not guard.is_ours(raised):
                raise
            start = None
        chain, source, frame, at, marks = self._walk(start, depth + 1)
        site = self.number(chain)
        label = reader = code = None
        if source is not None and frame is not None:
            label = self._label(source.read, frame)
            reader = self._reader(source, label)
            code = frame.f_code
        self.last = self.ways[text] = (text, marks, site, reader, at, code, label)
        return site, label

    def _reader(self, source: Any, label: RawLabel) -> Reader | None:
        """Return what reads the next label of a way, None when it will be ``label`` again."""
        read: Reader = source.read
        if label is UNKNOWN_LABEL:
            return read
        follow = getattr(source, "follow", None)
        if follow is not None:
            following: Reader | None = follow(label, full=self.full)
            return following
        # Which row a statement is for differs from one to the next, and in full recording also
        # where it was made. A label that says nothing of either need not be read again.
        made = self.full and getattr(source, "made", True)
        return None if label[1:] == NO_PARENT and not made else read

    def _label(self, read: Reader, frame: FrameType) -> RawLabel:
        """Return the label that an ORM frame tells, with its static part interned."""
        try:
            label = read(frame)
        except Exception as raised:
            # Another shape than we know, or the user's code: a property, a hash of a key.
            if not guard.is_ours(raised):
                raise
            label = None
        if label is None:
            self.label_failures += 1
            return UNKNOWN_LABEL
        static, parent, parents, parent_query = label
        kept = self.labels.setdefault(static, static)
        return label if kept is static else (kept, parent, parents, parent_query)

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
            return _unknown(kept[:CUT_STATEMENT_CHARS])
        size = len(kept)
        self.statement_chars += size
        way = ways[kept] = _unknown(kept)
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


def _plain_text(statement: Any) -> str:
    """Return the text of a statement that is no plain string, without running code of its class.

    psycopg accepts bytes and Composed objects; their text is not ours to make here.
    """
    if issubclass(type(statement), str):
        return str.__str__(statement)
    return f"<{type(statement).__name__}>"


def _frame_beyond() -> FrameType | None:
    """Return where the stack goes on that ends here, None where it really ends."""
    for ask in beyond:
        frame = ask()
        if frame is not None:
            return frame
    return None


def _unknown(text: str) -> Way:
    """Return the way of a statement that has not been walked."""
    return text, *NO_WAY[1:]


_arguments = vars(BaseException)["args"].__get__
"""What an error was made with; a class of the user's may say something else, or raise."""


def describe(error: BaseException) -> str:
    """Return class and text of an error, without running code of the user's."""
    text = ""
    arguments = _arguments(error)
    if arguments and type(arguments[0]) is str:
        text = arguments[0][:500]
    kind = type(error)
    name = (
        kind.__qualname__
        if kind.__module__ == "builtins"
        else f"{kind.__module__}.{kind.__qualname__}"
    )
    return f"{name}: {text}" if text else name


def process_id() -> int:
    """Return the process id; a function so that it is asked after a fork."""
    return os.getpid()
