"""Traces as bytes and back: columns over shared tables, compressed.

An N+1 repeats itself: a column of one fact of all statements compresses to next to nothing
where a row per statement would not. Texts and positions stand once in tables that all nested
Traces share; rising numbers are written as differences, starts as gaps after the statement
before. ``SCHEMA_VERSION`` counts the formats; every format ever written stays readable.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from queryscope.errors import TraceFormatError
from queryscope.trace.events import (
    NOWHERE,
    SCHEMA_VERSION,
    Checkout,
    Frame,
    Load,
    Origin,
    Query,
    Session,
    Stage,
    TemplateNode,
    Trace,
    Transaction,
)
from queryscope.trace.guard import Failure
from queryscope.trace.packing import Envelope, damaged, pack, unpack
from queryscope.trace.values import from_plain, to_plain

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence

    Columns = dict[str, list[Any]]

ENVELOPE = Envelope(b"T", "Trace", SCHEMA_VERSION)

# How the fields of each fact are written. "int" and "text" take None where a "?" follows;
# "rising" is written as differences; "origin" and "frame" point into tables.
_FRAME = {
    "file": "text",
    "line": "int",
    "end_line": "int",
    "column": "int",
    "end_column": "int",
    "function": "text",
    "module": "text",
}
_NODE = {"template": "text", "file": "text?", "line": "int", "source": "text", "engine": "text"}
_KIND_OF_LOAD = {
    "relation": "text",
    "owner": "text",
    "attribute": "text",
    "narrowed": "flag",
    "batched": "flag",
}
_LOAD = {"parent": "rising", "parents": "int", "parent_query": "rising"}
_QUERY = {
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
_SESSION = {
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
_CHECKOUT = {
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
_TRANSACTION = {
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
_STAGE = {
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
_FACTS: Mapping[str, tuple[Any, Mapping[str, str]]] = {
    "sessions": (Session, _SESSION),
    "checkouts": (Checkout, _CHECKOUT),
    "transactions": (Transaction, _TRANSACTION),
    "stages": (Stage, _STAGE),
}
_PLAIN_FIELDS = {
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
_DIGESTS = re.compile(r"(?:[0-9a-f]{16})+")
_DIGEST_CHARS = 16

_BROKEN = (TypeError, ValueError, LookupError, ArithmeticError, AttributeError, RecursionError)
"""What facts or documents of the wrong form can raise."""


def encode(trace: Trace) -> bytes:
    """Return a Trace as bytes, nested ones and parameter values included.

    Raises:
        TraceFormatError: It holds what is no fact, or is too large to be read back.
    """
    try:
        document = _Encoder().document(trace)
    except _BROKEN as error:
        raise TraceFormatError(
            f"Trace {trace.id!r} holds what is no fact: {type(error).__name__}: {error}."
        ) from error
    return pack(ENVELOPE, document)


def decode(data: bytes) -> Trace:
    """Return the Trace of what ``encode`` gave, in this or any earlier version.

    Raises:
        TraceFormatError: The bytes are something else, cut, damaged, of a newer format, or
            expand beyond ``packing.MAX_UNPACKED_BYTES``.
    """
    _, document = unpack(ENVELOPE, data)
    try:
        return _Decoder(document).trace()
    except _BROKEN as error:
        raise damaged(ENVELOPE.name, f"{type(error).__name__}: {error}") from error


class _Table:
    """Values once each, in the order of their first use."""

    def __init__(self) -> None:
        self.places: dict[Hashable, int] = {}

    def place(self, value: Hashable) -> int:
        return self.places.setdefault(value, len(self.places))

    def place_or_none(self, value: Hashable) -> int | None:
        return None if value is None else self.place(value)

    def all_places(self, values: Iterable[Any]) -> list[int]:
        """Return the places of values that repeat as the same objects, hashing each object once."""
        known: dict[int, int] = {}
        found = []
        for value in values:
            place = known.get(id(value))
            if place is None:
                place = known[id(value)] = self.place(value)
            found.append(place)
        return found


class _Encoder:
    """The tables while one Trace is written."""

    def __init__(self) -> None:
        self.texts = _Table()
        self.frames = _Table()
        self.nodes = _Table()
        self.origins = _Table()
        self.loads = _Table()
        self.writers: Mapping[str, Callable[[Iterable[Any]], list[Any]]] = {
            "int": list,
            "int?": list,
            "flag": list,
            "rising": _differences,
            "ints": lambda rows: [list(row) for row in rows],
            "text": lambda values: list(map(self.texts.place, values)),
            "text?": lambda values: list(map(self.texts.place_or_none, values)),
            "texts": lambda rows: [list(map(self.texts.place, row)) for row in rows],
            "origin": self.origins.all_places,
            "frame": lambda values: list(map(self.frames.place_or_none, values)),
        }

    def document(self, trace: Trace) -> dict[str, Any]:
        traces: list[dict[str, Any]] = []
        waiting: list[tuple[Trace, int]] = [(trace, -1)]
        while waiting:
            item, parent = waiting.pop()
            waiting += [(child, len(traces)) for child in reversed(item.children)]
            traces.append(self.one(item, parent))
        # The tables last, each after those that point into it.
        origins = [self.steps(origin) for origin in self.origins.places]
        return {
            "traces": traces,
            "loads": self.columns(list(self.loads.places), _KIND_OF_LOAD),
            "origins": origins,
            "frames": self.columns(list(self.frames.places), _FRAME),
            "nodes": self.columns(list(self.nodes.places), _NODE),
            "texts": list(self.texts.places),
        }

    def one(self, trace: Trace, parent: int) -> dict[str, Any]:
        written = {name: getattr(trace, name) for name in _PLAIN_FIELDS}
        written["parent"] = parent
        written["error"] = trace.error
        written["attributes"] = dict(trace.attributes)
        written["dropped"] = dict(trace.dropped)
        written["failures"] = [list(failure) for failure in trace.failures]
        written["queries"] = self.queries(trace.queries)
        for name, (_, fields) in _FACTS.items():
            written[name] = self.columns(getattr(trace, name), fields)
        return written

    def columns(self, facts: Sequence[Any], fields: Mapping[str, str]) -> Columns:
        """Return the facts column by column; an empty dict for none.

        The first column is never folded: its length tells the number of facts.
        """
        if not facts:
            return {}
        names = getattr(type(facts[0]), "_fields", tuple(fields))
        by_name = dict(zip(names, zip(*facts, strict=True), strict=True))
        written = {name: self.writers[how](by_name[name]) for name, how in fields.items()}
        first = next(iter(fields))
        return {name: v if name == first else _folded(v) for name, v in written.items()}

    def queries(self, queries: tuple[Query, ...]) -> dict[str, Any]:
        if not queries:
            return {}
        written: dict[str, Any] = self.columns(queries, _QUERY)
        written["gap_ns"] = _gaps(queries)
        keys = _Table()
        written["key"] = _differences([keys.place(query.parameters_key) for query in queries])
        written["keys"] = _joined([str(key) for key in keys.places])
        if any(query.parameters is not None for query in queries):
            written["parameters"] = [
                None if query.parameters is None else list(map(to_plain, query.parameters))
                for query in queries
            ]
        written["load"] = _folded([self.kind_of_load(query.load) for query in queries])
        written["loads"] = self.columns([q.load for q in queries if q.load is not None], _LOAD)
        return written

    def kind_of_load(self, load: Load | None) -> int | None:
        if load is None:
            return None
        return self.loads.place(tuple(getattr(load, name) for name in _KIND_OF_LOAD))

    def steps(self, origin: Any) -> list[int]:
        """Return an origin's steps: the place of a frame, -1 minus the place of a node."""
        return [
            self.frames.place(step) if isinstance(step, Frame) else -1 - self.nodes.place(step)
            for step in origin.steps
        ]


