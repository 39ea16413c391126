"""Traces as bytes and back: columns over shared tables, compressed.

An N+1 repeats itself: a column of one fact of all statements compresses to next to nothing
where a row per statement would not. Texts and positions stand once in tables that all nested
Traces share; rising numbers are written as differences, starts as gaps after the statement
before. ``SCHEMA_VERSION`` counts the formats; every format ever written stays readable.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

from queryscope.errors import TraceFormatError
from queryscope.trace.columns import (
    Table,
    checked,
    differences,
    digests_of,
    entry,
    folded,
    gaps_of,
    joined,
    sums_of,
    unfolded,
)
from queryscope.trace.connections import Engine
from queryscope.trace.events import (
    NOWHERE,
    SCHEMA_VERSION,
    Answer,
    Frame,
    Load,
    Origin,
    Query,
    Read,
    TemplateNode,
    Trace,
)
from queryscope.trace.fields import (
    ENGINE,
    FACTS,
    FRAME,
    KIND_OF_LOAD,
    LOAD,
    NODE,
    PLAIN_FIELDS,
    QUERY,
    READ,
    READ_SINCE,
    SINCE_2,
    WINDOW,
)
from queryscope.trace.guard import Failure
from queryscope.trace.packing import Envelope, damaged, pack, unpack
from queryscope.trace.values import from_plain, to_plain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    Columns = dict[str, list[Any]]

ENVELOPE = Envelope(b"T", "Trace", SCHEMA_VERSION)

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
    version, document = unpack(ENVELOPE, data)
    try:
        return _Decoder(document, version).trace()
    except _BROKEN as error:
        raise damaged(ENVELOPE.name, f"{type(error).__name__}: {error}") from error


class _Encoder:
    """The tables while one Trace is written."""

    def __init__(self) -> None:
        self.texts = Table()
        self.frames = Table()
        self.nodes = Table()
        self.origins = Table()
        self.loads = Table()
        self.writers: Mapping[str, Callable[[Iterable[Any]], list[Any]]] = {
            "int": list,
            "int?": list,
            "flag": list,
            "rising": differences,
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
            "loads": self.columns(list(self.loads.places), KIND_OF_LOAD),
            "origins": origins,
            "frames": self.columns(list(self.frames.places), FRAME),
            "nodes": self.columns(list(self.nodes.places), NODE),
            "texts": list(self.texts.places),
        }

    def one(self, trace: Trace, parent: int) -> dict[str, Any]:
        written = {name: getattr(trace, name) for name in PLAIN_FIELDS}
        written["parent"] = parent
        written["error"] = trace.error
        written["attributes"] = dict(trace.attributes)
        written["dropped"] = dict(trace.dropped)
        written["failures"] = [list(failure) for failure in trace.failures]
        written["queries"] = self.queries(trace.queries)
        for name, (_, fields) in FACTS.items():
            written[name] = self.columns(getattr(trace, name), fields)
        if trace.engines:
            written["engines"] = self.columns(trace.engines, ENGINE)
        if any(item.ending_ns for item in trace.transactions):
            written["ending_ns"] = [item.ending_ns for item in trace.transactions]
        if trace.reads:
            written["reads"] = self.columns(trace.reads, {**READ, **READ_SINCE})
        if trace.unchanged:
            written["unchanged"] = [list(pair) for pair in trace.unchanged]
        if trace.answer is not None:
            written["answer"] = list(trace.answer)
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
        return {name: v if name == first else folded(v) for name, v in written.items()}

    def queries(self, queries: tuple[Query, ...]) -> dict[str, Any]:
        if not queries:
            return {}
        written: dict[str, Any] = self.columns(queries, QUERY)
        written["gap_ns"] = gaps_of(queries)
        keys = Table()
        written["key"] = differences([keys.place(query.parameters_key) for query in queries])
        written["keys"] = joined([str(key) for key in keys.places])
        if any(query.parameters is not None for query in queries):
            written["parameters"] = [
                None if query.parameters is None else list(map(to_plain, query.parameters))
                for query in queries
            ]
        if any(query.values is not None for query in queries):
            sets = Table()
            written["sent"] = differences([sets.place_or_none(q.values) for q in queries])
            tuples: list[Any] = list(sets.places)
            written["value_counts"] = folded(list(map(len, tuples)))
            written["values"] = differences(number for numbers in tuples for number in numbers)
        for name in WINDOW:
            if any(getattr(query, name) is not None for query in queries):
                written[name] = folded([getattr(query, name) for query in queries])
        written["load"] = folded([self.kind_of_load(query.load) for query in queries])
        written["loads"] = self.columns([q.load for q in queries if q.load is not None], LOAD)
        return written

    def kind_of_load(self, load: Load | None) -> int | None:
        if load is None:
            return None
        return self.loads.place(tuple(getattr(load, name) for name in KIND_OF_LOAD))

    def steps(self, origin: Any) -> list[int]:
        """Return an origin's steps: the place of a frame, -1 minus the place of a node."""
        return [
            self.frames.place(step) if isinstance(step, Frame) else -1 - self.nodes.place(step)
            for step in origin.steps
        ]


