"""What Django's own frames say about a statement: verb, model, relation and parent row.

Every source reads the locals of one frame, once per statement, and runs no code of the user's:
instances are looked into through ``__dict__`` and ``_meta``.
"""

from __future__ import annotations

import sys
from inspect import unwrap
from typing import TYPE_CHECKING, Any, ClassVar

from asgiref.sync import SyncToAsync
from django.core.handlers.base import BaseHandler
from django.db.models import Model, QuerySet
from django.db.models.fields.related_descriptors import (
    ForwardManyToOneDescriptor,
    ReverseOneToOneDescriptor,
    create_forward_many_to_many_manager,
    create_reverse_many_to_one_manager,
)
from django.db.models.query import ModelIterable, RawQuerySet, prefetch_one_level
from django.db.models.query_utils import DeferredAttribute
from django.db.models.sql.compiler import SQLCompiler, SQLInsertCompiler, SQLUpdateCompiler
from django.template.base import Node

from queryscope.django.relations import (
    generic_relation,
    is_narrowed,
    manager_relation,
    without_generic_key,
)
from queryscope.trace import codes
from queryscope.trace.reads import Reads

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import CodeType, FrameType

    from queryscope.trace.codes import RawLabel, Reader

QUERY_MARK = "_queryscope_query"
"""Attribute of ``Model._state``: the statement that loaded the instance (an int), or what was read
of its rows (``Reads``)."""
CREATED_MARK = "_queryscope_created"
"""Attribute of ``sql.Query``: where the queryset was created (an int)."""

_VERBS = {
    "_fetch_all": "iterate",
    "get": "get",
    "first": "first",
    "last": "last",
    "earliest": "first",
    "latest": "last",
    "count": "count",
    "exists": "exists",
    "contains": "exists",
    "aggregate": "aggregate",
    "iterator": "iterate",
    "_iterator": "iterate",
    "in_bulk": "in_bulk",
    "get_or_create": "get_or_create",
    "update_or_create": "update_or_create",
    "create": "create",
    "update": "update",
    "delete": "delete",
    "bulk_create": "bulk_create",
    "bulk_update": "bulk_update",
    "__getitem__": "iterate",
}
_MANAGER_WRITES = {"add", "set", "remove", "clear", "create", "get_or_create", "update_or_create"}


def identity(instance: Any) -> int | None:
    """Return a number for the row that an instance stands for, without running its code."""
    if instance is None:
        return None
    meta = instance._meta
    key = instance.__dict__.get(meta.pk.attname)
    if key is None:
        return id(instance)
    try:
        return hash((meta.concrete_model, key))
    except TypeError:
        return id(instance)


def loaded_by(instance: Any) -> int | None:
    """Return the uid of the statement that loaded an instance, if it carries one."""
    # Not from ``__dict__``: asking for it makes a dict of an object that has none yet.
    found = getattr(instance._state, QUERY_MARK, None)
    if type(found) is Reads:
        return found.uid
    return found if type(found) is int else None


class ForwardSource:
    """``ForwardManyToOneDescriptor.__get__``: foreign key, forward one-to-one, MTI parent."""

    final = False

    def read(self, frame: FrameType) -> RawLabel:
        """See ``LabelSource``."""
        names = frame.f_locals
        field, instance = names["self"].field, names["instance"]
        relation = "one_to_one" if field.one_to_one else "forward"
        static = (
            "lazy", field.remote_field.model, relation, instance.__class__, field.name,
            False, False, 0,
        )  # fmt: skip
        return static, identity(instance), 1, loaded_by(instance)

    def follow(self, label: RawLabel, *, full: bool) -> Reader:  # noqa: ARG002 - the protocol's
        """See ``LabelSource``: one line may read several keys to one table."""
        static = label[0]
        owner, name = static[3], static[4]

        def read(frame: FrameType) -> RawLabel:
            names = frame.f_locals
            instance = names["instance"]
            if instance.__class__ is owner and names["self"].field.name == name:
                return static, identity(instance), 1, loaded_by(instance)
            return self.read(frame)

        return read


