"""The command ``queryscope plan``: what a database does for one recorded statement.

The JSON document, version 1:

``schema``, ``schema_version``
    ``"queryscope.plan"`` and 1. New names may appear within a version.
``trace``, ``number``, ``statement``, ``vendor``, ``database``
    Which statement it is. ``database`` is an alias or an engine's name.
``plan``
    None where there is none, and ``refusal`` says why. Else ``meaning`` in words, ``values`` (what
    stood for the parameters: ``kept``, ``sampled``, ``generic``, ``none``), ``cost``, ``analyzed``,
    ``rows_of`` each table, and ``steps``, each with ``kind``, ``table``, ``alias``, ``index``,
    ``columns``, ``condition``, ``rows``, ``cost``, ``actual_rows``, ``loops``, ``raw`` and its own
    ``steps``.
``trial``
    What came of trying an index; None where none was worth it.
``findings``
    What the plan shows.
"""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from queryscope.cli.databases import add_database, databases_of
from queryscope.cli.recorded import where, write_text
from queryscope.cli.scan import finding_part
from queryscope.detectors.planned import Planned
from queryscope.detectors.registry import in_force, judge_plans
from queryscope.errors import NotFoundError
from queryscope.plans.connection import CannotExplainError
from queryscope.plans.explain import explain
from queryscope.plans.study import Studied, database_of, not_named, study
from queryscope.plans.words import meaning_of, notes_of, step_of, trial_in_words, values_in
from queryscope.report.collected import headline, remedy
from queryscope.report.sql import head
from queryscope.report.text import counted, duration, visible
from queryscope.store.file import Store

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence

    from rich.tree import Tree

    from queryscope.detectors.finding import Finding
    from queryscope.plans.database import Database
    from queryscope.plans.plan import Node, Plan
    from queryscope.plans.trial import Trial
    from queryscope.trace.events import Query, Trace

