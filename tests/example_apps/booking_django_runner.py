"""Child process that sends requests to the Django booking example and prints what it saw.

Run it from the application's folder. It reads a JSON list of requests, each
``{"path": "/health", "token": "Token token-1" or null}``, from standard input and
prints a JSON list with one object for each: ``status``, ``type``, ``body``
(parsed where it is JSON), ``statements`` (alias, SQL, parameters, and file and
line of the application where each one was sent, transaction control included),
``sessions`` (database connections that sent something), ``opened``
(connections opened), ``held`` (most open at once), ``held_ms`` (longest time
in which ``default`` sat in a transaction after its last statement) and
``log_calls``.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from pathlib import Path
from typing import Any

import django
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created
from django.test import Client


class Watch:
    """Counts statements and connections of one request at a time."""

    def __init__(self) -> None:
        self.open: set[int] = set()
        self.reset()

    def reset(self) -> None:
        """Forget the request before; connections that are open stay counted."""
        self.statements: list[dict[str, str]] = []
        self.sessions: set[str] = set()
        self.opened: list[str] = []
        self.held = 0
        self.last_ns = 0
        self.held_ms = 0.0

    def created(self, *, connection: BaseDatabaseWrapper, **_signal: object) -> None:
        """Note an opened connection and follow its statements."""
        self.open.add(id(connection))
        self.held = max(self.held, len(self.open))
        self.opened.append(connection.alias)
        if self.execute not in connection.execute_wrappers:
            connection.execute_wrappers.insert(0, self.execute)

    def closed(self, connection: BaseDatabaseWrapper) -> None:
        """Note a closed connection."""
        self.open.discard(id(connection))

    def committed(self, connection: BaseDatabaseWrapper) -> None:
        """Note how long the main transaction had been idle before its end."""
        if connection.alias == "default" and self.last_ns:
            self.held_ms = max(self.held_ms, (time.perf_counter_ns() - self.last_ns) / 1e6)

    def execute(self, execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        """Note a statement and send it on."""
        alias = context["connection"].alias
        self.statements.append(
            {"alias": alias, "sql": sql, "params": repr(params), "origin": origin()}
        )
        self.sessions.add(alias)
        try:
            return execute(sql, params, many, context)
        finally:
            if alias == "default":
                self.last_ns = time.perf_counter_ns()


def origin() -> str:
    """Return ``file:line`` of the innermost frame of the application, relative to its folder."""
    home = f"{Path.cwd()}{os.sep}"
    frame = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_filename.startswith(home):
            return f"{frame.f_code.co_filename.removeprefix(home)}:{frame.f_lineno}"
        frame = frame.f_back
    return ""


class LogCounter(logging.Handler):
    """Counts the calls that reach the application's loggers."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def emit(self, _record: logging.LogRecord) -> None:
        """Count one call."""
        self.calls += 1


def watch_connections() -> Watch:
    """Follow every connection of the process from now on."""
    watch = Watch()
    close, commit = BaseDatabaseWrapper.close, BaseDatabaseWrapper.commit

    def close_and_tell(connection: BaseDatabaseWrapper) -> None:
        close(connection)
        watch.closed(connection)

    def tell_and_commit(connection: BaseDatabaseWrapper) -> None:
        watch.committed(connection)
        commit(connection)

    BaseDatabaseWrapper.close = close_and_tell
    BaseDatabaseWrapper.commit = tell_and_commit
    connection_created.connect(watch.created, weak=False)
    return watch


def main() -> None:
    """Answer the requests on standard input."""
    sys.path.insert(0, str(Path.cwd()))
    os.environ["DJANGO_SETTINGS_MODULE"] = "site_config.settings"
    django.setup()
    watch = watch_connections()
    logs = LogCounter()
    logging.getLogger("booking").addHandler(logs)
    client = Client(raise_request_exception=False)
    answers = []
    for request in json.load(sys.stdin):
        # As under a server: a request starts without a connection.
        connections.close_all()
        watch.reset()
        logs.calls = 0
        token = request.get("token")
        headers = {} if token is None else {"Authorization": token}
        began_ns = time.perf_counter_ns()
        response = client.get(request["path"], headers=headers)
        took_ms = (time.perf_counter_ns() - began_ns) / 1e6
        kind = response.headers.get("Content-Type", "")
        answers.append(
            {
                "status": response.status_code,
                "type": kind,
                "body": response.json() if "json" in kind else response.content.decode(),
                "statements": watch.statements,
                "sessions": sorted(watch.sessions),
                "opened": watch.opened,
                "held": watch.held,
                "held_ms": watch.held_ms,
                "log_calls": logs.calls,
                "took_ms": took_ms,
            }
        )
    json.dump(answers, sys.stdout)


if __name__ == "__main__":
    main()
