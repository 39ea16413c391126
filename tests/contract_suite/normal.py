"""A Trace and its findings as plain lines, in order: what every way of running must agree on.

Times, ids, process and thread numbers are gone; what refers to another fact does so by ordinal.
Statements that budgets do not count stand for their transaction, which has a line of its own.
"""

from __future__ import annotations

import linecache
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

from queryscope.detectors import registry
from queryscope.trace.events import TemplateNode
from tests.contract_suite.plan import PATIENT

HERE = str(Path(__file__).resolve().parent)
MAX_SHAPE_CHARS = 400
BY_KIND = frozenset({"QS112", "QS205", "QS206", "QS301", "QS304", "QS509"})
"""Codes whose verdict depends on what a Trace is of: a GET must not write, a task may read a table,
and rows of a block that are still alive at its end may be read later."""

_QUOTES = re.compile(r'["`]')
_CASTS = re.compile(r"::\s?[A-Za-z_]\w*(?:\s?\(\s?\?\s?\))?")
_CLASSES = re.compile(r"^(?:\w+\.)*(\w+)")


def lines_of(trace, findings, *, depth=0):
    """Return the lines of a Trace, its nested ones included, and of its findings.

    Args:
        trace: A finished Trace, recorded in full and with values kept.
        findings: What the detectors say about it and about those nested in it.
        depth: How deep it is nested; findings stand at the outermost.
    """
    return _Writer(trace).lines(findings, depth)