class ReverseOneToOneSource:
    """``ReverseOneToOneDescriptor.__get__``."""

    final = False

    def read(self, frame: FrameType) -> RawLabel:
        """See ``LabelSource``."""
        names = frame.f_locals
        related, instance = names["self"].related, names["instance"]
        static = (
            "lazy", related.related_model, "reverse_one_to_one", instance.__class__,
            related.get_accessor_name(), False, False, 0,
        )  # fmt: skip
        return static, identity(instance), 1, loaded_by(instance)


class GenericSource:
    """``GenericForeignKey.__get__`` and, on Django 6.1, its descriptor's."""

    final = False

    def read(self, frame: FrameType) -> RawLabel:
        """See ``LabelSource``."""
        names = frame.f_locals
        owner, instance = names["self"], names["instance"]
        name = getattr(owner, "name", None) or owner.field.name
        static = ("lazy", "", "generic", instance.__class__, name, False, False, 0)
        return static, identity(instance), 1, loaded_by(instance)


class ColumnSource:
    """``DeferredAttribute.__get__``: a deferred column."""

    final = False

    def read(self, frame: FrameType) -> RawLabel:
        """See ``LabelSource``."""
        names = frame.f_locals
        field, instance = names["self"].field, names["instance"]
        static = (
            "lazy", instance.__class__, "column", instance.__class__, field.attname,
            False, False, 0,
        )  # fmt: skip
        return static, identity(instance), 1, loaded_by(instance)


class PeersColumnSource:
    """``DeferredAttribute.fetch_many`` of Django 6.1: one column for all peers of a row.

    Peers' relations need none: Django prefetches them.
    """

    final = True

    def read(self, frame: FrameType) -> RawLabel:
        """See ``LabelSource``."""
        names = frame.f_locals
        waiting = names["to_fetch"]
        first = waiting[0]
        static = (
            "prefetch", first.__class__, "column", first.__class__, names["self"].field.attname,
            False, True, 0,
        )  # fmt: skip
        parent = identity(first) if len(waiting) == 1 else None
        return static, parent, len(waiting), loaded_by(first)


class InstanceSource:
    """``Model.save``, ``delete`` and ``refresh_from_db``."""

    final = False

    def __init__(self, verb: str) -> None:
        """Label the frames with ``verb``."""
        self.verb = verb

    def read(self, frame: FrameType) -> RawLabel:
        """See ``LabelSource``."""
        instance = frame.f_locals["self"]
        static = (self.verb, instance.__class__, "", "", "", False, False, 0)
        return static, identity(instance), 1, loaded_by(instance)


class PrefetchSource:
    """``prefetch_one_level``: one batch for many instances."""

    final = True

    _BY_MANAGER: ClassVar = {
        "RelatedManager": "reverse",
        "ManyRelatedManager": "many_to_many",
        "GenericRelatedObjectManager": "generic_reverse",
        "ForwardManyToOneDescriptor": "forward",
        "ForwardOneToOneDescriptor": "one_to_one",
        "ReverseOneToOneDescriptor": "reverse_one_to_one",
        "GenericForeignKey": "generic",
        "GenericForeignKeyDescriptor": "generic",
    }

    def read(self, frame: FrameType) -> RawLabel:
        """See ``LabelSource``."""
        names = frame.f_locals
        instances, lookup = names["instances"], names["lookup"]
        through = lookup.prefetch_through.split("__")
        level = names["level"]
        kind = type(names["prefetcher"]).__name__
        first = instances[0]
        related = names.get("rel_qs")
        static = (
            "prefetch",
            "" if related is None else related.model,
            self._BY_MANAGER.get(kind, "many_to_many"),
            first.__class__,
            through[level] if level < len(through) else through[-1], False, True, 0,
        )  # fmt: skip
        parent = identity(first) if len(instances) == 1 else None
        return static, parent, len(instances), loaded_by(first)


