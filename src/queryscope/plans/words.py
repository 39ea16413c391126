"""What a plan means, in a few words for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from queryscope.plans.plan import Node, Plan
    from queryscope.plans.trial import Trial

_STEPS = {
    "sort": "sorts",
    "temporary": "keeps rows in a temporary table",
    "group": "groups",
    "subquery": "asks a subquery",
    "write": "writes",
}
_VALUES = {
    "kept": "the recorded values",
    "sampled": "values sampled from the tables",
    "generic": "no values: it is the plan for any",
    "none": "no values, as it has none",
}


def meaning_of(plan: Plan) -> str:
    """Return what a plan does, in the order in which it is written."""
    return ", ".join(dict.fromkeys(_steps(plan))) or "reads no table"


def step_of(node: Node, plan: Plan) -> str:
    """Return what one step does; ``""`` for one that nobody has to know of."""
    if not node.table or node.kind == "write":
        return _STEPS.get(node.kind, "")
    rows = plan.rows_in(node.table)
    all_of_it = f"all of {node.table} (about {rows:,} rows)" if rows else f"all of {node.table}"
    if node.kind == "table scan":
        return f"reads {all_of_it}"
    if node.kind == "index scan":
        return f"walks along index {node.index}, {all_of_it}"
    if node.kind == "index search":
        return f"searches {node.table} by {node.index or 'its key'}"
    if node.kind == "index only":
        return f"searches index {node.index or 'of the key'} of {node.table} alone"
    return ""


def notes_of(node: Node) -> list[str]:
    """Return what else a plan tells of a step: columns, condition, rows expected and given."""
    notes = []
    if node.columns:
        notes.append(f"({', '.join(node.columns)})")
    if node.condition:
        notes.append(f"where {node.condition}" if node.table else node.condition)
    if node.rows is not None:
        notes.append(f"{node.rows:,.0f} rows thought")
    if node.actual_rows is not None:
        notes.append(f"{node.actual_rows:,.0f} rows given, {node.loops or 1:,.0f} times")
    return notes


def _steps(plan: Plan) -> Iterator[str]:
    for node in plan.nodes():
        step = step_of(node, plan)
        if step:
            yield step


def values_in(plan: Plan) -> str:
    """Return what stood in place of the parameters."""
    return _VALUES[plan.values]


def trial_in_words(trial: Trial) -> str:
    """Return what came of trying an index, as one sentence."""
    index = f"An index on {trial.table} ({', '.join(trial.columns)})"
    if trial.refusal:
        return f"{index} was not tried: {trial.refusal}."
    where = "a copy" if trial.whole else f"a copy of the first {trial.rows:,} rows"
    if not trial.used:
        return f"{index}, tried on {where}, is not used."
    before, after = trial.before, trial.after
    return (
        f"{index}, tried on {where}: {before.amount:,} {trial.unit} become {after.amount:,}, "
        f"{before.duration_ns / 1e6:.3f} ms become {after.duration_ns / 1e6:.3f} ms."
    )
