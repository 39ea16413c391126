"""What an ORM's models promise of their tables, and what the schema lacks of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from queryscope.plans.schema import Index, Schema, Table

RuleKind = Literal["unique", "not null", "foreign key"]


class Rule(NamedTuple):
    """One thing that a model promises of the rows of its table.

    Attributes:
        kind: What it promises.
        columns: Columns of the table that it is about.
        attribute: The attribute of the model that says so; ``""`` where none alone does.
        text: How the model says it, in the ORM's words.
        refers: The table that a foreign key refers to.
        partial: It holds for some of the rows, or is about expressions.
        name: The name of the constraint, ``""`` where the model gives none.
        on_purpose: The model says that the database is not to know.
    """

    kind: RuleKind
    columns: tuple[str, ...]
    attribute: str
    text: str
    refers: str = ""
    partial: bool = False
    name: str = ""
    on_purpose: bool = False


class Model(NamedTuple):
    """A class of an ORM, or a table without one, with what it promises.

    Attributes:
        name: The class as the ORM names it, such as ``library.Book``.
        table: Its table.
        schema: The schema that the model names, ``""`` for none.
        file: The source file of the class, ``""`` where it has none.
        module: Its module.
        scope: Its qualified name within the module.
        rules: What it promises.
    """

    name: str
    table: str
    schema: str
    file: str
    module: str
    scope: str
    rules: tuple[Rule, ...]


def missing(model: Model, schema: Schema) -> Iterator[Rule]:
    """Yield what a model promises and its table does not keep.

    A table or a column that is not there is a migration to come, not a missing constraint.

    Args:
        model: The model.
        schema: The tables of its database.
    """
    table = schema.table(model.table, model.schema)
    if table is None:
        return
    for rule in model.rules:
        if all(table.column(name) is not None for name in rule.columns) and not _keeps(
            table, rule, schema
        ):
            yield rule


def _keeps(table: Table, rule: Rule, schema: Schema) -> bool:
    wanted = _lowered(rule.columns)
    if rule.kind == "not null":
        return all(map(table.never_null, wanted))
    if rule.kind == "foreign key":
        if schema.table(rule.refers) is None:
            return True  # in another database, where no constraint reaches
        return any(
            _lowered(key.columns) == wanted and key.table.lower() == rule.refers.lower()
            for key in table.foreign_keys
        )
    return any(_makes_unique(index, rule, wanted) for index in table.indexes)


def _makes_unique(index: Index, rule: Rule, wanted: frozenset[str]) -> bool:
    if not index.unique or not index.valid:
        return False
    if rule.name and index.name == rule.name:
        return True
    if all(index.names) and not index.predicate:
        return bool(wanted) and _lowered(index.names) <= wanted
    # Conditions and expressions are written differently in a model and in a database.
    return rule.partial and (_lowered(filter(None, index.names)) <= wanted or not wanted)


def _lowered(names: Iterable[str]) -> frozenset[str]:
    return frozenset(name.lower() for name in names)
