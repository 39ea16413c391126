"""Which statement loaded an instance, and whose rows a statement narrows down.

SQLAlchemy numbers every load and leaves the number on each instance (``InstanceState.runid``).
We remember which statement a number belongs to: nothing is added to instances, options or cache
keys. An option in ``propagated_loader_options`` would say the same, but it changes the paths of
later lazy loads, and with them what the compiled cache holds.
"""

from __future__ import annotations

import sys
from functools import wraps
from typing import TYPE_CHECKING, Any

from queryscope.sqlalchemy.pools import MARK
from queryscope.trace import codes, guard
from queryscope.trace.scope import active

if TYPE_CHECKING:
    from collections.abc import Callable

KEPT_LOADS = 32_768
"""Loads remembered, process-wide; older ones are not known any more."""

_frame = sys._getframe
_loads: list[tuple[int, int] | None] = [None] * KEPT_LOADS
_running: dict[int, int] = {}
"""Statements by id of the query context that is being made, for loads inside the making."""


def instances(original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap ``loading.instances``: tie the load's number to its statement."""

    @wraps(original)
    def instances(cursor: Any, context: Any) -> Any:
        if active() is None:
            return original(cursor, context)
        # A result that was spliced together has no context.
        mark = getattr(getattr(cursor, "context", None), MARK, None)
        if mark is None:
            return original(cursor, context)
        uid = mark[1]
        if context.execution_options.get("prebuffer_rows"):
            return _prebuffered(original, cursor, context, uid)
        result = original(cursor, context)
        try:
            run = context.runid
            _loads[run % KEPT_LOADS] = (run, uid)
        except Exception as error:  # noqa: BLE001 - the guard passes on what is not ours
            guard.caught(error, "sqlalchemy.instances")
        return result

    return instances


def _prebuffered(original: Callable[..., Any], cursor: Any, context: Any, uid: int) -> Any:
    """Load at once, as async sessions do: what is loaded along asks before the number is known."""
    key = id(context)
    _running[key] = uid
    try:
        return original(cursor, context)
    finally:
        del _running[key]
        run = getattr(context, "runid", None)
        if run is not None:
            _loads[run % KEPT_LOADS] = (run, uid)


def loaded_by(state: Any, context: Any = None) -> int | None:
    """Return the uid of the statement that loaded an instance, None if not known."""
    run: int | None = state.runid
    if run is None:
        return None
    found = _loads[run % KEPT_LOADS]
    if found is not None and found[0] == run:
        return found[1]
    return None if context is None else _running.get(id(context))


def identity(state: Any) -> Any:
    """Return what tells the row of an instance from others."""
    return state.key or id(state)


def relation_of(prop: Any) -> str:
    """Return our word for a relationship's kind."""
    direction = prop.direction.name
    if direction == "MANYTOONE":
        return "forward"
    if direction == "MANYTOMANY":
        return "many_to_many"
    return "reverse" if prop.uselist else "reverse_one_to_one"


def with_parent(original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap ``Relationship._with_parent``, which narrows a statement to one parent's rows.

    Dynamic and write-only relationships and ``with_parent()`` come through here. The criterion
    it makes carries the parent row's identity; clones of the statement keep it.
    """

    @wraps(original)
    def _with_parent(self: Any, instance: Any, *args: Any, **kwargs: Any) -> Any:
        criterion = original(self, instance, *args, **kwargs)
        if active() is not None:
            try:
                state = instance.__dict__.get("_sa_instance_state")
                if state is not None:
                    criterion.__dict__[MARK] = (
                        relation_of(self), self.parent.class_, self.key, bool(self.order_by),
                        identity(state), loaded_by(state),
                    )  # fmt: skip
            except Exception as error:  # noqa: BLE001 - the guard passes on what is not ours
                guard.caught(error, "sqlalchemy.with_parent")
        return criterion

    return _with_parent


def query_init(original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap ``Query.__init__``: in full recording, the line that makes a query."""

    @wraps(original)
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        scope = active()
        if scope is not None and scope.recorder.full:
            try:
                self.__dict__[MARK] = codes.creation_site(_frame(1))
            except Exception as error:  # noqa: BLE001 - the guard passes on what is not ours
                guard.caught(error, "sqlalchemy.Query.__init__")

    return __init__