class _Decoder:
    """The tables while one Trace is read."""

    def __init__(self, document: Any) -> None:
        self.document = document
        self.texts = [_checked(text, str) for text in document["texts"]]
        self.readers: Mapping[str, Callable[[list[Any]], list[Any]]] = {
            "int": lambda values: [_checked(value, int) for value in values],
            "int?": lambda values: [
                None if value is None else _checked(value, int) for value in values
            ],
            "flag": lambda values: [_checked(value, bool) for value in values],
            "rising": _sums,
            "ints": lambda rows: [tuple(_checked(value, int) for value in row) for row in rows],
            "text": lambda places: [_at(self.texts, place) for place in places],
            "text?": lambda places: [
                None if place is None else _at(self.texts, place) for place in places
            ],
            "texts": lambda rows: [tuple(_at(self.texts, place) for place in row) for row in rows],
            "origin": lambda places: [_at(self.origins, place) for place in places],
            "frame": lambda places: [
                None if place is None else _at(self.frames, place) for place in places
            ],
        }
        self.frames = self.facts(document["frames"], _FRAME, Frame)
        self.nodes = self.facts(document["nodes"], _NODE, TemplateNode)
        self.loads = self.rows(document["loads"], _KIND_OF_LOAD)
        self.origins = [
            Origin(tuple(map(self.step, places))) if places else NOWHERE
            for places in document["origins"]
        ]

    def trace(self) -> Trace:
        written = self.document["traces"]
        children: list[list[Trace]] = [[] for _ in written]
        # Backwards: a nested Trace stands after the one that it hangs under.
        for place in range(len(written) - 1, 0, -1):
            parent = written[place]["parent"]
            if not 0 <= parent < place:
                raise ValueError(f"Trace {place} hangs under {parent}")
            children[parent].append(self.one(written[place], children[place]))
        return self.one(written[0], children[0])

    def one(self, written: dict[str, Any], children: list[Trace]) -> Trace:
        plain: dict[str, Any] = {
            name: _checked(written[name], kind) for name, kind in _PLAIN_FIELDS.items()
        }
        facts: dict[str, Any] = {
            name: tuple(self.facts(written[name], fields, kind))
            for name, (kind, fields) in _FACTS.items()
        }
        error = written["error"]
        return Trace(
            **plain,
            **facts,
            error=None if error is None else _checked(error, str),
            attributes={name: _checked(v, str) for name, v in written["attributes"].items()},
            dropped={name: _checked(v, int) for name, v in written["dropped"].items()},
            failures=tuple(Failure(*failure) for failure in written["failures"]),
            queries=self.queries(written["queries"]),
            children=tuple(reversed(children)),
        )

    def rows(self, columns: Columns, fields: Mapping[str, str]) -> list[tuple[Any, ...]]:
        """Return facts row by row."""
        if not columns:
            return []
        count = len(columns[next(iter(fields))])
        read = [self.readers[how](_unfolded(columns[name], count)) for name, how in fields.items()]
        return list(zip(*read, strict=True))

    def facts(self, columns: Columns, fields: Mapping[str, str], kind: Any) -> list[Any]:
        return list(map(kind._make, self.rows(columns, fields)))

    def queries(self, written: dict[str, Any]) -> tuple[Query, ...]:
        if not written:
            return ()
        rows = self.rows(written, _QUERY)
        keys = _split(written["keys"])
        places: list[Any] = _sums(written["key"])
        loads = iter(self.rows(written["loads"], _LOAD))
        kinds = _unfolded(written["load"], len(rows))
        parameters = written.get("parameters") or [None] * len(rows)
        end = 0
        found = []
        for row, gap, place, kind, values in zip(
            rows, written["gap_ns"], places, kinds, parameters, strict=True
        ):
            fields = dict(zip(_QUERY, row, strict=True))
            start = end + gap
            end = start + fields["duration_ns"]
            found.append(
                Query(
                    **fields,
                    start_ns=start,
                    parameters_key=_at(keys, place),
                    parameters=None if values is None else tuple(map(from_plain, values)),
                    load=None if kind is None else self.load(kind, next(loads)),
                )
            )
        return tuple(found)

    def load(self, kind: int, own: tuple[Any, ...]) -> Load:
        relation, owner, attribute, narrowed, batched = _at(self.loads, kind)
        parent, parents, parent_query = own
        return Load(relation, owner, attribute, parent, parents, parent_query, narrowed, batched)

    def step(self, place: int) -> Frame | TemplateNode:
        step: Frame | TemplateNode = (
            _at(self.frames, place) if place >= 0 else _at(self.nodes, -1 - place)
        )
        return step


