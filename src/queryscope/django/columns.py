"""Columns whose reading is seen: descriptors of ours in place of a model's own.

Ours have ``__set__``, too, so that they stand before the instance's ``__dict__``, where the values
stay: ``save()`` and ``get_deferred_fields()`` look there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from django.apps import apps
from django.db.models.fields.related_descriptors import ForeignKeyDeferredAttribute
from django.db.models.query_utils import DeferredAttribute
from django.db.models.signals import class_prepared

from queryscope.django.labels import QUERY_MARK
from queryscope.trace import guard
from queryscope.trace.reads import Reads

if TYPE_CHECKING:
    from queryscope.trace.patches import Patches

_classes: WeakSet[Any] = WeakSet()
"""Model classes whose columns are tracked."""
MISSING = object()
"""Stands for a value that is not there."""


class Column(DeferredAttribute):
    """Stands in for a column's own descriptor and notes that it is read."""

    def __init__(self, original: Any) -> None:
        """Take the place of ``original``, which is put back on uninstall."""
        super().__init__(original.field)
        self.original = original
        self.name = original.field.attname

    def __get__(self, instance: Any, cls: Any = None) -> Any:
        if instance is None:
            return self.original
        # No guard: every line runs for every value of every instance that is read.
        data = instance.__dict__
        name = self.name
        try:
            value = data[name]
        except KeyError:
            value = MISSING
        if value is MISSING:  # not above: what Django raises has no error of ours behind it
            value = self.original.__get__(instance, cls)
            self._note(instance)
            return value
        try:  # noqa: SIM105 - suppress() costs more than all the rest
            data["_state"]._queryscope_query.add(name)
        except (AttributeError, KeyError):
            pass  # a copy from another process, or an instance without a state
        return value

    def _note(self, instance: Any) -> None:
        reads = getattr(instance._state, QUERY_MARK, None)
        if type(reads) is Reads:
            reads.add(self.name)

    def __set__(self, instance: Any, value: Any) -> None:
        instance.__dict__[self.name] = value

    def __delete__(self, instance: Any) -> None:
        try:
            del instance.__dict__[self.name]
        except KeyError:
            kind = type(instance).__name__
            raise AttributeError(f"{kind!r} object has no attribute {self.name!r}") from None


class KeyColumn(Column):
    """A foreign key's column: setting it forgets the instance that was loaded for it."""

    def __set__(self, instance: Any, value: Any) -> None:
        self.original.__set__(instance, value)

    def __delete__(self, instance: Any) -> None:
        raise AttributeError("__delete__")  # as Django's own, which has none


_KINDS: dict[type, type[Column]] = {
    DeferredAttribute: Column,
    ForeignKeyDeferredAttribute: KeyColumn,
}


def install(patches: Patches) -> None:
    """Track the columns of the models that there are and of those to come."""
    class_prepared.connect(_on_class_prepared, dispatch_uid="queryscope.reads", weak=False)
    patches.later(_forget)
    # Also those of no installed application, which get_models() leaves out.
    for registered in list(apps.all_models.values()):
        for model in list(registered.values()):
            _track(model)


def _on_class_prepared(sender: Any, **_: Any) -> None:
    try:
        # Data migrations make classes of their own for each state: nobody judges those.
        if sender.__module__ != "__fake__":
            _track(sender)
    except Exception as error:  # noqa: BLE001 - the guard passes on what is not ours
        guard.caught(error, "django.reads")


def _track(model: Any) -> None:
    """Replace the descriptors of a model's own columns."""
    own = vars(model)
    for field in model._meta.local_concrete_fields:
        original = own.get(field.attname)
        kind = _KINDS.get(type(original))
        if kind is not None:
            setattr(model, field.attname, kind(original))
            _classes.add(model)


def _forget() -> None:
    class_prepared.disconnect(dispatch_uid="queryscope.reads")
    for model in list(_classes):
        for name, value in list(vars(model).items()):
            if isinstance(value, Column):
                setattr(model, name, value.original)
    _classes.clear()
    _facts.clear()


_facts: dict[tuple[Any, frozenset[str]], tuple[tuple[str, ...], frozenset[str], bool]] = {}
MAX_FACTS = 2_000
"""Classes with the columns that came for them, remembered."""


def facts_of(instance: Any) -> tuple[tuple[str, ...], frozenset[str], bool]:
    """Return the tracked columns of an instance, its keys, and whether it has more than those."""
    model = type(instance)
    names = frozenset(instance.__dict__)
    found = _facts.get((model, names))
    if found is None:
        tracked = []
        keys = set()
        others = set(names) - {"_state"}
        for field in model._meta.concrete_fields:
            name = field.attname
            if name not in names or not isinstance(_descriptor(model, name), Column):
                continue
            tracked.append(name)
            others.discard(name)
            if field.primary_key or field.is_relation:
                keys.add(name)
        found = tuple(tracked), frozenset(keys), bool(others)
        if len(_facts) < MAX_FACTS:
            _facts[model, names] = found
    return found


def _descriptor(model: Any, name: str) -> Any:
    for owner in model.__mro__:
        if name in vars(owner):
            return vars(owner)[name]
    return None
