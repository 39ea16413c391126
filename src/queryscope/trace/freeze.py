"""From a closed Recorder to a Trace: positions resolved, values digested, facts paired up."""

from __future__ import annotations

import hashlib
import os
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

from queryscope.trace import codes, guard
from queryscope.trace.codes import NODE_STEP
from queryscope.trace.events import (
    NOWHERE,
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

if TYPE_CHECKING:
    from queryscope.trace.recorder import OpenCheckout, OpenSession, OpenTransaction, Recorder

_PLAIN = frozenset(
    {str, int, float, bool, type(None), bytes, Decimal, date, datetime, time, timedelta, UUID}
)
MAX_DEPTH = 12
"""Lists in lists that are looked into; deeper ones are told apart by identity."""
_process_key = os.urandom(16)


def freeze(recorder: Recorder, key: bytes = _process_key) -> Trace:
    """Return the Trace of a closed Recorder, its nested ones included.

    Args:
        recorder: A closed Recorder; it is not changed.
        key: Keys the digests of parameters, up to 64 bytes: one per project, so that Traces of
            several processes can be compared and nobody else can guess values from digests.
    """
    return _Freezer(recorder, key).trace()


def parameters_key(parameters: Any, key: bytes = _process_key) -> str:
    """Return a digest that is equal for equal parameters, ``""`` for none.

    Values of classes that we do not know are told apart by identity: their ``__repr__`` is the
    user's code, and it is not ours to run.
    """
    if _is_empty(parameters):
        return ""
    return hashlib.blake2b(
        _text_of(parameters).encode("utf-8", "replace"), digest_size=8, key=key
    ).hexdigest()


def _is_empty(parameters: Any) -> bool:
    return parameters is None or (type(parameters) in (tuple, list, dict) and not parameters)


def _text_of(parameters: Any) -> str:
    """Return what the digest is made of; parameters that cannot be written out have their identity.

    A time zone's ``__repr__``, or the hash of a name, are the user's code after all.
    """
    try:
        return _text(parameters)
    except Exception as error:  # noqa: BLE001 - the guard passes on what is not ours
        guard.caught(error, "freeze.parameters")
        return f"<{type(parameters).__qualname__} {id(parameters)}>"


def _text(value: Any, depth: int = MAX_DEPTH) -> str:
    kind = type(value)
    if kind is int:
        # Python refuses to write very long integers in decimal, and any user may send one.
        return repr(value) if -(2**64) < value < 2**64 else hex(value)
    if kind in _PLAIN:
        return repr(value)
    if depth and (kind is tuple or kind is list):
        return "(" + ",".join(_text(item, depth - 1) for item in value) + ")"
    if depth and kind is dict:
        return "{" + ",".join(f"{_text(k)}:{_text(value[k], depth - 1)}" for k in value) + "}"
    # A safe string, or a member of an enumeration of strings, is sent as its plain value.
    if issubclass(kind, int):
        return _text(int.__index__(value))
    for base in (str, float):
        if issubclass(kind, base):
            return base.__repr__(value)
    return f"<{kind.__module__}.{kind.__qualname__} {id(value)}>"


class _Freezer:
    """The tables needed while one Recorder is frozen."""

    def __init__(self, recorder: Recorder, key: bytes) -> None:
        self.recorder = recorder
        self.key = key
        self.base = recorder.start_ns
        # Copies, each made in one step: a thread that was interrupted when the Recorder closed may
        # still add its fact. Statements first, so that what they refer to is there.
        self.raw = list(recorder.queries)
        self.sessions = list(recorder.sessions)
        self.checkouts = list(recorder.checkouts)
        self.transactions = list(recorder.transactions)
        self.stages = list(recorder.stages)
        chains = list(recorder.chains.items())
        self.origins = {site: self._origin(chain) for chain, site in chains}
        self.keys: dict[str, str] = {}
        self.parents: dict[int, int] = {}
        self.session_numbers = {item.uid: n for n, item in enumerate(self.sessions)}
        self.checkout_numbers = {item.uid: n for n, item in enumerate(self.checkouts)}
        self.transaction_numbers = {item.uid: n for n, item in enumerate(self.transactions)}
        self.users: dict[int, dict[int, None]] = {}
        """Threads that sent a statement on a session, by the session's uid, in order."""

    def trace(self) -> Trace:
        recorder = self.recorder
        queries = self._queries()
        return Trace(
            id=recorder.id,
            kind=recorder.kind,
            name=recorder.name,
            started_at_ns=recorder.started_at_ns,
            duration_ns=max(recorder.end_ns - recorder.start_ns, 0),
            mode=recorder.mode,
            recording="full" if recorder.full else "light",
            w3c_trace_id=recorder.w3c_trace_id,
            attributes=dict(recorder.attributes),
            error=recorder.error,
            queries=queries,
            sessions=tuple(self._session(n, item) for n, item in enumerate(self.sessions)),
            checkouts=self._checkouts(queries),
            transactions=tuple(
                self._transaction(n, item) for n, item in enumerate(self.transactions)
            ),
            stages=self._stages(queries),
            orphans=recorder.orphans + (0 if recorder.late is None else recorder.late.orphans),
            dropped=dict(recorder.dropped),
            unlabelled=recorder.label_failures,
            failures=guard.failures(),
            process=os.getpid(),
            children=tuple(freeze(child, self.key) for child in recorder.children),
        )

    def _origin(self, chain: tuple[int, ...]) -> Origin:
        table = self.recorder.table
        steps: list[Frame | TemplateNode] = []
        for key, instruction in zip(chain[::2], chain[1::2], strict=True):
            step: Frame | TemplateNode | None = None
            try:
                if instruction == NODE_STEP:
                    step = _django_node(self.recorder.nodes.get(key))
                else:
                    step = table.resolve(key, instruction)
            except Exception as error:  # noqa: BLE001 - the guard passes on what is not ours
                guard.caught(error, "freeze.origin")  # a property of the user's own tag
            if step is not None:
                steps.append(step)
        # A form's own widgets are templates of the library; the tag that asked for the form is
        # the user's. Where no tag of the user's is known, the library's is better than none.
        own = [step for step in steps if isinstance(step, Frame) or not _is_library(step)]
        if any(isinstance(step, TemplateNode) for step in own):
            steps = own
        return Origin(tuple(steps)) if steps else NOWHERE

    def _at(self, site: int) -> Origin:
        return self.origins.get(site, NOWHERE)

    def _queries(self) -> tuple[Query, ...]:
        recorder = self.recorder
        numbers = {raw[0]: n for n, raw in enumerate(self.raw)}
        rows = recorder.rows
        keep = recorder.keep_values
        found = []
        for number, raw in enumerate(self.raw):
            (uid, start, duration, statement, parameters, many, info, checkout, session,
             transaction, thread, stage, site, label, error) = raw  # fmt: skip
            if session is not None:
                self.users.setdefault(session.uid, {})[thread] = None
            operation, model = "cursor", ""
            load = created = None
            if label is not None:
                operation, model, load, created = self._label(label, numbers)
            found.append(
                Query(
                    number,
                    start - self.base,
                    duration,
                    statement,
                    info.vendor,
                    info.database,
                    self._key(parameters),
                    _kept(parameters) if keep else None,
                    many,
                    rows.get(uid),
                    error,
                    info.uid,
                    None if checkout is None else self.checkout_numbers.get(checkout.uid),
                    None if session is None else self.session_numbers.get(session.uid),
                    None if transaction is None else self.transaction_numbers.get(transaction.uid),
                    stage,
                    thread,
                    self._at(site),
                    operation,
                    model,
                    load,
                    created,
                )
            )
        return tuple(found)

    def _key(self, parameters: Any) -> str:
        if _is_empty(parameters):
            return ""
        text = _text_of(parameters)
        key = self.keys.get(text)
        if key is None:
            key = self.keys[text] = hashlib.blake2b(
                text.encode("utf-8", "replace"), digest_size=8, key=self.key
            ).hexdigest()
        return key

    def _label(
        self, label: tuple[Any, ...], numbers: dict[int, int]
    ) -> tuple[str, str, Load | None, Frame | None]:
        static, parent, parents, parent_uid = label
        operation, model, relation, owner, attribute, narrowed, batched, created = static
        load = None
        if relation:
            load = Load(
                relation,
                class_name(owner),
                attribute,
                # Numbered within the Trace: the identity itself would tell the key's value.
                None if parent is None else self.parents.setdefault(parent, len(self.parents)),
                parents,
                numbers.get(parent_uid),
                narrowed,
                batched,
            )
        return operation, class_name(model), load, codes.position_of(created) if created else None

    def _session(self, number: int, item: OpenSession) -> Session:
        return Session(
            number,
            item.opened_ns - self.base,
            (item.first_used_ns or item.opened_ns) - self.base,
            None if item.closed_ns is None else item.closed_ns - self.base,
            self._at(item.site),
            item.thread,
            tuple(item.threads | self.users.get(item.uid, {})),
            item.framework,
            tuple(item.databases),
        )

    def _checkouts(self, queries: tuple[Query, ...]) -> tuple[Checkout, ...]:
        busy: dict[int, int] = {}
        for query in queries:
            if query.checkout is not None:
                busy[query.checkout] = busy.get(query.checkout, 0) + query.duration_ns
        return tuple(
            self._checkout(number, item, busy.get(number, 0))
            for number, item in enumerate(self.checkouts)
        )

    def _checkout(self, number: int, item: OpenCheckout, busy_ns: int) -> Checkout:
        base = self.base
        returned = item.returned_ns
        if returned is not None and returned > self.recorder.end_ns:
            # It came back after the end, by garbage collection perhaps: not returned in time.
            returned = None
        return Checkout(
            number,
            item.pool,
            item.pool_uid,
            item.size,
            item.max_overflow,
            item.connection,
            item.asked_ns - base,
            item.waited_ns,
            item.connect_ns,
            None if item.got_ns is None else item.got_ns - base,
            None if returned is None else returned - base,
            item.error,
            item.overflow,
            self._at(item.site),
            item.thread,
            None if item.session is None else self.session_numbers.get(item.session.uid),
            item.held_before,
            item.holders,
            busy_ns,
        )

    def _transaction(self, number: int, item: OpenTransaction) -> Transaction:
        return Transaction(
            number,
            item.connection,
            item.database,
            item.started_ns - self.base,
            None if item.ended_ns is None else item.ended_ns - self.base,
            item.outcome,
            item.savepoints,
            self._at(item.site),
            item.thread,
        )

    def _stages(self, queries: tuple[Query, ...]) -> tuple[Stage, ...]:
        stages = self.stages
        if not stages:
            return ()
        counts = [0] * len(stages)
        database = [0] * len(stages)
        waits = [0] * len(stages)
        inner = [0] * len(stages)
        ends = [self.recorder.end_ns if item.end_ns is None else item.end_ns for item in stages]
        for query in queries:
            if 0 <= query.stage < len(stages):
                counts[query.stage] += 1
                database[query.stage] += query.duration_ns
        for checkout in self.checkouts:
            index = self._stage_at(checkout.asked_ns, checkout.thread, ends)
            if index >= 0:
                waits[index] += checkout.waited_ns
        for item, end in zip(stages, ends, strict=True):
            if item.parent >= 0 and stages[item.parent].thread == item.thread:
                inner[item.parent] += end - item.start_ns
        return tuple(
            Stage(
                n,
                item.name,
                item.kind,
                item.parent,
                item.start_ns - self.base,
                ends[n] - item.start_ns,
                item.thread,
                counts[n],
                database[n],
                waits[n],
                max(ends[n] - item.start_ns - database[n] - waits[n] - inner[n], 0),
            )
            for n, item in enumerate(stages)
        )

    def _stage_at(self, moment_ns: int, thread: int, ends: list[int]) -> int:
        """Return the innermost stage of a thread at a moment, -1 for none."""
        found = -1
        for n, item in enumerate(self.stages):
            if item.thread == thread and item.start_ns <= moment_ns <= ends[n]:
                found = n
        return found


def _kept(parameters: Any) -> tuple[object, ...] | None:
    """Return parameters as a tuple of plain values; what is not plain becomes its class name."""
    if parameters is None:
        return None
    kind = type(parameters)
    if issubclass(kind, dict):
        return tuple(
            (name if type(name) is str else f"<{type(name).__qualname__}>", _plain(value))
            for name, value in dict.items(parameters)
        )
    for base in (list, tuple):
        if issubclass(kind, base):
            return tuple(_plain(value) for value in base.__iter__(parameters))
    return (_plain(parameters),)


def _plain(value: object) -> object:
    if type(value) in _PLAIN:
        return value
    if type(value) in (list, tuple):
        return tuple(_plain(item) for item in value)  # type: ignore[attr-defined]
    return f"<{type(value).__qualname__}>"


def class_name(model: Any) -> str:
    """Return how a model is called: Django's ``app.Model``, else the class's qualified name."""
    if type(model) is str:
        return model
    try:
        label = getattr(getattr(model, "_meta", None), "label", None)
        return label if isinstance(label, str) else str(model.__qualname__)
    except Exception as error:  # noqa: BLE001 - the guard passes on what is not ours
        guard.caught(error, "freeze.model")  # an attribute of the user's own metaclass
        return ""


def _is_library(node: TemplateNode) -> bool:
    return node.file is not None and not codes.is_user("", node.file)


def _django_node(node: Any) -> TemplateNode | None:
    token = getattr(node, "token", None)
    origin = getattr(node, "origin", None)
    if token is None:
        return None
    name = str(
        getattr(origin, "template_name", None) or getattr(origin, "name", "") or "<template>"
    )
    file = getattr(origin, "name", None)
    if not isinstance(file, str) or file.startswith("<"):
        file = None
    return TemplateNode(name, file, int(token.lineno or 0), str(token.contents)[:200], "django")
