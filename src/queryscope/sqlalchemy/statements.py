"""Statements, from the dialects' own execute methods."""

from __future__ import annotations

import sys
from functools import wraps
from typing import TYPE_CHECKING, Any

from sqlalchemy.engine.interfaces import ExecuteStyle

from queryscope.sqlalchemy.checkouts import link_of
from queryscope.trace import guard
from queryscope.trace.facts import clock
from queryscope.trace.patches import uses_only
from queryscope.trace.scope import ACTIVE, active, recording

if TYPE_CHECKING:
    from collections.abc import Callable

    from queryscope.trace.scope import Scope

_frame = sys._getframe
_IN_BATCHES = ExecuteStyle.INSERTMANYVALUES
_READS = frozenset({"S", "s"})
"""First letters of what mostly reads: one look instead of one at each flag of the context."""


def do_execute(original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap ``DefaultDialect.do_execute``.

    What only hands its arguments to the cursor, as SQLAlchemy's own does, is not called for that:
    so this hook is no call more for each statement, idle or not.
    """
    plain = uses_only(original, "execute")

    @wraps(original)
    def do_execute(
        self: Any, cursor: Any, statement: Any, parameters: Any, context: Any = None
    ) -> Any:
        scope = active()
        if scope is None:
            if plain:
                cursor.execute(statement, parameters)
                return None
            return original(self, cursor, statement, parameters, context)
        start = clock()
        try:
            if plain:
                cursor.execute(statement, parameters)
                result = None
            else:
                result = original(self, cursor, statement, parameters, context)
        except BaseException as error:
            _record(scope, start, cursor, statement, parameters, 0, context, error)
            raise
        _record(scope, start, cursor, statement, parameters, 0, context, None)
        return result

    return do_execute


def do_execute_no_params(original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap ``DefaultDialect.do_execute_no_params``."""

    @wraps(original)
    def do_execute_no_params(self: Any, cursor: Any, statement: Any, context: Any = None) -> Any:
        scope = active()
        if scope is None:
            return original(self, cursor, statement, context)
        start = clock()
        try:
            result = original(self, cursor, statement, context)
        except BaseException as error:
            _record(scope, start, cursor, statement, None, 0, context, error)
            raise
        _record(scope, start, cursor, statement, None, 0, context, None)
        return result

    return do_execute_no_params


def do_executemany(original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap ``DefaultDialect.do_executemany``."""

    @wraps(original)
    def do_executemany(
        self: Any, cursor: Any, statement: Any, parameters: Any, context: Any = None
    ) -> Any:
        scope = active()
        if scope is None:
            return original(self, cursor, statement, parameters, context)
        many = len(parameters) if type(parameters) in (list, tuple) else -1
        start = clock()
        try:
            result = original(self, cursor, statement, parameters, context)
        except BaseException as error:
            _record(scope, start, cursor, statement, None, many, context, error)
            raise
        _record(scope, start, cursor, statement, None, many, context, None)
        return result

    return do_executemany


def outer(make: Callable[..., Any], original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a dialect's override, whose ``super()`` call reaches the wrapped base method.

    The original runs with no Recorder, so that the statement is recorded once.
    """

    @wraps(original)
    def unrecorded(*args: Any, **kwargs: Any) -> Any:
        before = ACTIVE.get()
        try:
            ACTIVE.set(None)
            return original(*args, **kwargs)
        finally:
            ACTIVE.set(before)

    wrapped: Callable[..., Any] = make(unrecorded)
    return wrapped


def _record(
    scope: Scope,
    start: int,
    cursor: Any,
    statement: Any,
    parameters: Any,
    many: int,
    context: Any,
    error: BaseException | None,
) -> None:
    """Append the statement that the wrapper around us has sent."""
    end = clock()
    try:
        recorder = scope.recorder
        stage = scope.stage
        if recorder.closed:
            recorder, stage = recording() or recorder, -1
        fairy = None if context is None else context._dbapi_connection
        link = recorder.link
        # The proxy of the connection answers no attribute without a detour; a weak reference
        # tells whether it is still the one of the last statement.
        if link is None or link.fairy is None or link.fairy() is not fairy:
            link = link_of(fairy)
            if link is None or not link.pool.watched:
                return
            recorder.link = link
        if link.owner is not recorder.id and not recorder.closed:
            link.bind(recorder)
        uid = recorder.add_query(start, end, statement, parameters, many, link, stage, error, 2)
        if not uid or error is not None or context is None:
            return
        if statement[:1] in _READS:
            context._queryscope = (recorder.rows, uid)
        elif context.execute_style is _IN_BATCHES:
            # Its rows are fetched batch by batch, past the fetch strategies.
            batch = _frame(2).f_locals.get("imv_batch")
            if batch is not None:
                recorder.rows[uid] = batch.current_batch_size
        elif not _counts_at_once(context, statement):
            context._queryscope = (recorder.rows, uid)
        else:
            # With RETURNING, SQLite counts a row when it is fetched: 0 is not yet known.
            count = cursor.rowcount
            if count > 0 or (count == 0 and not cursor.description):
                recorder.rows[uid] = count
            else:
                context._queryscope = (recorder.rows, uid)
    except Exception as failure:  # noqa: BLE001 - the guard passes on what is not ours
        guard.caught(failure, "sqlalchemy.execute")


def _counts_at_once(context: Any, statement: str) -> bool:
    """Tell whether the driver knows the number of rows as soon as it has executed."""
    return (
        context.isinsert
        or context.isupdate
        or context.isdelete
        or ((context.is_text or context.compiled is None) and statement[:1] not in "Ww(")
    )