class QuerySetSource:
    """A method of ``QuerySet``, with the related manager that made the queryset, if any."""

    final = False

    def __init__(self, verb: str) -> None:
        """Label the frames with ``verb``."""
        self.verb = verb

    def read(self, frame: FrameType) -> RawLabel:
        """See ``LabelSource``."""
        return self.label(frame.f_locals["self"])

    def follow(self, label: RawLabel, *, full: bool) -> Reader | None:
        """See ``LabelSource``: the text tells the relation, the row and the maker it does not."""
        static = label[0]
        relation, owner, created = static[2], static[3], static[7]
        if not relation and not full:
            return None
        if relation and relation.startswith("generic"):
            return self.read  # its parent stands in the conditions

        def read(frame: FrameType) -> RawLabel:
            queryset = frame.f_locals["self"]
            parent = queryset._hints.get("instance")
            if (parent is None) if not relation else (parent.__class__ is owner):
                query = queryset._query
                if query.__dict__.get(CREATED_MARK, 0) == created:
                    if parent is None:
                        return label
                    return static, identity(parent), 1, loaded_by(parent)
            return self.label(queryset)

        return read

    def label(self, queryset: Any) -> RawLabel:
        """Return the label of a queryset that is being evaluated."""
        verb = self.verb
        query = queryset.query
        created = query.__dict__.get(CREATED_MARK, 0)
        if verb == "iterate" and queryset._fields is not None:
            verb = "values"
        parent = queryset._hints.get("instance")
        found = None
        if parent is not None:
            found = manager_relation(queryset, query, parent)
        elif queryset.model not in without_generic_key:
            generic = generic_relation(queryset.model, query)
            if generic is not None:
                relation, owner, attribute, key, parts = generic
                narrowed = is_narrowed(verb, query, parts)
                static = (
                    verb, queryset.model, relation, owner, attribute, narrowed, False, created,
                )  # fmt: skip
                return static, key, 1, None
        if found is None:
            static = (verb, queryset.model, "", "", "", False, False, created)
            return static, None, 0, None
        relation, owner, attribute = found
        static = (
            verb, queryset.model, relation, owner, attribute, is_narrowed(verb, query, 1), False,
            created,
        )  # fmt: skip
        return static, identity(parent), 1, loaded_by(parent)


class IterableSource(QuerySetSource):
    """``ModelIterable.__iter__`` outside ``_fetch_all``: ``.iterator()``."""

    def read(self, frame: FrameType) -> RawLabel:
        """See ``LabelSource``."""
        return self.label(frame.f_locals["self"].queryset)

    def follow(self, label: RawLabel, *, full: bool) -> Reader | None:  # noqa: ARG002 - as above
        """See ``LabelSource``: its frame has other locals."""
        return self.read


class CompilerSource:
    """``SQLCompiler.execute_sql``: an ORM statement that no frame further out explains."""

    final = False

    def read(self, frame: FrameType) -> RawLabel:
        """See ``LabelSource``."""
        query: Any = frame.f_locals["self"].query
        model = query.model
        return ("orm", model, "", "", "", False, False, 0), None, 0, None


class RawSource:
    """``RawQuerySet``: ``Model.objects.raw``."""

    final = False

    def read(self, frame: FrameType) -> RawLabel:
        """See ``LabelSource``."""
        static = ("raw", frame.f_locals["self"].model, "", "", "", False, False, 0)
        return static, None, 0, None


class ManagerWriteSource:
    """A write through a related manager: ``book.genres.add(genre)``."""

    final = False

    def __init__(self, relation: str) -> None:
        """Label the frames as writes of ``relation``."""
        self.relation = relation

    def read(self, frame: FrameType) -> RawLabel:
        """See ``LabelSource``."""
        manager = frame.f_locals["self"]
        instance = manager.instance
        name = getattr(manager, "prefetch_cache_name", "") or ""
        static = (
            "m2m_write", manager.model, self.relation, instance.__class__, name, True, False, 0,
        )  # fmt: skip
        return static, identity(instance), 1, None


