"""What a replayed application sees of the world: a server's command line, its mails in memory."""

from __future__ import annotations

import sqlite3
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ARGUMENTS = ["gunicorn"]
"""What the application reads in ``sys.argv``."""


def reverse_selects() -> None:
    """Let every SQLite connection answer unordered selects backwards."""
    inner: Callable[..., sqlite3.Connection] = sqlite3.connect

    def connect(*arguments: Any, **named: Any) -> sqlite3.Connection:
        connection = inner(*arguments, **named)
        # A factory of the user's may count statements: past its own methods.
        sqlite3.Connection.execute(connection, "PRAGMA reverse_unordered_selects = ON")
        return connection

    for name in ("sqlite3", "sqlite3.dbapi2"):
        vars(import_module(name))["connect"] = connect


def divert_mail() -> None:
    """Let Django keep its mails in memory."""
    conf = sys.modules.get("django.conf")
    if conf is not None and conf.settings.configured:
        conf.settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"


def mails() -> Iterator[tuple[str, str]]:
    """Yield the mails that Django kept since it was last asked, and forget them."""
    mail = sys.modules.get("django.core.mail")
    box = getattr(mail, "outbox", None)
    if box:
        for message in box:
            yield f"mail to {', '.join(message.recipients())}", f"{message.subject}\n{message.body}"
        box.clear()
