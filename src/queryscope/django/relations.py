"""Which relation a queryset was made for, read off its hints and its conditions."""

from __future__ import annotations

import sys
from typing import Any


def is_narrowed(verb: str, query: Any, own_conditions: int) -> bool:
    """Tell whether the asker filtered, ordered, sliced or aggregated a manager's rows."""
    return (
        verb not in ("iterate", "in_bulk")
        or len(query.where.children) > own_conditions
        or bool(query.order_by)
        or query.is_sliced
        or query.distinct
        or bool(query.annotations)
    )


def manager_relation(queryset: Any, query: Any, parent: Any) -> tuple[str, Any, str] | None:
    """Return (relation, owner, attribute) of the related manager that made a queryset."""
    known = queryset._known_related_objects
    for field in known:
        related = field.remote_field
        if related is not None and isinstance(parent, related.model):
            return "reverse", parent.__class__, related.get_accessor_name()
    for child in query.where.children:
        target: Any = getattr(getattr(child, "lhs", None), "target", None)
        related = getattr(target, "remote_field", None)
        if target is None or related is None or not isinstance(parent, related.model):
            continue
        through = target.model
        if through is queryset.model and not getattr(through._meta, "auto_created", False):
            return "reverse", parent.__class__, related.get_accessor_name()
        name = _many_to_many_name(parent.__class__, target, queryset.model)
        return "many_to_many", parent.__class__, name or through._meta.model_name
    return None


def _many_to_many_name(owner: Any, source: Any, model: Any) -> str:
    """Return the attribute of ``owner`` that leads to ``model`` by a table that joins them.

    Several may go through one table: what it links besides the two, and both ends of a relation of
    a class to itself. ``source`` is the table's key of the owner.
    """
    key = (owner, source, model)
    found = _through_names.get(key)
    if found is None:
        found, best = "", (False, False)
        for field in owner._meta.get_fields():
            if not field.many_to_many:
                continue
            if getattr(field, "through", None) is source.model:
                name, own = field.get_accessor_name() or "", field.field.m2m_reverse_field_name()
            elif getattr(getattr(field, "remote_field", None), "through", None) is source.model:
                name, own = field.name, field.m2m_field_name()
            else:
                continue
            fits = (field.related_model is model, own == source.name)
            if not found or fits > best:
                found, best = name, fits
        _through_names[key] = found
    return found


_through_names: dict[tuple[Any, Any, Any], str] = {}


def generic_relation(model: Any, query: Any) -> tuple[str, Any, str, int, int] | None:
    """Return (relation, owner, attribute, parent, conditions) of a ``GenericRelation`` manager.

    These managers set no hint; they filter by the two columns of a ``GenericForeignKey``.
    """
    fields = [item for item in model._meta.private_fields if hasattr(item, "ct_field")]
    if not fields:
        without_generic_key.add(model)
        return None
    for field in fields:
        type_name = field.ct_field
        content_type = key = None
        for child in query.where.children:
            target = getattr(getattr(child, "lhs", None), "target", None)
            if target is None:
                continue
            if target.name == type_name:
                content_type = child.rhs
            elif target.name == field.fk_field:
                key = child.rhs
        if content_type is None or key is None or not isinstance(key, (int, str)):
            continue
        found = _generic_owner(model, content_type)
        if found is not None:
            return "generic_reverse", found[0], found[1], hash((found[0], key)), 2
    return None


without_generic_key: set[Any] = set()


def _generic_owner(model: Any, content_type: Any) -> tuple[Any, str] | None:
    """Return (class, attribute) of the GenericRelation to ``model``, from Django's own cache."""
    key = (model, content_type)
    if key not in _generic_owners:
        models = sys.modules.get("django.contrib.contenttypes.models")
        if models is None:
            return None
        cached = [
            item
            for by_id in models.ContentType.objects._cache.values()
            for item in by_id.values()
            if item.pk == content_type
        ]
        owner = cached[0].model_class() if cached else None
        names = [
            field.name
            for field in (owner._meta.private_fields if owner is not None else ())
            if getattr(field, "related_model", None) is model
        ]
        if not names:
            return None
        _generic_owners[key] = (owner, names[0])
    return _generic_owners[key]


_generic_owners: dict[tuple[Any, Any], tuple[Any, str]] = {}