def _folded(column: list[Any]) -> list[Any]:
    """Return a column of one repeated value as that value alone."""
    return column[:1] if len(column) > 1 and column.count(column[0]) == len(column) else column


def _unfolded(column: list[Any], count: int) -> list[Any]:
    return column * count if len(column) == 1 else column


def _differences(values: Iterable[int | None]) -> list[int | None]:
    """Return each number less the one before; None stands and is passed over."""
    written: list[int | None] = []
    before = 0
    for value in values:
        if value is None:
            written.append(None)
        else:
            written.append(value - before)
            before = value
    return written


def _sums(differences: list[Any]) -> list[int | None]:
    found: list[int | None] = []
    total = 0
    for difference in differences:
        if difference is None:
            found.append(None)
        else:
            total += _checked(difference, int)
            found.append(total)
    return found


def _gaps(queries: tuple[Query, ...]) -> list[int]:
    """Return the time from the end of each statement's predecessor to its own start."""
    gaps = []
    end = 0
    for query in queries:
        gaps.append(query.start_ns - end)
        end = query.end_ns
    return gaps


def _joined(keys: list[str]) -> str | list[str]:
    """Return digests without anything between them: quotes and commas cost 10 % of a Trace."""
    text = "".join(keys)
    whole = _DIGESTS.fullmatch(text) and all(len(key) == _DIGEST_CHARS for key in keys)
    return text if whole else keys


def _split(keys: Any) -> list[str]:
    if isinstance(keys, str):
        return [keys[n : n + _DIGEST_CHARS] for n in range(0, len(keys), _DIGEST_CHARS)]
    return [_checked(key, str) for key in keys]


def _at(table: Sequence[Any], place: int) -> Any:
    """Return an entry of a table; a negative place is an error, not the table's end."""
    if place < 0:
        raise IndexError(f"no place {place} in a table")
    return table[place]


def _checked(value: Any, kind: type) -> Any:
    if type(value) is not kind:
        raise TypeError(f"{type(value).__name__} where {kind.__name__} was written")
    return value
