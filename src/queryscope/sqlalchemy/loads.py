"""What the frames of SQLAlchemy's loaders say: relationship or column, parent row, its statement.

As in ``labels``: every source reads the locals of one frame and runs no code of the user's.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

from queryscope.sqlalchemy.pools import MARK
from queryscope.sqlalchemy.provenance import identity, loaded_by, relation_of

if TYPE_CHECKING:
    from types import FrameType

    from queryscope.trace.codes import RawLabel


def _relation(operation: str, prop: Any, *, batched: bool) -> tuple[Any, ...]:
    """Return the static part of the label of a relationship's load."""
    return (
        operation, prop.mapper.class_, relation_of(prop), prop.parent.class_, prop.key,
        False, batched, 0,
    )  # fmt: skip


def _lazy(prop: Any) -> tuple[Any, ...]:
    """Return the static part of a lazy load, kept on the relationship: it is read row by row."""
    static: tuple[Any, ...] | None = getattr(prop, MARK, None)
    if static is None:
        static = _relation("lazy", prop, batched=False)
        setattr(prop, MARK, static)
        _marked.add(prop)
    return static


_marked: weakref.WeakSet[Any] = weakref.WeakSet()


def forget() -> None:
    """Take our marks off every relationship."""
    for prop in list(_marked):
        vars(prop).pop(MARK, None)
    _marked.clear()


class LazyRelation:
    """A relationship's loader for one instance: by attribute access, or at once after a load."""

    def __init__(self, *, final: bool) -> None:
        """Say whether frames further out may overrule it."""
        self.final = final

    def read(self, frame: FrameType) -> RawLabel:
        """See ``LabelSource``."""
        names = frame.f_locals
        state = names["state"]
        static = _lazy(names["self"].parent_property)
        return static, identity(state), 1, loaded_by(state, names.get("context"))


class AttributeRead:
    """``AttributeImpl._fire_loader_callables``: a relationship that is read and not there yet.

    It says what the loader's own frame says, further out and with a third of the locals.
    """

    final = False

    def read(self, frame: FrameType) -> RawLabel:
        """See ``LabelSource``."""
        names = frame.f_locals
        state = names["state"]
        static = _lazy(state.manager.mapper._props[names["key"]])
        return static, state.key or id(state), 1, loaded_by(state)


class LazyColumns:
    """``load_scalar_attributes``: deferred columns, or those of an expired instance.

    Final: reading ``book.author`` of an expired book loads the book again first.
    """

    final = True

    def read(self, frame: FrameType) -> RawLabel:
        """See ``LabelSource``."""
        names = frame.f_locals
        state = names["state"]
        owner = names["mapper"].class_
        relation = "expired" if state.expired else "column"
        wanted = names["attribute_names"] or ()
        attribute = next(iter(wanted)) if len(wanted) == 1 else _asked(frame)
        static = ("lazy", owner, relation, owner, attribute, False, False, 0)
        return static, identity(state), 1, loaded_by(state)


def _asked(frame: FrameType) -> str:
    """Return the attribute that was read when several columns are loaded at once."""
    outer = frame.f_back
    for _ in range(4):
        if outer is None:
            break
        if outer.f_code.co_name == "_fire_loader_callables":
            return str(outer.f_locals["key"])
        outer = outer.f_back
    return ""


class SelectIn:
    """``SelectInLoader._load_for_path``: one statement for many parents."""

    final = True

    def read(self, frame: FrameType) -> RawLabel:
        """See ``LabelSource``."""
        names = frame.f_locals
        states = names["states"]
        prop = names["self"].parent_property
        static = _relation("select_in", prop, batched=True)
        first = next(iter(states))[0]
        return static, None, len(states), loaded_by(first, names["context"])


class Subquery:
    """``SubqueryLoader._SubqCollections._load``, called while the first parent row is read."""

    final = True

    def read(self, frame: FrameType) -> RawLabel | None:
        """See ``LabelSource``."""
        outer: FrameType | None = frame.f_back
        for _ in range(3):
            if outer is None:
                break
            names = outer.f_locals
            prop = getattr(names.get("self"), "parent_property", None)
            if prop is not None:
                # The statement repeats the parents' own: how many they are, it does not know.
                static = _relation("subquery", prop, batched=True)
                return static, None, 0, loaded_by(names["state"])
            outer = outer.f_back
        return None
