"""Columns whose reading is seen: descriptors of ours in place of a model's own.

Ours have ``__set__``, too, so that they stand before the instance's ``__dict__``, where the values
stay: ``save()`` and ``get_deferred_fields()`` look there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from django.apps import apps
from django.db.models.fields.related_descriptors import ForeignKeyDeferredAttribute
from django.db.models.query_utils import DeferredAttribute
from django.db.models.signals import class_prepared

from queryscope.django.labels import QUERY_MARK
from queryscope.trace import guard
from queryscope.trace.reads import Reads

if TYPE_CHECKING:
    from queryscope.trace.patches import Patches

_own: WeakKeyDictionary[Any, tuple[Column, ...]] = WeakKeyDictionary()
"""The tracked columns of each model class, without those of its bases."""
_all: WeakKeyDictionary[Any, tuple[Column, ...]] = WeakKeyDictionary()
"""The same with those of its bases."""
MISSING = object()
"""Stands for a value that is not there."""


class Column(DeferredAttribute):
    """Stands in for a column's own descriptor and notes that it is read.

    Attributes:
        original: What is put back on uninstall.
        noting: The class by which it notes.
    """

    def __init__(self, original: Any) -> None:
        """Take the place of ``original``."""
        super().__init__(original.field)
        self.original = original
        self.noting = type(self)
        self.name = original.field.attname

    def __get__(self, instance: Any, cls: Any = None) -> Any:
        if instance is None:
            return self.original
        # No guard: every line runs for every value of every instance that is read. To ask whether
        # the name is there costs less than to add it again.
        data = instance.__dict__
        name = self.name
        try:
            value = data[name]
            reads = data["_state"]._queryscope_query
            if name not in reads:
                reads.add(name)
            return value  # noqa: TRY300 - one step more for every value
        except (AttributeError, KeyError, TypeError):
            pass  # not loaded, a copy from another process, or an instance without a state
        # Not above: what Django raises has no error of ours behind it.
        return self._unusual(instance, cls)

    def _unusual(self, instance: Any, cls: Any) -> Any:
        if self.name in instance.__dict__:
            return instance.__dict__[self.name]
        value = self.original.__get__(instance, cls)
        reads = getattr(instance._state, QUERY_MARK, None)
        if type(reads) is Reads:
            reads.add(self.name)
        return value

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
    found = []
    for field in model._meta.local_concrete_fields:
        original = own.get(field.attname)
        kind = _KINDS.get(type(original))
        if kind is not None:
            found.append(kind(original))
            setattr(model, field.attname, found[-1])
    if found:
        _own[model] = (*_own.get(model, ()), *found)


def _forget() -> None:
    class_prepared.disconnect(dispatch_uid="queryscope.reads")
    for model, found in list(_own.items()):
        for column in found:
            if vars(model).get(column.name) is column:
                setattr(model, column.name, column.original)
    _own.clear()
    _all.clear()
    _facts.clear()


def columns_of(model: Any) -> tuple[Column, ...]:
    """Return the tracked columns of a model class, also those of its bases."""
    found = _all.get(model)
    if found is None:
        found = _all[model] = tuple(
            column for owner in model.__mro__ for column in _own.get(owner, ())
        )
    return found


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
            # Not by its class, which is Django's own while the column notes nothing.
            if name not in names or not hasattr(_descriptor(model, name), "noting"):
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
