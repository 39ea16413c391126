"""How the fields of each fact are written, column by column.

``int`` and ``text`` take None where a ``?`` follows; ``rising`` is written as differences;
``origin`` and ``frame`` point into tables.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from queryscope.trace.connections import Checkout, Session, Transaction
from queryscope.trace.events import ExternalCall, LogCall, Stage

if TYPE_CHECKING:
    from collections.abc import Mapping

FRAME = {
    "file": "text",
    "line": "int",
    "end_line": "int",
    "column": "int",
    "end_column": "int",
    "function": "text",
    "module": "text",
}
NODE = {"template": "text", "file": "text?", "line": "int", "source": "text", "engine": "text"}
KIND_OF_LOAD = {
    "relation": "text",
    "owner": "text",
    "attribute": "text",
    "narrowed": "flag",
    "batched": "flag",
}
LOAD = {"parent": "rising", "parents": "int", "parent_query": "rising"}
QUERY = {
    "number": "rising",
    "duration_ns": "int",
    "statement": "text",
    "vendor": "text",
    "database": "text",
    "many": "int",
    "rows": "int?",
    "error": "text?",
    "connection": "int",
    "checkout": "int?",
    "session": "int?",
    "transaction": "int?",
    "stage": "int",
    "thread": "int",
    "origin": "origin",
    "operation": "text",
    "model": "text",
    "created": "frame",
}
SESSION = {
    "number": "rising",
    "opened_ns": "rising",
    "first_used_ns": "rising",
    "closed_ns": "rising",
    "opener": "origin",
    "thread": "int",
    "threads": "ints",
    "framework": "text",
    "databases": "texts",
}
CHECKOUT = {
    "number": "rising",
    "pool": "text",
    "pool_number": "int",
    "size": "int?",
    "max_overflow": "int",
    "connection": "int?",
    "asked_ns": "rising",
    "waited_ns": "int",
    "connect_ns": "int",
    "got_ns": "rising",
    "returned_ns": "rising",
    "error": "text?",
    "overflow": "flag",
    "opener": "origin",
    "thread": "int",
    "session": "int?",
    "held_before": "int",
    "holders": "texts",
    "busy_ns": "int",
}
TRANSACTION = {
    "number": "rising",
    "connection": "int",
    "database": "text",
    "started_ns": "rising",
    "ended_ns": "rising",
    "outcome": "text",
    "savepoints": "int",
    "opener": "origin",
    "thread": "int",
}
ENGINE = {
    "number": "rising",
    "name": "text",
    "made_ns": "rising",
    "before": "int",
    "pool_number": "int",
    "pooled": "flag",
    "opener": "origin",
    "thread": "int",
}
STAGE = {
    "number": "rising",
    "name": "text",
    "kind": "text",
    "parent": "int",
    "start_ns": "rising",
    "duration_ns": "int",
    "thread": "int",
    "queries": "int",
    "database_ns": "int",
    "pool_wait_ns": "int",
    "own_ns": "int",
}
LOG_CALL = {
    "number": "rising",
    "logger": "text",
    "level": "int",
    "count": "int",
    "first_ns": "rising",
    "last_ns": "rising",
    "duration_ns": "int",
    "ways": "int",
    "is_own": "flag",
    "origin": "origin",
}
EXTERNAL_CALL = {
    "number": "rising",
    "start_ns": "rising",
    "duration_ns": "int",
    "host": "text",
    "error": "text?",
    "stage": "int",
    "thread": "int",
    "origin": "origin",
}
READ = {
    "query": "rising",
    "model": "text",
    "path": "text",
    "rows": "int",
    "columns": "texts",
    "sizes": "ints",
    "keys": "texts",
    "read": "texts",
    "opaque": "flag",
    "known": "flag",
    "alive": "flag",
}
READ_SINCE = {"read_rows": "ints", "distinct": "int?", "before": "int?"}
"""Fields of a ``Read`` that older Traces have not."""
FACTS: Mapping[str, tuple[Any, Mapping[str, str]]] = {
    "sessions": (Session, SESSION),
    "checkouts": (Checkout, CHECKOUT),
    "transactions": (Transaction, TRANSACTION),
    "stages": (Stage, STAGE),
    "log_calls": (LogCall, LOG_CALL),
    "external_calls": (ExternalCall, EXTERNAL_CALL),
}
SINCE_2 = frozenset({"log_calls", "external_calls"})
"""What format 1 had not."""
PLAIN_FIELDS = {
    "id": str,
    "kind": str,
    "name": str,
    "started_at_ns": int,
    "duration_ns": int,
    "mode": str,
    "recording": str,
    "w3c_trace_id": str,
    "orphans": int,
    "unlabelled": int,
    "process": int,
}
WINDOW = ("limit", "offset")
