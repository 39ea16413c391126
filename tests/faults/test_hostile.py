"""Objects and strings of the application's that harm whoever looks at them: nobody of us does."""

from __future__ import annotations

import sqlite3
import sys

import pytest
from django.db import connection
from django.template import Context, Engine, Library, Node
from sqlalchemy import create_engine, event, select, text
from sqlalchemy.orm import Session

import queryscope
from queryscope import runtime, wsgi
from queryscope.django import hooks
from queryscope.trace import guard
from queryscope.trace.facts import ConnectionInfo
from queryscope.trace.freeze import freeze
from queryscope.trace.recorder import Recorder
from tests.django.conftest import make_books
from tests.django.library.models import Book
from tests.django.recorded import recorded
from tests.faults.serving import environ_of, served
from tests.sqlalchemy.shop import Author, fill

DEVELOPMENT = {"mode": "development", "console": False, "store": False, "keep_values": True}


class LookedAtError(Exception):
    """Raised by everything hostile, towards us."""


def refuse():
    """Raise when it is queryscope that asks; frameworks and drivers may."""
    if sys._getframe(2).f_globals.get("__name__", "").startswith("queryscope."):
        raise LookedAtError


SPECIAL = (
    "__len__", "__hash__", "__eq__", "__ne__", "__getitem__", "__iter__", "__bool__", "__str__",
    "__contains__", "__repr__", "__format__", "keys", "items", "values", "copy", "__reduce__",
    "__reduce_ex__", "__index__", "__int__", "__float__",
)  # fmt: skip


def hostile(base):
    """Return a subclass of ``base`` whose every special method raises when we call it."""

    def refusing(name):
        original = getattr(base, name, None)

        def method(self, *args, **kwargs):
            refuse()
            if original is None:
                raise TypeError(name)
            return original(self, *args, **kwargs)

        return method

    def own_class(self):
        refuse()
        return kind

    methods = {name: refusing(name) for name in SPECIAL if hasattr(base, name) or base is object}
    kind = type("Hostile", (base,), {**methods, "__class__": property(own_class)})
    return kind


def add(recorder, statement, parameters, many=0, error=None):
    """Add a statement as a hook does."""
    recorder.add_query(1, 2, statement, parameters, many, ConnectionInfo("d", "v"), -1, error, None)


@pytest.mark.parametrize("base", [object, str, list, tuple, dict, int, float, bytes])
def test_hostile_values_are_recorded_unseen(base):
    """As statement, as parameters and inside them, no method of a value's class is called."""
    value = hostile(str)("SELECT 1") if base is str else hostile(base)()
    recorder = Recorder("block", "test", keep_values=True)
    recorder.open()
    add(recorder, value, None)
    for parameters in (value, [value], (value,), {"name": value}, {"name": [value, [value]]}):
        add(recorder, "SELECT 2", parameters)
    recorder.close()
    trace = freeze(recorder)
    assert len(trace.queries) == 6
    wanted = "SELECT 1" if base is str else "<Hostile>"
    assert trace.queries[0].statement == wanted
    assert guard.failures() == ()


def test_text_of_a_subclass_is_its_text():
    """A safe string, or any other kind of text, is recorded as the text that it is."""

    class Text(str):
        __slots__ = ()

    recorder = Recorder("block", "test")
    recorder.open()
    add(recorder, Text("SELECT 1"), None)
    add(recorder, "SELECT 1", None)
    recorder.close()
    statements = [query.statement for query in freeze(recorder).queries]
    assert statements == ["SELECT 1", "SELECT 1"]
    assert {type(statement) for statement in statements} == {str}


class HostileError(Exception):
    @property
    def args(self):
        """Raise."""
        raise LookedAtError

    def __str__(self):
        raise LookedAtError


def test_hostile_errors_pass_as_they_are(tmp_path):
    """An error that cannot be printed is noted by its class, and reaches who waits for it."""

    def app(environ, start_response):
        raise HostileError

    with pytest.raises(HostileError):
        wsgi.Middleware(app, DEVELOPMENT)(environ_of(), lambda *_: None)
    with pytest.raises(HostileError), queryscope.profile("x") as run:
        raise HostileError
    assert run.trace.error.endswith("HostileError")
    engine = create_engine("sqlite://", creator=_raise)
    queryscope.install()
    with pytest.raises(HostileError), queryscope.profile("x"), engine.connect():
        pass
    assert guard.failures() == ()


def _raise():
    raise HostileError


# -- Django --------------------------------------------------------------------------------


@pytest.fixture(params=[False, True], ids=["light", "full"])
def django_hooks(db, request):
    """The hooks, and some books."""
    make_books(2)
    hooks.install(full=request.param)
    return "full" if request.param else "light"


class HostileKey(int):
    """A primary key that nobody may hash while we look."""

    def __hash__(self):
        refuse()
        return int.__hash__(self)


