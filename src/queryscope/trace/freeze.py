"""From a closed Recorder to a Trace: positions resolved, values digested, facts paired up."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from queryscope.trace import codes, guard, lasting, reads
from queryscope.trace.codes import NODE_STEP
from queryscope.trace.connections import Checkout, Engine, Session, Transaction
from queryscope.trace.events import (
    NOWHERE,
    ExternalCall,
    Frame,
    Load,
    LogCall,
    Origin,
    Query,
    Stage,
    TemplateNode,
    Trace,
)
from queryscope.trace.parameters import (
    PROCESS_KEY,
    as_kept,
    digest_of,
    is_empty,
    text_of,
    value_text,
)
from queryscope.trace.sent import NO_WINDOW, Window, in_order, window_of

if TYPE_CHECKING:
    from queryscope.trace.events import Read
    from queryscope.trace.facts import (
        OpenCheckout,
        OpenEngine,
        OpenLogCall,
        OpenSession,
        OpenTransaction,
    )
    from queryscope.trace.recorder import Recorder

APART = "\0"
"""Between a database's name and what tells it from others of that name, where an adapter knows."""


def freeze(recorder: Recorder, key: bytes = PROCESS_KEY) -> Trace:
    """Return the Trace of a closed Recorder, its nested ones included.

    Args:
        recorder: A closed Recorder; it is not changed.
        key: Keys the digests of parameters, up to 64 bytes: one per project, so that Traces of
            several processes can be compared and nobody else can guess values from digests.
    """
    for write in lasting.unwritten:
        write()
    return _Freezer(recorder, key).trace()


