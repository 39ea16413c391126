"""Facts while they go on: connections, sessions, checkouts, transactions, stages and log calls.

Hooks write their attributes; ``freeze`` turns them into the events of a Trace.
"""

from __future__ import annotations

import itertools
import secrets
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from queryscope.trace.recorder import Recorder

clock = time.perf_counter_ns

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
        "ending_ns",
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
        self.ending_ns = 0
        self.outcome = "open"
        self.savepoints = 0
        self.site = site
        self.thread = thread


class OpenEngine:
    """An engine that was made; see ``events.Engine``."""

    __slots__ = ("before", "made_ns", "name", "pool_uid", "pooled", "site", "thread")

    def __init__(self, name: str, pool_uid: int, *, pooled: bool, thread: int) -> None:
        """Note an engine that is ready now."""
        self.name = name
        self.pool_uid = pool_uid
        self.pooled = pooled
        self.thread = thread
        self.made_ns = clock()
        self.before = 0
        self.site = -1


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


class OpenLogCall:
    """One line that logs, while its calls are counted.

    ``sites`` counts the calls by the index of their chain, of those whose chain was looked at.
    """

    __slots__ = (
        "count", "duration_ns", "file", "first_ns", "last_ns", "level", "line", "logger", "sites",
    )  # fmt: skip

    def __init__(self, file: str, line: int, logger: str, level: int, first_ns: int) -> None:
        """Start with no call counted."""
        self.file = file
        self.line = line
        self.logger = logger
        self.level = level
        self.count = 0
        self.first_ns = first_ns
        self.last_ns = first_ns
        self.duration_ns = 0
        self.sites: dict[int, int] = {}