def test_hostile_instances_are_saved_and_read(django_hooks):
    """Keys and attributes that raise cost the label of a statement, not the statement."""
    with recorded(django_hooks) as run:
        book = Book.objects.get(title="book 0")
        publisher = book.publisher
        book.__dict__["id"] = HostileKey(book.pk)
        assert book.reviews.count() == 1
        del book._state.fields_cache["publisher"]
        assert book.publisher == publisher
        book.save()
        book.refresh_from_db()
    assert len(run.queries) == 6
    assert run.trace.unlabelled >= 3


class StrangeBook(Book):
    """A proxy that shows us nothing."""

    class Meta:
        proxy = True
        app_label = "library"

    def __getattribute__(self, name):
        refuse()
        return super().__getattribute__(name)


def test_instance_that_shows_us_nothing_costs_the_label_only(django_hooks):
    """An instance whose every attribute raises when a hook asks is not broken by the hook."""
    with recorded(django_hooks) as run:
        book = StrangeBook.objects.get(title="book 0")
        assert book.reviews.count() == 1
        assert book.publisher.name == "p0"
        assert [review.text for review in book.reviews.all()] == ["Good."]
        assert list(book.genres.values_list("name", flat=True)) == ["g0", "g1"]
        book.save()
        book.refresh_from_db()
    assert len(run.queries) == 7
    assert run.trace.unlabelled >= 5


register = Library()


class HostileNode(Node):
    """A template tag that asks the database, and shows its token to nobody."""

    shown = True

    @property
    def token(self):
        """Raise after rendering."""
        if HostileNode.shown:
            return None
        raise LookedAtError

    @token.setter
    def token(self, value):
        pass

    origin = token

    def render(self, context):
        """Ask."""
        return str(Book.objects.count())


@register.tag
def books(parser, token):
    """Count the books."""
    return HostileNode()


def test_hostile_template_nodes_are_rendered(django_hooks):
    """A node whose attributes raise renders; its statement has an origin without it."""
    engine = Engine(libraries={"hostile": __name__})
    template = engine.from_string("{% load hostile %}{% books %} books")
    with recorded(django_hooks) as run:
        assert template.render(Context()) == "2 books"
        HostileNode.shown = False
    try:
        assert len(run.queries) == 1
        assert run.queries[0].origin.frame is not None
    finally:
        HostileNode.shown = True


def test_hostile_statement_and_parameters_reach_the_driver(django_hooks):
    """What only the driver understands gets there, in ``execute`` and ``executemany``."""
    pairs = hostile(list)([["Ada"], ["Bea"]])
    with recorded(django_hooks) as run, connection.cursor() as cursor:
        cursor.execute("SELECT %s", hostile(list)([hostile(str)("x")]))
        assert cursor.fetchone() == ("x",)
        cursor.executemany("UPDATE library_author SET name = %s", pairs)
    assert [query.many for query in run.queries] == [0, -1]


# -- SQLAlchemy ------------------------------------------------------------------------------


@pytest.fixture
def engine():
    """An engine of its own in memory; afterwards its connections are closed."""
    made = create_engine("sqlite://")
    yield made
    made.dispose()


class HostileCursor(sqlite3.Cursor):
    """A cursor that tells nobody its counts."""

    @property
    def rowcount(self):
        """Raise."""
        refuse()
        return super().rowcount


class HostileConnection(sqlite3.Connection):
    def cursor(self, factory=HostileCursor):
        """Give a hostile cursor."""
        return super().cursor(factory)


def test_hostile_cursor_serves_the_application():
    """A driver whose cursor raises where only we look serves statements as ever."""
    engine = create_engine(
        "sqlite://", creator=lambda: sqlite3.connect(":memory:", factory=HostileConnection)
    )
    queryscope.install()
    with queryscope.profile("x") as run, engine.connect() as connection:
        connection.exec_driver_sql("CREATE TABLE t (n INTEGER)")
        connection.execute(text("INSERT INTO t VALUES (1)"))
        assert connection.execute(text("SELECT n FROM t")).all() == [(1,)]
    assert run.trace.statements == 3
    assert {failure.place for failure in guard.failures()} == {"sqlalchemy.execute"}
    engine.dispose()


def test_hostile_instances_of_mapped_classes(engine):
    """Instances and keys that raise cost nothing but what we know of them."""
    fill(engine)
    queryscope.install()

    def make_hostile(target, _):
        target.__dict__["_queryscope"] = LookedAtError

    event.listen(Author, "load", make_hostile)
    try:
        with queryscope.profile("x") as run, Session(engine) as session:
            author = session.scalars(select(Author)).first()
            assert len(author.books) == 3
            assert author.letters.count() == 1
    finally:
        event.remove(Author, "load", make_hostile)
    assert run.trace.statements == 3
    assert guard.failures() == ()


# -- strings from a request to the page ------------------------------------------------------

STRINGS = [
    "</script><script>alert(1)</script>",
    "\"'><img src=x onerror=alert(1)>",
    "nul\0nul",
    "\u202eright to left\u202c",
    "\ud800 broken",
    "line\r\nX-Injected: yes\r\n\r\nbody",
    "\x1b[2J\x1b]0;title\x07",
    "{{ 7 * 7 }}{% now 'Y' %}",
    "x" * 100_000,
]


