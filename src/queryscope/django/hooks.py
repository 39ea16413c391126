"""Everything that queryscope patches in Django, and how it is taken out again."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from functools import partial, wraps
from typing import TYPE_CHECKING, Any

from asgiref.sync import AsyncToSync, SyncToAsync, iscoroutinefunction
from django.apps import apps
from django.conf import settings
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.base import BaseHandler
from django.core.signals import got_request_exception
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created
from django.db.models.manager import BaseManager
from django.db.models.query import ModelIterable, QuerySet, RawModelIterable
from django.db.models.sql import Query
from django.template.backends.django import Template as DjangoTemplate
from django.template.response import SimpleTemplateResponse

from queryscope.django import asynchronous, copies, pools, reads
from queryscope.django import connections as facts
from queryscope.django.labels import CREATED_MARK, QUERY_MARK, sources
from queryscope.trace import codes, guard, tasks
from queryscope.trace.facts import clock
from queryscope.trace.flat import TEXT, THREAD, UID, WIDTH
from queryscope.trace.patches import Patches
from queryscope.trace.scope import active, recording
from queryscope.trace.stage import StageBlock
from queryscope.trace.text import describe

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

    from queryscope.trace.recorder import Recorder

Maker = Callable[[Callable[..., Any]], Callable[..., Any]]
"""Makes what stands in for a function, given the original."""

_MANAGERS_OWN = BaseManager.get_queryset.__code__
_FETCH_ALL = QuerySet._fetch_all.__code__
_getframe = sys._getframe
_lock = threading.RLock()
patches = Patches("django.install")
_installed: set[str] = set()
_registered: list[Any] = []


def install(*, full: bool, track: bool = False) -> None:
    """Install every hook; a second call adds what the first left out.

    Args:
        full: Also the hooks of full recording: where querysets are created, and which statement
            loaded an instance.
        track: With ``full``, also which columns and relations of instances are read.
    """
    with _lock:
        _register_frames()
        if "light" not in _installed:
            _installed.add("light")
            _patch_connections()
            _patch_stages()
            _listen()
            _patch_bridges()
        if full and "full" not in _installed:
            _installed.add("full")
            _patch_provenance()
        if full and track and "reads" not in _installed:
            _installed.add("reads")
            reads.install(patches)


def uninstall() -> None:
    """Take every hook out again, on the connection objects of every thread too."""
    with _lock:
        patches.restore()
        _installed.clear()
        codes.unregister(_registered)
        _registered.clear()


def _register_frames() -> None:
    """Tell the code table what Django's frames mean, and which packages are the user's."""
    for code, kind in sources():
        if code not in _registered:
            _registered.append(code)
            codes.register(code, kind)
    names = [os.environ.get("DJANGO_SETTINGS_MODULE", "")]
    if settings.configured:
        names += [
            getattr(settings, name, None) or "" for name in ("ROOT_URLCONF", "WSGI_APPLICATION")
        ]
    tops = {str(name).partition(".")[0] for name in names} - {"", "django"}
    codes.set_packages(user=tops, library=())


def _patch_connections() -> None:
    connection_created.connect(_on_connection_created, dispatch_uid="queryscope", weak=False)
    patches.later(_detach_all)
    patches.replace(BaseDatabaseWrapper, "make_cursor", facts.make_cursor)
    patches.replace(BaseDatabaseWrapper, "make_debug_cursor", facts.make_cursor)
    if settings.configured:
        for connection in connections.all(initialized_only=True):
            _attach(connection)
    patches.replace(BaseDatabaseWrapper, "set_autocommit", _wrapped_set_autocommit)
    patches.replace(BaseDatabaseWrapper, "_commit", _ending("commit"))
    patches.replace(BaseDatabaseWrapper, "_rollback", _ending("rollback"))
    patches.replace(BaseDatabaseWrapper, "_savepoint", _noting(facts.savepoint))
    patches.replace(BaseDatabaseWrapper, "close", _noting(facts.closed))
    if pools.patch(patches.replace):
        patches.later(pools.forget)


def _on_connection_created(connection: Any, **_: Any) -> None:
    try:
        _attach(connection)
    except Exception as error:  # noqa: BLE001 - the guard passes on what is not ours
        guard.caught(error, "django.connection_created")


def _attach(connection: Any) -> None:
    facts.attach(connection)
    if connection.vendor == "postgresql" and "postgresql" not in _installed:
        with _lock:
            if "light" in _installed and "postgresql" not in _installed:
                _installed.add("postgresql")
                copies.watch(connection, patches.replace)


def _detach_all() -> None:
    connection_created.disconnect(dispatch_uid="queryscope")
    facts.detach_all()


def _noting(note: Callable[[Any], None]) -> Maker:
    """Return a maker of wrappers that note a fact once the original has succeeded."""

    def make(original: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(original)
        def wrapped(self: Any, *args: Any, **kwargs: Any) -> Any:
            result = original(self, *args, **kwargs)
            try:
                note(self)
            except Exception as error:  # noqa: BLE001 - the guard passes on what is not ours
                guard.caught(error, f"django.{original.__name__}")
            return result

        return wrapped

    return make


def _ending(outcome: str) -> Maker:
    """Return a maker of wrappers that note the end of a transaction, and how long it took."""

    def make(original: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(original)
        def wrapped(self: Any, *args: Any, **kwargs: Any) -> Any:
            start = clock()
            result = original(self, *args, **kwargs)
            try:
                facts.ended(self, outcome, start)
            except Exception as error:  # noqa: BLE001 - the guard passes on what is not ours
                guard.caught(error, f"django.{original.__name__}")
            return result

        return wrapped

    return make


def _wrapped_set_autocommit(original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    def set_autocommit(self: Any, autocommit: Any, *args: Any, **kwargs: Any) -> Any:
        result = original(self, autocommit, *args, **kwargs)
        try:
            if autocommit:
                facts.ended(self, "commit")
            else:
                facts.began(self)
        except Exception as error:  # noqa: BLE001 - the guard passes on what is not ours
            guard.caught(error, "django.set_autocommit")
        return result

    return set_autocommit


# -- errors ----------------------------------------------------------------------------------


def _listen() -> None:
    got_request_exception.connect(_failed, dispatch_uid="queryscope")
    patches.later(lambda: got_request_exception.disconnect(dispatch_uid="queryscope"))


def _failed(request: Any = None, **_: Any) -> None:
    """Note an error that Django answers with status 500, also one of a user's middleware."""
    try:
        recorder = getattr(request, "_queryscope_recorder", None)
        error = sys.exc_info()[1]
        if recorder is not None and error is not None and recorder.error is None:
            recorder.error = describe(error)
    except Exception as error:  # noqa: BLE001 - the guard passes on what is not ours
        guard.caught(error, "django.got_request_exception")