class _Writer:
    """The ordinals of one Trace."""

    def __init__(self, trace):
        self.trace = trace
        self.queries = [query for query in trace.queries if query.counts]
        self.numbers = {query.number: n for n, query in enumerate(self.queries)}
        # Where a thread has not asked MariaDB before, Django opens a connection for that alone.
        self.sessions = {item.number: n for n, item in enumerate(trace.sessions_at_work)}
        self.threads = {}
        self.databases = {}
        self.connections = {}
        self.parents = {}
        self.stages = {stage.number: stage for stage in trace.stages}

    def lines(self, findings, depth):
        """Return all lines, indented by depth."""
        trace = self.trace
        found = []
        for number, query in enumerate(self.queries):
            found += self._query(number, query)
        found += [line for item in trace.sessions_at_work for line in self._session(item)]
        found += [line for item in trace.transactions for line in self._transaction(item)]
        found += [line for item in trace.checkouts for line in self._checkout(item)]
        found += [f'stage "{item.name}"' for item in trace.stages if item.kind == "named"]
        if trace.error is not None:
            found.append(f"error {trace.error}")
        if trace.orphans:
            found.append(f"orphans {trace.orphans}")
        if trace.unlabelled:
            found.append(f"unlabelled {trace.unlabelled}")
        if trace.dropped:
            found.append(f"dropped {dict(trace.dropped)}")
        found += [f"failure {item}" for item in trace.failures]
        for child in trace.children:
            found.append(f"child {child.name}")
            found += lines_of(child, findings, depth=depth + 1)
        own = [
            finding
            for finding in findings
            if finding.trace_id == trace.id and finding.code not in BY_KIND
        ]
        # Reports order them by cost in time.
        for finding in sorted(own, key=lambda item: (item.code, item.queries, item.sessions)):
            found += self._finding(finding)
        return [f"    {line}" for line in found] if depth else found

    def _query(self, number, query):
        facts = [query.operation or "?", query.model]
        load = query.load
        if load is not None:
            parent = "many" if load.parent is None else f"#{_nth(self.parents, load.parent)}"
            facts.append(f"{load.relation} {load.owner}.{load.attribute} of {parent}")
            facts.append(f"parents {load.parents}")
            if load.parent_query is not None:
                facts.append(f"loaded by q{self.numbers.get(load.parent_query, '?')}")
            facts += ["narrowed"] * load.narrowed + ["batched"] * load.batched
        facts.append(f"rows {query.rows}")
        if query.many:
            facts.append(f"many {query.many}")
        else:
            facts.append(f"values {_types(query.parameters)}")
        if query.error is not None:
            facts.append(f"error {_CLASSES.match(query.error)[1]}")
        facts.append(f"on {self._database(query.database)}")
        facts.append(f"connection {_nth(self.connections, query.connection)}")
        numbers = {
            "session": self.sessions.get(query.session),
            "transaction": query.transaction,
            "checkout": query.checkout,
        }
        for name, value in numbers.items():
            if value is not None:
                facts.append(f"{name} {value}")
        stage = self._named(query.stage)
        if stage:
            facts.append(f'stage "{stage}"')
        thread = _nth(self.threads, query.thread)
        if thread:
            facts.append(f"thread {thread}")
        found = [f"q{number} " + " · ".join(fact for fact in facts if fact)]
        found.append(f"    {folded(query.shape.text)}")
        found += _steps(query.origin)
        if query.created is not None and query.created != query.origin.frame:
            found.append(f"    created {_frame(query.created)}")
        return found

    def _session(self, item):
        databases = ",".join(self._database(name) for name in item.databases)
        closed = "closed" if item.closed_ns is not None else "open"
        if item.framework == "django":
            closed = ""  # a connection object outlives its use
        before = "" if item.opened_ns >= 0 else "opened before"
        facts = [item.framework, databases, closed, before, f"threads {len(item.threads)}"]
        return [
            f"session {self.sessions[item.number]} " + " · ".join(fact for fact in facts if fact),
            *_steps(item.opener),
        ]

    def _transaction(self, item):
        ended = "ended" if item.ended_ns is not None else "open"
        facts = [
            f"connection {_nth(self.connections, item.connection)}",
            item.outcome or "no outcome",
            ended,
            f"savepoints {item.savepoints}",
        ]
        return [
            f"transaction {item.number} on {self._database(item.database)} · " + " · ".join(facts),
            *_steps(item.opener),
        ]

    def _checkout(self, item):
        back = "returned" if item.returned_ns is not None else "out"
        facts = [back, f"held before {item.held_before}"]
        if item.session is not None:
            facts.append(f"session {self.sessions.get(item.session)}")
        if item.connection is not None:
            facts.append(f"connection {_nth(self.connections, item.connection)}")
        facts += ["overflow"] * item.overflow
        if item.error is not None:
            facts.append(f"error {_CLASSES.match(item.error)[1]}")
        return [f"checkout {item.number} " + " · ".join(facts), *_steps(item.opener)]

    def _finding(self, item):
        queries = ",".join(
            f"q{self.numbers[number]}" for number in item.queries if number in self.numbers
        )
        facts = [item.severity, item.confidence, f"x{item.count}", queries]
        facts += [f"session {self.sessions[number]}" for number in item.sessions]
        facts += [f"checkout {number}" for number in item.checkouts]
        found = [
            f"{item.code} " + " · ".join(fact for fact in facts if fact),
            f"    about {self._subject(item.subject)}",
            *_steps(item.origin),
        ]
        if item.mend is not None:
            at = "" if item.mend.at is None else f" at {_step(item.mend.at)}"
            found.append(f"    write {item.mend.write!r}{at}")
        return found

    def _subject(self, text):
        for name in self.databases:
            text = text.replace(name, self._database(name))
        return folded(text)

    def _database(self, name):
        return ("first", "second", "third")[_nth(self.databases, name)]

    def _named(self, number):
        """Return the name of the innermost stage that the user named."""
        while number in self.stages:
            stage = self.stages[number]
            if stage.kind == "named":
                return stage.name
            number = stage.parent
        return ""


def folded(text):
    """Return a shape without what one database's way of writing adds."""
    text = _CASTS.sub("", _QUOTES.sub("", text))
    text = re.sub(r"\s+", " ", text)
    return text if len(text) <= MAX_SHAPE_CHARS else f"{text[:MAX_SHAPE_CHARS]} ..."


def _nth(known, value):
    return known.setdefault(value, len(known))


