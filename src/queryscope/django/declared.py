"""What Django's models promise of their tables: unique, not null, foreign keys."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.core.exceptions import FieldDoesNotExist
from django.db import connections, router
from django.db.models import ForeignKey, UniqueConstraint

from queryscope.plans.declared import Model, Rule

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


def declared() -> Mapping[str, tuple[Model, ...]]:
    """Return the models of each alias that may hold their tables.

    Left out are models whose tables Django does not make: proxies, swapped and unmanaged ones.
    """
    models = [
        model
        for model in apps.get_models(include_auto_created=True)
        if model._meta.managed and not model._meta.proxy and not model._meta.swapped
    ]
    return {
        alias: tuple(model_of(item) for item in models if router.allow_migrate_model(alias, item))
        for alias in connections
    }


def model_of(model: Any) -> Model:
    """Return what one model promises."""
    options = model._meta
    schema, _, table = options.db_table.replace('"', "").rpartition(".")
    return Model(
        name=options.label,
        table=table,
        schema=schema,
        file=getattr(sys.modules.get(model.__module__), "__file__", None) or "",
        module=model.__module__,
        scope=model.__qualname__,
        rules=tuple(_rules(options)),
    )


def _rules(options: Any) -> Iterator[Rule]:
    for field in options.local_concrete_fields:
        column = field.column
        if column is None or field.primary_key or getattr(field, "generated", False):
            continue
        if field.unique:
            yield Rule("unique", (column,), field.name, _said(field, "unique=True"))
        if not field.null:
            yield Rule("not null", (column,), field.name, "null=False")
        if isinstance(field, ForeignKey):
            refers = field.remote_field.model._meta.db_table
            yield Rule(
                "foreign key",
                (column,),
                field.name,
                _said(field, "") if field.db_constraint else "db_constraint=False",
                refers=refers,
                on_purpose=not field.db_constraint,
            )
    for names in options.unique_together:
        yield Rule("unique", _columns(options, names), "", f"unique_together = {tuple(names)}")
    for constraint in options.constraints:
        if isinstance(constraint, UniqueConstraint):
            yield Rule(
                "unique",
                _columns(options, constraint.fields),
                "",
                f"UniqueConstraint({constraint.name!r})",
                partial=constraint.condition is not None or bool(constraint.expressions),
                name=constraint.name,
            )


def _said(field: Any, argument: str) -> str:
    """Return how a model says it: the field's class, with the argument that does unless none."""
    kind = type(field).__name__
    return f"{kind}({argument})" if argument and not field.one_to_one else kind


def _columns(options: Any, names: Any) -> tuple[str, ...]:
    found = []
    for name in names:
        try:
            column = options.get_field(name).column
        except FieldDoesNotExist:
            column = None
        found.append(column or name)
    return tuple(found)
