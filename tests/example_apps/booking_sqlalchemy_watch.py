"""The SQLAlchemy booking example inside the test process, and what its requests do to its database.

Importing this module puts the folder of the application on ``sys.path``.
"""

from __future__ import annotations

import sys
import threading
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from sqlalchemy import event

APP_DIR = Path(__file__).resolve().parents[2] / "example_apps" / "booking_sqlalchemy"
PACKAGE_DIR = APP_DIR / "booking_flask"
if str(APP_DIR) not in sys.path:
    sys.path.append(str(APP_DIR))

from booking_flask.app import create_app  # noqa: E402 - the path comes first
from booking_flask.database import ENGINE_KEY, AppSession  # noqa: E402 - as above

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from flask import Flask
    from sqlalchemy import Engine

Line = tuple[str, int]
"""File, from the application's package on, and line."""

TOKEN = {"Authorization": "Token token-1"}


def app_on(engine_url: str) -> Flask:
    """Return a new application, with empty caches, on a database."""
    return create_app(engine_url, profile=False)


def engine_of(app: Flask) -> Engine:
    """Return the only engine of an application."""
    engine: Engine = app.extensions[ENGINE_KEY]
    return engine


def innermost_line(frame: FrameType | None) -> Line:
    """Return the innermost line of the application, in its Python code or its templates."""
    while frame is not None:
        path = Path(frame.f_code.co_filename)
        if path.is_relative_to(PACKAGE_DIR):
            template = frame.f_globals.get("__jinja_template__")
            number = frame.f_lineno
            if template is not None:
                number = template.get_corresponding_lineno(number)
            return path.relative_to(PACKAGE_DIR).as_posix(), number
        frame = frame.f_back
    raise AssertionError("a statement that no line of the application asked for")


@dataclass
class Watch:
    """Counts what one application sends and holds while the ``with`` block runs."""

    app: Flask
    on_checkout: Callable[[int], None] = lambda _count: None
    """Called inside each checkout with its number within the thread, from 1 on."""
    statements: list[tuple[Line, str, Any]] = field(default_factory=list)
    held: Counter[int] = field(default_factory=Counter)
    most_held: Counter[int] = field(default_factory=Counter)
    checkouts: Counter[int] = field(default_factory=Counter)
    sessions: defaultdict[int, set[AppSession]] = field(
        default_factory=lambda: defaultdict(set),
    )
    last_statement_ns: int = 0
    idle_ns: int = 0
    """Longest time from the start of a last statement to the return of a connection."""
    last_checkin_ns: int = 0
    ended_ns: int = 0

    def __enter__(self) -> Self:
        self._listeners = [
            (engine_of(self.app), "do_execute", self._executed),
            (engine_of(self.app), "checkout", self._checked_out),
            (engine_of(self.app), "checkin", self._checked_in),
            (AppSession, "after_begin", self._began),
        ]
        for target, name, listener in self._listeners:
            event.listen(target, name, listener)
        return self

    def __exit__(self, *_error: object) -> None:
        self.ended_ns = time.perf_counter_ns()
        for target, name, listener in self._listeners:
            event.remove(target, name, listener)
        engine_of(self.app).dispose()

    def lines(self) -> Counter[Line]:
        """Return how many statements each line of the application sent."""
        return Counter(line for line, _, _ in self.statements)

    def _executed(self, _cursor: Any, statement: str, parameters: Any, _context: Any) -> None:
        line = innermost_line(sys._getframe())
        self.statements.append((line, statement, parameters))
        self.last_statement_ns = time.perf_counter_ns()

    def _checked_out(self, *_event: object) -> None:
        me = threading.get_ident()
        self.held[me] += 1
        self.checkouts[me] += 1
        self.most_held[me] = max(self.most_held[me], self.held[me])
        self.on_checkout(self.checkouts[me])

    def _checked_in(self, *_event: object) -> None:
        self.held[threading.get_ident()] -= 1
        self.last_checkin_ns = time.perf_counter_ns()
        self.idle_ns = max(self.idle_ns, self.last_checkin_ns - self.last_statement_ns)

    def _began(self, session: AppSession, *_event: object) -> None:
        self.sessions[threading.get_ident()].add(session)