def _inner_codes(factory: Callable[..., Any], names: set[str]) -> Iterator[CodeType]:
    """Yield the code of the methods that a manager factory defines on its inner class."""
    pending = [factory.__code__]
    while pending:
        for constant in pending.pop().co_consts:
            if hasattr(constant, "co_consts"):
                if constant.co_name in names:
                    yield constant
                else:
                    pending.append(constant)


def sources() -> Iterator[tuple[Any, Any]]:
    """Yield (function or code, kind) of every frame of Django's that means something.

    What this version of Django does not have, or has with other local names, is left out: its
    statements count as unlabelled.
    """
    expected: list[tuple[Any, set[str], Any]] = [
        (ForwardManyToOneDescriptor.__get__, {"self", "instance"}, ForwardSource()),
        (ReverseOneToOneDescriptor.__get__, {"self", "instance"}, ReverseOneToOneSource()),
        (DeferredAttribute.__get__, {"self", "instance"}, ColumnSource()),
        (Model.refresh_from_db, {"self"}, InstanceSource("refresh")),
        (Model.save, {"self"}, InstanceSource("save")),
        (Model.delete, {"self"}, InstanceSource("delete")),
        (prefetch_one_level, {"instances", "prefetcher", "lookup", "level"}, PrefetchSource()),
        (ModelIterable.__iter__, {"self"}, IterableSource("iterate")),
        (RawQuerySet._fetch_all, {"self"}, RawSource()),
        (RawQuerySet.iterator, {"self"}, RawSource()),
        (SQLCompiler.execute_sql, {"self"}, CompilerSource()),
        (SQLInsertCompiler.execute_sql, {"self"}, CompilerSource()),
        (SQLUpdateCompiler.execute_sql, {"self"}, CompilerSource()),
        (Node.render_annotated, {"self"}, codes.NODE),
        # What lies outside is the middlewares' calls of one another: two frames each, the same
        # for every statement of a view. Their own statements do not pass through it.
        (BaseHandler._get_response, {"self"}, codes.BOUNDARY),
        (BaseHandler._get_response_async, {"self"}, codes.BOUNDARY),
        (SyncToAsync.thread_handler, {"self"}, codes.HANDED),
    ]
    for name, verb in _VERBS.items():
        method = getattr(QuerySet, name, None)
        if method is not None:
            expected.append((method, {"self"}, QuerySetSource(verb)))
    column_of_peers = getattr(DeferredAttribute, "fetch_many", None)
    if column_of_peers is not None:
        expected.append((column_of_peers, {"self", "to_fetch"}, PeersColumnSource()))
    expected.extend(
        (code, {"self"}, ManagerWriteSource(relation))
        for factory, relation in (
            (create_forward_many_to_many_manager, "many_to_many"),
            (create_reverse_many_to_one_manager, "reverse"),
        )
        for code in _inner_codes(factory, _MANAGER_WRITES)
    )
    expected.extend(
        (method, {"self", "instance"}, GenericSource()) for method in _generic_getters()
    )
    for function, names, kind in expected:
        # Read tracking may stand around a getter already: the frame that asks is Django's own.
        code: CodeType | None = getattr(unwrap(function), "__code__", function)
        if code is not None and names <= set(getattr(code, "co_varnames", ())):
            yield code, kind


def _generic_getters() -> Iterator[Any]:
    # Not imported here: without the application in INSTALLED_APPS the import raises. Models
    # with a generic key have imported it by the time a middleware is made.
    fields = sys.modules.get("django.contrib.contenttypes.fields")
    for name in ("GenericForeignKey", "GenericForeignKeyDescriptor"):
        method = vars(getattr(fields, name, object)).get("__get__")
        if method is not None:
            yield method