# -- stages ----------------------------------------------------------------------------------


def _patch_stages() -> None:
    patches.replace(BaseHandler, "make_view_atomic", _wrapped_make_view_atomic)
    patches.replace(SimpleTemplateResponse, "render", _rendering(lambda _: "render response"))
    patches.replace(DjangoTemplate, "render", _rendering(_template_name))
    if settings.configured and any(
        str(engine.get("BACKEND", "")).endswith(".Jinja2") for engine in settings.TEMPLATES
    ):
        from django.template.backends.jinja2 import Template as JinjaTemplate

        patches.replace(JinjaTemplate, "render", _rendering(_template_name))
    if apps.models_ready and apps.is_installed("rest_framework"):
        from rest_framework.serializers import BaseSerializer

        patches.replace(BaseSerializer, "data", _serializing)


def _serializing(original: Any) -> property:
    """Make a serializer's ``data`` a stage; nested serializers are not asked for theirs."""
    getter: Callable[..., Any] = original.fget
    render = _rendering(lambda self: f"serialize {type(self).__name__}")(getter)
    return property(render, original.fset, original.fdel, original.__doc__)


def _template_name(template: Any) -> str:
    return f"render {template.template.name or 'template'}"


def _staged(callback: Callable[..., Any]) -> Callable[..., Any]:
    def view(*args: Any, **kwargs: Any) -> Any:
        with StageBlock("view", "view"):
            return callback(*args, **kwargs)

    return view


def _staged_async(callback: Callable[..., Any]) -> Callable[..., Any]:
    async def view(*args: Any, **kwargs: Any) -> Any:
        with StageBlock("view", "view"):
            return await callback(*args, **kwargs)

    return view