class _Freezer:
    """The tables needed while one Recorder is frozen."""

    def __init__(
        self, recorder: Recorder, key: bytes, databases: dict[str, str] | None = None
    ) -> None:
        self.recorder = recorder
        self.key = key
        self.databases = {} if databases is None else databases
        self.base = recorder.start_ns
        # Copies, each made in one step: a thread that was interrupted when the Recorder closed may
        # still add its fact. Statements first, so that what they refer to is there.
        self.raw = recorder.queries
        self.sessions = list(recorder.sessions)
        self.checkouts = list(recorder.checkouts)
        self.transactions = list(recorder.transactions)
        self.engines = list(recorder.engines)
        self.stages = list(recorder.stages)
        self.log_calls = list(recorder.log_calls.values())
        self.external_calls = list(recorder.external_calls)
        chains = list(recorder.chains.items())
        self.origins = {site: self._origin(chain) for chain, site in chains}
        self.keys: dict[str, str] = {}
        self.sent: dict[tuple[str, str], tuple[tuple[int, ...] | None, Window]] = {}
        self.numbers: dict[str, int] = {}
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
            engines=tuple(self._engine(n, item) for n, item in enumerate(self.engines)),
            stages=self._stages(queries),
            reads=self._reads(),
            unchanged=self._unchanged(),
            answer=None if recorder.answer is None else recorder.answer.frozen(self.key),
            log_calls=tuple(self._log_call(n, item) for n, item in enumerate(self.log_calls)),
            external_calls=tuple(
                self._external_call(n, item) for n, item in enumerate(self.external_calls)
            ),
            orphans=recorder.orphans + (0 if recorder.late is None else recorder.late.orphans),
            dropped=dict(recorder.dropped),
            unlabelled=recorder.label_failures,
            failures=guard.failures(),
            process=os.getpid(),
            children=tuple(
                _Freezer(child, self.key, self.databases).trace() for child in recorder.children
            ),
        )

    def _origin(self, chain: tuple[int, ...]) -> Origin:
        table = self.recorder.table
        steps: list[Frame | TemplateNode] = []
        for key, instruction in zip(chain[::2], chain[1::2], strict=True):
            step: Frame | TemplateNode | None = None
            try:
                if instruction == NODE_STEP:
                    step = codes.django_node(self.recorder.nodes.get(key))
                else:
                    step = table.resolve(key, instruction)
            except Exception as error:  # noqa: BLE001 - the guard passes on what is not ours
                guard.caught(error, "freeze.origin")  # a property of the user's own tag
            if step is not None:
                steps.append(step)
        # A form's own widgets are templates of the library; the tag that asked for the form is
        # the user's. Where no tag of the user's is known, the library's is better than none.
        own = [step for step in steps if codes.is_own(step)]
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
            key = self._key(parameters)
            sent, window = self._sent(statement, parameters, key, many)
            found.append(
                Query(
                    number,
                    start - self.base,
                    duration,
                    statement,
                    info.vendor,
                    self._database(info.database),
                    key,
                    as_kept(parameters) if keep else None,
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
                    sent,
                    *window,
                )
            )
        return tuple(found)

    def _sent(
        self, statement: str, parameters: Any, key: str, many: int
    ) -> tuple[tuple[int, ...] | None, Window]:
        """Return a number for each parameter, and the LIMIT and OFFSET that were asked for."""
        if many:
            return None, NO_WINDOW
        known = self.sent.get((statement, key))
        if known is None:
            try:
                values = in_order(statement, parameters)
                numbers = None if values is None else tuple(map(self._number, values))
                known = numbers, window_of(statement, values)
            except Exception as error:  # noqa: BLE001 - the guard passes on what is not ours
                guard.caught(error, "freeze.parameters")
                known = None, NO_WINDOW
            self.sent[statement, key] = known
        return known

    def _number(self, value: Any) -> int:
        return self.numbers.setdefault(value_text(value), len(self.numbers))

    def _reads(self) -> tuple[Read, ...]:
        records = self.recorder.reads
        if not records:
            return ()
        numbers = {raw[0]: n for n, raw in enumerate(self.raw)}
        return tuple(reads.frozen(records, numbers, class_name))

    def _unchanged(self) -> tuple[tuple[int, int], ...]:
        pairs = self.recorder.unchanged
        if not pairs:
            return ()
        numbers = {raw[0]: n for n, raw in enumerate(self.raw)}
        known = [(numbers.get(update), numbers.get(load)) for update, load in pairs]
        return tuple((one, two) for one, two in known if one is not None and two is not None)

    def _database(self, known: str) -> str:
        """Return a database's name; a second one of that name in the whole Trace gets a number.

        A number of the process would differ from run to run, and findings with it.
        """
        shown = self.databases.get(known)
        if shown is None:
            name = known.partition(APART)[0]
            same = sum(other.partition(APART)[0] == name for other in self.databases)
            shown = self.databases[known] = f"{name} {same + 1}" if same else name
        return shown

    def _key(self, parameters: Any) -> str:
        if is_empty(parameters):
            return ""
        text = text_of(parameters)
        key = self.keys.get(text)
        if key is None:
            key = self.keys[text] = digest_of(text, self.key)
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
            tuple(map(self._database, item.databases)),
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
            self._database(item.database),
            item.started_ns - self.base,
            None if item.ended_ns is None else item.ended_ns - self.base,
            item.outcome,
            item.savepoints,
            self._at(item.site),
            item.thread,
            item.ending_ns,
        )

    def _engine(self, number: int, item: OpenEngine) -> Engine:
        return Engine(
            number,
            item.name,
            item.made_ns - self.base,
            item.before,
            item.pool_uid,
            item.pooled,
            self._at(item.site),
            item.thread,
        )

    def _log_call(self, number: int, item: OpenLogCall) -> LogCall:
        sites = dict(item.sites)
        origin = self._at(max(sites, key=sites.__getitem__)) if sites else NOWHERE
        return LogCall(
            number,
            item.logger,
            item.level,
            item.count,
            item.first_ns - self.base,
            item.last_ns - self.base,
            item.duration_ns,
            len(sites),
            # A record names the file and line that logged, a helper's caller if it was told so.
            any(
                isinstance(step, Frame)
                and step.line <= item.line <= step.end_line
                and step.file.endswith(item.file.replace("\\", "/").rpartition("/")[2])
                for step in origin.steps
            ),
            origin,
        )

    def _external_call(self, number: int, raw: tuple[Any, ...]) -> ExternalCall:
        start, duration, host, error, stage, thread, site = raw
        return ExternalCall(
            number, start - self.base, duration, host, error, stage, thread, self._at(site)
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