SCHEMA = "queryscope.plan"
SCHEMA_VERSION = 1
LATEST = "latest"
"""Stands for the newest Trace; ids are hexadecimal."""
MAX_CONDITION_CHARS = 120


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``plan``."""
    parser.add_argument(
        "trace", metavar="TRACE", help=f"id of a Trace, or the beginning of one, or {LATEST!r}"
    )
    parser.add_argument(
        "number", metavar="N", type=int, help="the statement, as the report numbers them, from 0"
    )
    add_database(parser)
    parser.add_argument(
        "--analyze",
        action="store_true",
        help="run the statement and say what each step did; only a SELECT, in a read-only "
        "transaction that is rolled back",
    )
    parser.add_argument(
        "--no-trial", action="store_true", help="try no index on a copy of the tables"
    )
    parser.add_argument("--json", action="store_true", help="print a JSON document")


def run(options: argparse.Namespace) -> int:
    """Print the plan; 1 where there is none."""
    with closing(Store(options.store)) as store:
        wanted = options.trace
        trace = (store.latest() if wanted == LATEST else store.get(wanted)).trace
    query = _statement(trace, options.number)
    databases = databases_of(options)
    plan, refusal = _plan(databases, query, analyze=options.analyze)
    studied, findings = _judged(trace, query, databases, tries=not options.no_trial)
    trial = None if studied is None else studied.trial
    if options.json:
        document = {
            "schema": SCHEMA,
            "schema_version": SCHEMA_VERSION,
            "trace": trace.id,
            "number": query.number,
            "statement": visible(query.statement, limit=100_000),
            "vendor": query.vendor,
            "database": visible(query.database),
            "plan": None if plan is None else _document(plan),
            "refusal": visible(refusal),
            "trial": None if trial is None else _trial(trial),
            "findings": [finding_part(item) for item in findings],
        }
        write_text(json.dumps(document, indent=1), None)
    else:
        _print(trace, query, plan, refusal)
        for line in _said(trial, findings):
            print(line)
    return 0 if plan is not None else 1


def _statement(trace: Trace, number: int) -> Query:
    for query in trace.queries:
        if query.number == number:
            return query
    numbers = f"0 to {trace.queries[-1].number}" if trace.queries else "none"
    raise NotFoundError(
        f"The Trace {trace.id} has no statement {number}: it has {numbers}. "
        "`queryscope report --format json` lists them."
    )


def _plan(
    databases: Mapping[str, Database], query: Query, *, analyze: bool
) -> tuple[Plan | None, str]:
    """Return the plan, or why there is none."""
    database = database_of(databases, query)
    if database is None:
        return None, not_named(query)
    try:
        with closing(database.connect()) as connection:
            return explain(connection, query, analyze=analyze), ""
    except CannotExplainError as error:
        return None, str(error)


def _judged(
    trace: Trace, query: Query, databases: Mapping[str, Database], *, tries: bool
) -> tuple[Studied | None, Sequence[Finding]]:
    """Return the statement as it was studied, and what is found about it."""
    least_rows = in_force("plan_min_rows", {}, trace.mode)
    alone = replace(trace, queries=(query,), children=())
    found = study([alone], databases, least_rows=least_rows, tries=tries)
    findings = [
        item for item in judge_plans(Planned(found)) if item.queries and item.trace_id == trace.id
    ]
    return (found.statements[0] if found.statements else None), findings


# -- JSON ----------------------------------------------------------------------------------


def _document(plan: Plan) -> dict[str, Any]:
    return {
        "meaning": visible(meaning_of(plan)),
        "values": plan.values,
        "cost": plan.cost,
        "analyzed": plan.analyzed,
        "rows_of": {visible(name): rows for name, rows in plan.rows_of.items()},
        "steps": [_step(node) for node in plan.roots],
    }


def _step(node: Node) -> dict[str, Any]:
    return {
        "kind": node.kind,
        "table": visible(node.table),
        "alias": visible(node.alias),
        "index": visible(node.index),
        "columns": [visible(column) for column in node.columns],
        "condition": visible(node.condition, limit=10_000),
        "rows": node.rows,
        "cost": node.cost,
        "actual_rows": node.actual_rows,
        "loops": node.loops,
        "raw": visible(node.raw),
        "steps": [_step(child) for child in node.children],
    }


def _trial(trial: Trial) -> dict[str, Any]:
    return {
        "table": visible(trial.table),
        "columns": [visible(column) for column in trial.columns],
        "refusal": visible(trial.refusal),
        "used": trial.used,
        "saved": round(trial.saved, 4),
        "unit": trial.unit,
        "before": trial.before.amount,
        "after": trial.after.amount,
        "before_ms": round(trial.before.duration_ns / 1e6, 3),
        "after_ms": round(trial.after.duration_ns / 1e6, 3),
        "rows_copied": trial.rows,
        "whole": trial.whole,
    }


# -- terminal ------------------------------------------------------------------------------


def _print(trace: Trace, query: Query, plan: Plan | None, refusal: str) -> None:
    rows = "" if query.rows is None else f", {counted(query.rows, 'row')}"
    place = where(query.origin.first)
    name = visible(trace.name)
    print(
        f"statement {query.number} of {trace.id} ({name}), {place}: "
        f"{duration(query.duration_ns)}{rows}"
    )
    print(f"    {visible(head(query.statement))}")
    print()
    if plan is None:
        print(f"There is no plan. {visible(refusal, limit=1_000)}")
        return
    from queryscope.cli.tables import print_tree

    for root in plan.roots:
        print_tree(_tree(root, plan))
    cost = "" if plan.cost is None else f" Cost {plan.cost:,.2f}, in the planner's own unit."
    print()
    print(f"The database {visible(meaning_of(plan), limit=2_000)}.")
    print(f"Planned with {values_in(plan)}.{cost}")


def _tree(node: Node, plan: Plan) -> Tree:
    from rich.text import Text
    from rich.tree import Tree

    label = Text(visible(step_of(node, plan) or node.raw or node.kind))
    for note in notes_of(node):
        label.append(f"  {visible(note, limit=MAX_CONDITION_CHARS)}", style="dim")
    tree = Tree(label)
    for child in node.children:
        tree.add(_tree(child, plan))
    return tree


def _said(trial: Trial | None, findings: Sequence[Finding]) -> list[str]:
    lines = []
    if trial is not None and not any(item.code == "QS401" for item in findings):
        lines.append(visible(trial_in_words(trial), limit=1_000))
    for item in findings:
        sure = ", low confidence" if item.confidence == "low" else ""
        lines += ["", f"{item.code} {item.name}{sure}", f"    {headline(item)}"]
        lines.append(f"    {remedy(item)}")
    return lines
