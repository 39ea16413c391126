"""A Flask application on SQLAlchemy: blueprints, class-based and async views, streams, Jinja2."""

from __future__ import annotations

import threading

from flask import Blueprint, Flask, abort, g, jsonify, render_template, request, stream_with_context
from flask.views import MethodView
from sqlalchemy import create_engine, func, select
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import selectinload, sessionmaker

from tests.frameworks.conftest import TEMPLATES
from tests.frameworks.volumes import Base, Shelf, Volume

VOLUMES = 12


class Teapot(Exception):  # noqa: N818 - it is no error
    """What the application answers by itself."""


def current():
    """Return the request's session."""
    if "session" not in g:
        g.session = g.sessions()  # the session
    return g.session


volumes = Blueprint("volumes", __name__, url_prefix="/volumes")


@volumes.get("/page")
def page():
    """Render volumes, whose shelves the template asks for."""
    found = current().scalars(select(Volume)).all()  # page select
    return render_template("volumes.html", volumes=found)


@volumes.get("/page/repaired")
def page_repaired():
    """Render volumes with their shelves."""
    found = current().scalars(select(Volume).options(selectinload(Volume.shelf))).all()
    return render_template("volumes.html", volumes=found)


@volumes.get("/<int:number>")
def one(number):
    """Look a volume up."""
    found = current().get(Volume, number)  # look-up
    return jsonify(shelf=found.shelf_id) if found else abort(404)


@volumes.get("/stream")
def stream():
    """Stream names, a query each, with the request's session."""

    def lines():
        for volume in current().scalars(select(Volume)):  # streamed select
            yield volume.shelf.name  # streamed loop

    return stream_with_context(lines())


@volumes.get("/stream/broken")
def broken_stream():
    """Stream a line, then raise."""

    def lines():
        yield "first"
        current().scalar(select(func.count(Shelf.id)))
        raise RuntimeError("the stream is broken")

    return stream_with_context(lines())


class Shelves(MethodView):
    """A class-based view that lists shelves through a library's serializer, as it were."""

    def get(self):
        """Count them."""
        return str(current().scalar(select(func.count(Shelf.id))))  # method


volumes.add_url_rule("/shelves", view_func=Shelves.as_view("shelves"))


@volumes.get("/async")
async def in_a_coroutine():
    """Ask in a loop of this request's own."""
    engine = create_async_engine(request.environ["tests.async_url"])
    async with AsyncSession(engine) as session:
        found = await session.scalars(select(Volume))
        names = []
        for volume in found:
            shelf = await session.get(Shelf, volume.shelf_id)  # async loop
            names.append(shelf.name)
    await engine.dispose()
    return jsonify(names)


@volumes.get("/thread")
def in_a_thread():
    """Ask in a thread that is joined."""
    sessions = g.sessions

    def count():
        with sessions() as session:
            session.scalar(select(func.count(Shelf.id)))  # in a thread

    thread = threading.Thread(target=count)
    thread.start()
    thread.join()
    return "counted"


@volumes.get("/outliving")
def outliving():
    """Leave a thread behind that asks when it is let go."""
    sessions = g.sessions
    state = request.environ["tests.state"]

    def goes_on():
        state["let go"].wait(30)
        with sessions() as session:
            session.scalar(select(func.count(Shelf.id)))

    state["thread"] = threading.Thread(target=goes_on)
    state["thread"].start()
    return "gone"


@volumes.get("/broken")
def broken():
    """Ask, then raise."""
    current().scalar(select(func.count(Shelf.id)))
    raise RuntimeError("the view is broken")


@volumes.get("/teapot")
def teapot():
    """Raise what the application answers."""
    raise Teapot


@volumes.get("/numbered/<int:number>")
def numbered(number):
    """Ask as often as the route says."""
    for _ in range(number):
        current().execute(select(Shelf.id).where(Shelf.id == number))
    return str(number)


def make(path):
    """Return the application on a SQLite file, filled, and what closes it."""
    engine = create_engine(f"sqlite:///{path}")
    sessions = sessionmaker(engine)
    Base.metadata.create_all(engine)
    with sessions() as session:
        session.add_all(Volume(shelf=Shelf(name=f"s{n}")) for n in range(VOLUMES))
        session.commit()
    app = Flask(__name__, template_folder=str(TEMPLATES / "jinja2"))

    @app.before_request
    def begin():
        g.sessions = sessions
        if request.headers.get("x-count"):
            current().scalar(select(func.count(Volume.id)))  # before the request

    @app.teardown_request
    def end(error):
        session = g.pop("session", None)
        if session is not None:
            if request.headers.get("x-count"):
                session.scalar(select(func.count(Volume.id)))  # teardown
            session.close()

    @app.errorhandler(Teapot)
    def answer(error):
        return "teapot", 418

    app.register_blueprint(volumes, url_prefix="/v1/volumes")
    return app, engine.dispose