def _wrapped_make_view_atomic(original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    def make_view_atomic(self: Any, view: Any) -> Any:
        callback = original(self, view)
        if recording() is None:
            return callback
        # Django only calls it, and asks whether it is to be awaited. Nothing else is copied
        # from the user's view, which may be an object with ways of its own.
        return _staged_async(callback) if iscoroutinefunction(callback) else _staged(callback)

    return make_view_atomic


def _named(name: Callable[[Any], str], rendered: Any) -> str:
    try:
        return name(rendered)
    except Exception as error:  # noqa: BLE001 - the guard passes on what is not ours
        guard.caught(error, "django.render")
        return "render"


def _rendering(name: Callable[[Any], str]) -> Maker:
    def make(original: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(original)
        def render(self: Any, *args: Any, **kwargs: Any) -> Any:
            if active() is None:
                return original(self, *args, **kwargs)
            with StageBlock(_named(name, self), "render"):
                return original(self, *args, **kwargs)

        return render

    return make


# -- asynchronous code -----------------------------------------------------------------------


def _patch_bridges() -> None:
    tasks.follow()
    patches.replace(SyncToAsync, "__call__", asynchronous.sync_to_async)
    patches.replace(AsyncToSync, "__call__", asynchronous.async_to_sync)
    patches.replace(ASGIHandler, "send_response", _ending_unsent)


def _ending_unsent(original: Callable[..., Any]) -> Callable[..., Any]:
    """End the Trace of a response that could not be sent: the ASGI handler never closes it.

    One that was cancelled it does close.
    """

    @wraps(original)
    async def send_response(self: Any, response: Any, send: Any) -> Any:
        try:
            return await original(self, response, send)
        except BaseException as error:
            close = vars(response).get("close")
            if hasattr(close, "queryscope_failed"):
                close.queryscope_failed(error)
            raise

    return send_response


# -- full recording --------------------------------------------------------------------------


def _patch_provenance() -> None:
    patches.replace(Query, "__init__", _noting_creation)
    patches.replace(ModelIterable, "__iter__", _marking)
    patches.replace(RawModelIterable, "__iter__", _marking)


def _noting_creation(original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        try:
            # From the one who asked a manager: what its get_queryset makes is meant for
            # everybody, and who asked knows what will be read. No function of its own: every
            # queryset passes here.
            frame: FrameType | None = _getframe(1)
            while frame is not None:
                code = frame.f_code
                if code.co_name == "get_queryset":
                    own = code is _MANAGERS_OWN
                    if not own and not isinstance(frame.f_locals.get("self"), BaseManager):
                        break
                elif code.co_name != "__init__":
                    break
                frame = frame.f_back
            self.__dict__[CREATED_MARK] = codes.creation_site(frame)
        except Exception as error:  # noqa: BLE001 - the guard passes on what is not ours
            guard.caught(error, "django.Query.__init__")

    return __init__


def _marking(original: Callable[..., Any]) -> Callable[..., Any]:
    """Mark each loaded instance with the statement that loaded it.

    One int in ``_state``: it survives pickling and copying, and names nothing in another
    process. ``_hints`` would break database routers with a fixed signature.
    """

    @wraps(original)
    def __iter__(self: Any) -> Iterator[Any]:
        recorder = recording()
        if recorder is None or not recorder.full:
            yield from original(self)
            return
        before = len(recorder.statements)
        uid = 0
        related = bool(getattr(self.queryset.query, "select_related", False))
        if recorder.reads is not None:
            marks = reads.Marks(
                recorder, self.queryset, partial(_statement_since, recorder, before)
            )
            # A queryset that keeps its rows makes all of them before it hands out one.
            whole = _getframe(1).f_code is _FETCH_ALL
            make = marks.all_of if whole else marks.marked
            yield from make(original(self), related=related)
            return
        for instance in original(self):
            try:
                if not uid:
                    table = instance._meta.db_table
                    uid = _statement_since(recorder, before, table)
                _mark(instance, uid, related=related)
            except Exception as error:  # noqa: BLE001 - the guard passes on what is not ours
                guard.caught(error, "django.ModelIterable")
            yield instance

    return __iter__


def _statement_since(recorder: Recorder, before: int, table: str) -> int:
    """Return the uid of this thread's first statement since ``before`` that names a table.

    Django asks for a connection when it sends the first statement: what it sends on connecting
    (``SET`` on MariaDB) comes before. A raw query may read a view: then it is the first of all.
    """
    thread = threading.get_ident()
    first = -1
    statements = recorder.statements
    for at in range(before, len(statements), WIDTH):
        if statements[at + THREAD] == thread:
            uid: int = statements[at + UID]
            if table in statements[at + TEXT]:
                return uid
            if first < 0:
                first = uid
    return first


def _mark(instance: Any, uid: int, *, related: bool) -> None:
    state = instance._state
    state.__dict__[QUERY_MARK] = uid
    if related:
        for other in state.fields_cache.values():
            if other is not None and QUERY_MARK not in other._state.__dict__:
                _mark(other, uid, related=True)
