"""The application factory."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING

from flask import Flask, jsonify
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from booking_flask import health
from booking_flask.database import ENGINE_KEY, database_url, make_engine
from booking_flask.legacy import admin_board, day_passes, detail, discovery
from booking_flask.repaired import admin_board as admin_board_v2
from booking_flask.repaired import detail as detail_v2
from booking_flask.repaired import discovery as discovery_v2

if TYPE_CHECKING:
    from flask import Response


def create_app(url: str | None = None, *, profile: bool | None = None) -> Flask:
    """Return the application with its endpoints, legacy and repaired.

    Args:
        url: Of the database; None reads ``DATABASE_URL``.
        profile: Whether queryscope records the requests; None reads
            ``BOOKING_QUERYSCOPE``, which says yes with ``1``.
    """
    app = Flask(__name__)
    app.extensions[ENGINE_KEY] = make_engine(database_url(url))
    for module in (
        health, discovery, detail, admin_board, discovery_v2, detail_v2, admin_board_v2,
    ):  # fmt: skip
        app.register_blueprint(module.blueprint)
    app.teardown_request(day_passes.close_desk)
    app.register_error_handler(PoolTimeoutError, _no_connection)
    logging.getLogger("booking_flask").setLevel(logging.INFO)
    if profile is None:
        profile = os.environ.get("BOOKING_QUERYSCOPE") == "1"
    if profile:
        _record(app)
    return app


def _record(app: Flask) -> None:
    """Let queryscope record every request of an application."""
    import queryscope
    from queryscope.wsgi import Middleware

    queryscope.install()
    app.wsgi_app = Middleware(app.wsgi_app)


def _no_connection(error: PoolTimeoutError) -> tuple[Response, int]:
    """Answer 503 when the pool had no connection to give in time."""
    return jsonify(error="no database connection was free", detail=str(error)), 503
