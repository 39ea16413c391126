"""Engines that are made while something is recorded, and how often their line has made one."""

from __future__ import annotations

import sys
import threading
from functools import wraps
from threading import get_ident
from typing import TYPE_CHECKING, Any

from sqlalchemy.pool import NullPool

from queryscope.sqlalchemy.pools import facts_of
from queryscope.trace import guard
from queryscope.trace.facts import OpenEngine
from queryscope.trace.scope import recording

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

_frame = sys._getframe

MAX_LINES = 1_000
"""Lines and URLs whose engines are counted; of further ones each is the first."""
MAX_FRAMES = 30
"""SQLAlchemy's own frames above the call of ``create_engine``."""

_made: dict[tuple[int, int, str], int] = {}
_lock = threading.Lock()


def engine_created(original: Callable[..., Any]) -> Any:
    """Wrap the class method ``Dialect.engine_created``: an engine with a pool of its own is ready.

    Not ``Engine.__init__``: ``create_engine`` reads its options from that function's signature.
    """
    function = getattr(original, "__func__", original)

    @wraps(function)
    def engine_created(cls: Any, engine: Any) -> None:
        function(cls, engine)
        try:
            recorder = recording()
            if recorder is None:
                return
            facts = facts_of(engine.pool, engine)
            if not facts.watched:
                return
            pooled = not isinstance(engine.pool, NullPool)
            made = OpenEngine(facts.name, facts.uid, pooled=pooled, thread=get_ident())
            asker = _asker(_frame(1))
            made.site, chain = recorder.place(asker)
            # An extension makes one engine for each application, when that first asks; tests make
            # many applications. Only a line that calls create_engine() itself is counted.
            if chain and asker is not None and id(asker.f_code) == chain[0]:
                url = engine.url.render_as_string(hide_password=True)
                made.before = _count((chain[0], chain[1], url))
            recorder.add_engine(made)
        except Exception as error:  # noqa: BLE001 - the guard passes on what is not ours
            guard.caught(error, "sqlalchemy.engine_created")

    return classmethod(engine_created)


def _asker(frame: FrameType | None) -> FrameType | None:
    """Return the nearest frame that is not SQLAlchemy's: who called ``create_engine``."""
    for _ in range(MAX_FRAMES):
        if frame is None:
            break
        name = str(frame.f_globals.get("__name__", ""))
        # Its decorators are made with exec, in files of no name.
        if name.partition(".")[0] != "sqlalchemy" and not frame.f_code.co_filename.startswith("<"):
            break
        frame = frame.f_back
    return frame


def _count(key: tuple[int, int, str]) -> int:
    """Return how many engines a line had made for a URL, and count this one."""
    with _lock:
        before = _made.get(key, 0)
        if before or len(_made) < MAX_LINES:
            _made[key] = before + 1
    return before


def forget() -> None:
    """Begin to count anew."""
    with _lock:
        _made.clear()
