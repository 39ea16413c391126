"""What SQLAlchemy's tables and mapped classes promise: unique, not null, foreign keys."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

from sqlalchemy import ForeignKeyConstraint, UniqueConstraint
from sqlalchemy.exc import SQLAlchemyError

from queryscope.plans.declared import Model, Rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import MetaData, Table


def declared() -> tuple[Model, ...]:
    """Return what the mapped classes of this process promise, and the tables beside them.

    Which database they are in is not known: metadata belongs to no engine.
    """
    find = getattr(import_module("sqlalchemy.orm.mapper"), "_all_registries", None)
    registries = sorted(find(), key=id) if find is not None else ()
    found: dict[MetaData, None] = {}
    mapped: dict[Table, Any] = {}
    for registry in registries:
        found[registry.metadata] = None
        for mapper in registry.mappers:
            table: Any = mapper.local_table
            if getattr(table, "metadata", None) is not None:
                found[table.metadata] = None
                mapped.setdefault(table, mapper)
    tables = [table for metadata in found for table in metadata.tables.values()]
    return tuple(_model(table, mapped.get(table)) for table in tables)


def _model(table: Table, mapper: Any) -> Model:
    kind = None if mapper is None else mapper.class_
    module = "" if kind is None else kind.__module__
    return Model(
        name=table.name if kind is None else kind.__name__,
        table=table.name,
        schema=table.schema or "",
        file=getattr(sys.modules.get(module), "__file__", None) or "",
        module=module,
        scope="" if kind is None else kind.__qualname__,
        rules=tuple(_rules(table, mapper)),
    )


def _rules(table: Table, mapper: Any) -> Iterator[Rule]:
    for column in table.columns:
        if not column.nullable and not column.primary_key and column.computed is None:
            name = _attribute(mapper, column)
            yield Rule("not null", (column.name,), name, "nullable=False")
    for constraint in table.constraints:
        if isinstance(constraint, UniqueConstraint):
            yield _unique(list(constraint.columns), mapper, constraint.name, "UniqueConstraint")
        elif isinstance(constraint, ForeignKeyConstraint):
            yield from _foreign_key(constraint, mapper)
    for index in table.indexes:
        if index.unique:
            columns = list(index.columns)
            partial = len(columns) < len(index.expressions) or any(
                name.endswith("_where") and value is not None
                for name, value in index.dialect_kwargs.items()
            )
            yield _unique(columns, mapper, index.name, "Index(unique=True)", partial=partial)


def _unique(
    columns: list[Any], mapper: Any, name: Any, text: str, *, partial: bool = False
) -> Rule:
    alone = len(columns) == 1
    return Rule(
        "unique",
        tuple(column.name for column in columns),
        _attribute(mapper, columns[0]) if alone else "",
        "unique=True" if alone and columns[0].unique else text,
        partial=partial,
        name=str(name or ""),
    )


def _foreign_key(constraint: ForeignKeyConstraint, mapper: Any) -> Iterator[Rule]:
    columns = list(constraint.columns)
    try:
        refers = constraint.referred_table.name
    except SQLAlchemyError:
        return  # the table that it names was never made
    alone = len(columns) == 1
    yield Rule(
        "foreign key",
        tuple(column.name for column in columns),
        _attribute(mapper, columns[0]) if alone else "",
        "ForeignKey" if alone else "ForeignKeyConstraint",
        refers=refers,
        name=str(constraint.name or ""),
    )


def _attribute(mapper: Any, column: Any) -> str:
    """Return the attribute that a column is mapped to; its own name without a class."""
    if mapper is None:
        return str(column.name)
    try:
        return str(mapper.get_property_by_column(column).key)
    except SQLAlchemyError:
        return str(column.name)