class _Decoder:
    """The tables while one Trace is read."""

    def __init__(self, document: Any, version: int) -> None:
        self.document = document
        self.version = version
        self.texts = [checked(text, str) for text in document["texts"]]
        self.readers: Mapping[str, Callable[[list[Any]], list[Any]]] = {
            "int": lambda values: [checked(value, int) for value in values],
            "int?": lambda values: [
                None if value is None else checked(value, int) for value in values
            ],
            "flag": lambda values: [checked(value, bool) for value in values],
            "rising": sums_of,
            "ints": lambda rows: [tuple(checked(value, int) for value in row) for row in rows],
            "text": lambda places: [entry(self.texts, place) for place in places],
            "text?": lambda places: [
                None if place is None else entry(self.texts, place) for place in places
            ],
            "texts": lambda rows: [
                tuple(entry(self.texts, place) for place in row) for row in rows
            ],
            "origin": lambda places: [entry(self.origins, place) for place in places],
            "frame": lambda places: [
                None if place is None else entry(self.frames, place) for place in places
            ],
        }
        self.frames = self.facts(document["frames"], FRAME, Frame)
        self.nodes = self.facts(document["nodes"], NODE, TemplateNode)
        self.loads = self.rows(document["loads"], KIND_OF_LOAD)
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
            name: checked(written[name], kind) for name, kind in PLAIN_FIELDS.items()
        }
        facts: dict[str, Any] = {
            name: tuple(self.facts(written[name], fields, kind))
            for name, (kind, fields) in FACTS.items()
            if self.version > 1 or name not in SINCE_2
        }
        if "ending_ns" in written:
            facts["transactions"] = tuple(
                item._replace(ending_ns=checked(ending_ns, int))
                for item, ending_ns in zip(facts["transactions"], written["ending_ns"], strict=True)
            )
        error = written["error"]
        return Trace(
            **plain,
            **facts,
            error=None if error is None else checked(error, str),
            attributes={name: checked(v, str) for name, v in written["attributes"].items()},
            dropped={name: checked(v, int) for name, v in written["dropped"].items()},
            failures=tuple(Failure(*failure) for failure in written["failures"]),
            queries=self.queries(written["queries"]),
            engines=tuple(self.facts(written.get("engines", {}), ENGINE, Engine)),
            reads=tuple(self.reads(written.get("reads", {}))),
            answer=_answer(written.get("answer")),
            unchanged=tuple(
                (checked(update, int), checked(load, int))
                for update, load in written.get("unchanged", ())
            ),
            children=tuple(reversed(children)),
        )

    def reads(self, columns: Columns) -> list[Read]:
        since = {name: how for name, how in READ_SINCE.items() if name in columns}
        return [
            Read(**dict(zip((*READ, *since), row, strict=True)))
            for row in self.rows(columns, {**READ, **since})
        ]

    def rows(self, columns: Columns, fields: Mapping[str, str]) -> list[tuple[Any, ...]]:
        """Return facts row by row."""
        if not columns:
            return []
        count = len(columns[next(iter(fields))])
        read = [self.readers[how](unfolded(columns[name], count)) for name, how in fields.items()]
        return list(zip(*read, strict=True))

    def facts(self, columns: Columns, fields: Mapping[str, str], kind: Any) -> list[Any]:
        # Not _make(): facts have fields that are written only where they say something.
        return [kind(*row) for row in self.rows(columns, fields)]

    def queries(self, written: dict[str, Any]) -> tuple[Query, ...]:
        if not written:
            return ()
        rows = self.rows(written, QUERY)
        keys = digests_of(written["keys"])
        places: list[Any] = sums_of(written["key"])
        loads = iter(self.rows(written["loads"], LOAD))
        kinds = unfolded(written["load"], len(rows))
        parameters = written.get("parameters") or [None] * len(rows)
        sent = self.sent(written, len(rows))
        end = 0
        found = []
        for row, gap, place, kind, values, extra in zip(
            rows, written["gap_ns"], places, kinds, parameters, sent, strict=True
        ):
            fields = dict(zip(QUERY, row, strict=True))
            start = end + gap
            end = start + fields["duration_ns"]
            found.append(
                Query(
                    **fields,
                    start_ns=start,
                    parameters_key=entry(keys, place),
                    parameters=None if values is None else tuple(map(from_plain, values)),
                    load=None if kind is None else self.load(kind, next(loads)),
                    values=extra[0],
                    limit=extra[1],
                    offset=extra[2],
                )
            )
        return tuple(found)

    def sent(self, written: dict[str, Any], count: int) -> list[tuple[Any, ...]]:
        """Return (values, limit, offset) of each statement; Traces of long ago have none."""
        numbers = iter(sums_of(written.get("values", [])))
        places: list[Any] = sums_of(written.get("sent", [None] * count))
        most = 1 + max((place for place in places if place is not None), default=-1)
        if most > count:
            raise ValueError(f"{most} sets of parameters for {count} statements")
        sets = [
            tuple(islice(numbers, length))
            for length in unfolded(written.get("value_counts", []), most)
        ]
        columns = [[None if place is None else entry(sets, place) for place in places]]
        columns += [
            self.readers["int?"](unfolded(written.get(name, [None]), count)) for name in WINDOW
        ]
        return list(zip(*columns, strict=True))

    def load(self, kind: int, own: tuple[Any, ...]) -> Load:
        relation, owner, attribute, narrowed, batched = entry(self.loads, kind)
        parent, parents, parent_query = own
        return Load(relation, owner, attribute, parent, parents, parent_query, narrowed, batched)

    def step(self, place: int) -> Frame | TemplateNode:
        step: Frame | TemplateNode = (
            entry(self.frames, place) if place >= 0 else entry(self.nodes, -1 - place)
        )
        return step


_ANSWER = (str, str, int, str, str, bool, bool)


def _answer(written: Any) -> Answer | None:
    """Return the answer that was written as a list, None where there is none."""
    if written is None:
        return None
    return Answer(*(checked(value, kind) for value, kind in zip(written, _ANSWER, strict=True)))
