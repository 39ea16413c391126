"""The WSGI entry point: ``gunicorn wsgi:app``, or ``flask --app wsgi run``."""

from __future__ import annotations

import logging
import os
from logging.handlers import RotatingFileHandler
from pathlib import Path

from booking_flask.app import create_app

LOG_BYTES = 5_000_000


def _write_log() -> None:
    """Write what the application logs to ``BOOKING_LOG``, by default a file beside this one."""
    path = os.environ.get("BOOKING_LOG") or str(Path(__file__).resolve().parent / "booking.log")
    handler = RotatingFileHandler(path, maxBytes=LOG_BYTES, backupCount=1, delay=True)
    handler.setFormatter(logging.Formatter("%(asctime)s %(name)s %(message)s"))
    logging.getLogger("booking_flask").addHandler(handler)


_write_log()
app = create_app()