def _types(values):
    if not values:
        return "none"
    plain = [
        value[1] if isinstance(value, tuple) and len(value) == 2 else value  # a name and its value
        for value in values
    ]
    counts = Counter(type(value).__name__ for value in plain)
    return ",".join(
        name if times == 1 else f"{name}x{times}" for name, times in sorted(counts.items())
    )


def _steps(origin):
    """Return the steps from the innermost down to the scenario's own."""
    last = -1
    for index, step in enumerate(origin.steps):
        if isinstance(step, TemplateNode) or _is_scenario(step):
            last = index
    steps = origin.steps[: last + 1]
    if not steps and origin.steps:
        return ["    outside every scenario"]
    return [f"    at {_step(step)}" for step in steps]


def _is_scenario(frame):
    return frame.file.startswith(HERE) and frame.file.endswith("scenarios.py")


def _step(step):
    if isinstance(step, TemplateNode):
        return f"template {step.template}:{step.line} {step.source}".rstrip()
    return _frame(step)


def _frame(frame):
    if not _is_scenario(frame):
        return f"{frame.function} elsewhere"
    return f"{frame.function}: {linecache.getline(frame.file, frame.line).strip()}"


# -- a part of a Trace as one ----------------------------------------------------------------


def part_of(trace, stage):
    """Return what happened within one stage of a Trace as a Trace of its own, and its findings.

    A script is one Trace: its scenarios stand in stages.
    """
    start, end = stage.start_ns, stage.start_ns + stage.duration_ns
    inner = {stage.number}
    for item in trace.stages:
        if item.parent in inner:
            inner.add(item.number)

    def within(items, moment):
        kept = [item for item in items if start <= moment(item) <= end]
        return kept, {item.number: n for n, item in enumerate(kept)}

    sessions, session_at = within(trace.sessions, lambda item: item.first_used_ns)
    checkouts, checkout_at = within(trace.checkouts, lambda item: item.asked_ns)
    transactions, transaction_at = within(trace.transactions, lambda item: item.started_ns)
    stages = [item for item in trace.stages if item.number in inner - {stage.number}]
    stage_at = {item.number: n for n, item in enumerate(stages)}
    queries = [query for query in trace.queries if query.stage in inner]
    query_at = {query.number: n for n, query in enumerate(queries)}
    part = replace(
        trace,
        id=f"{trace.id}-{stage.number}",
        queries=tuple(
            query._replace(
                number=n,
                start_ns=query.start_ns - start,
                session=session_at.get(query.session),
                checkout=checkout_at.get(query.checkout),
                transaction=transaction_at.get(query.transaction),
                stage=stage_at.get(query.stage, -1),
                load=query.load
                and query.load._replace(parent_query=query_at.get(query.load.parent_query)),
            )
            for n, query in enumerate(queries)
        ),
        sessions=tuple(
            item._replace(
                number=n,
                opened_ns=item.opened_ns - start,
                first_used_ns=item.first_used_ns - start,
                closed_ns=None if item.closed_ns is None else item.closed_ns - start,
            )
            for n, item in enumerate(sessions)
        ),
        checkouts=tuple(
            item._replace(
                number=n,
                asked_ns=item.asked_ns - start,
                got_ns=None if item.got_ns is None else item.got_ns - start,
                returned_ns=None if item.returned_ns is None else item.returned_ns - start,
                session=session_at.get(item.session),
            )
            for n, item in enumerate(checkouts)
        ),
        transactions=tuple(
            item._replace(
                number=n,
                started_ns=item.started_ns - start,
                ended_ns=None if item.ended_ns is None else item.ended_ns - start,
            )
            for n, item in enumerate(transactions)
        ),
        stages=tuple(
            item._replace(
                number=n,
                parent=stage_at.get(item.parent, -1),
                start_ns=item.start_ns - start,
            )
            for n, item in enumerate(stages)
        ),
        kind="block",  # of a script, findings on sessions are milder
        duration_ns=stage.duration_ns,
        error=None,
        children=tuple(
            child
            for child in trace.children
            if start <= child.started_at_ns - trace.started_at_ns <= end
        ),
    )
    return part, registry.judge_all(part, chosen=PATIENT)