@pytest.mark.parametrize("value", STRINGS, ids=range(len(STRINGS)))
def test_strings_of_a_request_stay_strings(engine, value, capsys):
    """Path, host, statement and value come back escaped, and make no line of their own."""
    engine.connect().close()
    queryscope.install()

    def app(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        with engine.connect() as connection:
            raw = connection.connection.cursor()
            for statement, values in ((f"SELECT '{value}'", ()), ("SELECT ?", (value,))):
                try:
                    engine.dialect.do_execute(
                        raw, statement, values, _Context(connection.connection)
                    )
                except (sqlite3.Error, ValueError, UnicodeError):
                    continue
        return [b"x"]

    middleware = wsgi.Middleware(app, {**DEVELOPMENT, "console": True})
    path = f"/{value}"
    wild = {"HTTP_HOST": f"localhost{value}", "HTTP_TRACEPARENT": value}
    answer = served(middleware, path, "GET", **wild)
    assert answer.status == 200
    assert "X-Injected" not in answer.head
    assert runtime.get().flush()
    printed = capsys.readouterr().err
    assert len(printed.splitlines()) == 1
    assert not set(printed) & set("\x1b\x07\0\r\u202e")
    (judged,) = runtime.get().ring.newest()
    for where in ("", judged.trace.id):
        page = served(middleware, f"/__queryscope__/{where}")
        assert page.status == 200
        html = page.body.decode()
        assert "<script>alert(1)" not in html
        assert "<img src=x" not in html
        assert "\0" not in html
    assert guard.failures() == ()


class _Context:
    """What of an execution context our hook reads."""

    isinsert = isupdate = isdelete = is_text = False
    compiled = execute_style = None

    def __init__(self, fairy):
        self._dbapi_connection = fairy


@pytest.mark.parametrize(
    "path",
    [
        "/__queryscope__/../../etc/passwd", "/__queryscope__/%2e%2e/", "/__queryscope__//etc",
        "/__queryscope__/..\\..\\x", "/__queryscope__/\0", "/__queryscope__/" + "a" * 5_000,
        "/__queryscope__/' OR 1=1 --", "/__queryscope__/*", "/__queryscope__/%",
        "/__queryscope__/<script>", "/__queryscope__/\r\nX-Injected: yes",
    ],
    ids=range(11),
)  # fmt: skip
def test_viewer_knows_ids_and_nothing_else(path, tmp_path):
    """No path leads anywhere but to a Trace; what there is none of is named in a short text."""
    settings = {**DEVELOPMENT, "store": True}
    middleware = wsgi.Middleware(lambda *_: [b"application"], settings)
    served(middleware, "/x")
    answer = served(middleware, path)
    assert answer.status == 404
    assert "text/plain" in answer.head
    assert "X-Injected" not in answer.head
    assert len(answer.body) < 300
    assert b"root:" not in answer.body


@pytest.mark.parametrize(
    "environ",
    [
        {"REMOTE_ADDR": "192.0.2.1"}, {"REMOTE_ADDR": ""}, {"REMOTE_ADDR": "127.0.0.1.evil"},
        {"HTTP_HOST": "evil.example"}, {"HTTP_HOST": "localhost.evil.example"},
        {"HTTP_HOST": "127.0.0.1@evil.example"}, {"HTTP_HOST": "localhost:80:evil"},
        {"HTTP_HOST": "[::1"}, {"HTTP_HOST": "evil.example#localhost"},
        {"HTTP_X_FORWARDED_FOR": "127.0.0.1"}, {"HTTP_FORWARDED": "for=127.0.0.1"},
        {"HTTP_X_FORWARDED_HOST": "localhost"}, {"HTTP_X_FORWARDED_PROTO": "https"},
        {"HTTP_VIA": "1.1 proxy"},
    ],
    ids=str,
)  # fmt: skip
def test_viewer_answers_this_machine_only(environ):
    """Others, foreign names of this machine, and whatever a proxy hands on, get 403."""
    middleware = wsgi.Middleware(lambda *_: [b"application"], DEVELOPMENT)
    assert served(middleware, "/__queryscope__/", **environ).status == 403
    assert served(middleware, "/__queryscope__/").status == 200


def test_viewer_shows_no_environment(monkeypatch):
    """Neither variables, nor headers, cookies, query strings or bodies come into a page."""
    monkeypatch.setenv("SECRET_OF_THE_PROCESS", "s3cret-variable")

    def app(environ, start_response):
        start_response("200 OK", [("Set-Cookie", "s3cret-set")])
        return [environ["wsgi.input"].read()]

    middleware = wsgi.Middleware(app, DEVELOPMENT)
    served(
        middleware, "/x", "POST", b"s3cret-body", HTTP_COOKIE="session=s3cret-cookie",
        HTTP_AUTHORIZATION="Bearer s3cret-token", QUERY_STRING="q=s3cret-query",
    )  # fmt: skip
    assert runtime.get().flush()
    (judged,) = runtime.get().ring.newest()
    for where in ("", judged.trace.id):
        assert b"s3cret" not in served(middleware, f"/__queryscope__/{where}").body
