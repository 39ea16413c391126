"""``queryscope run`` on real processes: scripts, commands and servers that do not know of it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from urllib.error import URLError
from urllib.request import Request, urlopen

import pytest

from queryscope.cli.main import main
from queryscope.cli.run import BOOTSTRAP, environment_of
from queryscope.errors import QueryscopeError
from queryscope.settings import Settings
from queryscope.store.file import Store
from tests.serving import free_port

EXAMPLES = Path(__file__).resolve().parents[2] / "example_apps"
RUN = [sys.executable, "-m", "queryscope", "run", "--"]
TIME_OUT_S = 60
"""For what takes a second or two: a child that hangs must not hang the suite."""

ENGINE = """
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session
from sqlalchemy.pool import StaticPool

engine = create_engine("sqlite://", poolclass=StaticPool)

def ask(times):
    with Session(engine) as session:
        for value in range(times):
            session.execute(text("SELECT :value"), {"value": value}).all()
"""


def environment(**more):
    """Return the environment of a user: ours, without what would change the outcome."""
    unwanted = ("PYTEST_", "BOOKING_", "DJANGO_", "QUERYSCOPE_", "FLASK_", "DATABASE_URL")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(unwanted)}
    path = os.pathsep.join([str(Path(sys.executable).parent), kept["PATH"]])
    return kept | {"PATH": path, "BOOKING_LOG": os.devnull, "PYTHONUNBUFFERED": "1"} | more


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A project's folder, which we stand in; it has a module that talks to a database."""
    made = tmp_path / "project"
    made.mkdir()
    monkeypatch.chdir(made)
    (made / "engine.py").write_text(ENGINE, encoding="utf-8")
    return made


def run(*command, code=0, **more):
    """Run a command under queryscope and return what it says on standard error."""
    done = subprocess.run(
        [*RUN, *map(str, command)],
        env=environment(**more),
        capture_output=True,
        text=True,
        timeout=TIME_OUT_S,
        check=False,
    )
    assert done.returncode == code, f"{done.returncode}:\n{done.stdout}\n{done.stderr}"
    return done.stderr


def script(folder, text, name="script.py"):
    """Write a script and return its path."""
    path = folder / name
    path.write_text(textwrap.dedent(text), encoding="utf-8")
    return path


def stored(path=".queryscope/traces.db"):
    """Return the summaries of the stored Traces, the oldest first."""
    with contextlib.closing(Store(path)) as store:
        return sorted(store.list(100, None, None), key=lambda item: item.started_at_ns)


def trace_of(summary):
    """Return the whole stored Trace of a summary."""
    with contextlib.closing(Store(".queryscope/traces.db")) as store:
        return store.get(summary.id).trace


def stored_when(enough):
    """Wait until the stored Traces are enough, and return them; the writer batches."""
    deadline = time.monotonic() + 10
    found = []
    while time.monotonic() < deadline:
        with contextlib.suppress(QueryscopeError):
            found = stored()
            if enough(found):
                return found
        time.sleep(0.05)
    raise AssertionError(f"not stored: {found}")


def heeds_interrupts():
    """Let a child heed SIGINT, which a shell has its background jobs ignore, and so us."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Server:
    """A server under ``queryscope run``; killed at the end with every child that it made."""

    def __init__(self, *command, port, **more):
        self.url = f"http://127.0.0.1:{port}"
        self.log = Path("server.log").open("w+", encoding="utf-8")  # noqa: SIM115 - the server's
        self.process = subprocess.Popen(
            [*RUN, *map(str, command)],
            env=environment(**more),
            stdout=self.log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=heeds_interrupts,  # noqa: PLW1509 - no thread of ours starts another
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(10)
        self.log.close()

    def said(self):
        """Return what the server printed so far."""
        self.log.seek(0)
        return self.log.read()

    def get(self, path):
        """Return the body of a path, waiting for a server that is not up yet."""
        deadline = time.monotonic() + TIME_OUT_S
        while True:
            try:
                request = Request(self.url + path, headers={"Authorization": "Token token-1"})
                with urlopen(request, timeout=10) as answer:
                    return answer.read().decode()
            except (URLError, ConnectionError) as error:
                refused = isinstance(getattr(error, "reason", error), ConnectionError)
                if not refused or time.monotonic() > deadline or self.process.poll() is not None:
                    raise AssertionError(f"{error}\n{self.said()}") from None
                time.sleep(0.05)

    def stop(self):
        """Ask the server to stop, as Ctrl-C does, and wait for it."""
        os.killpg(self.process.pid, signal.SIGINT)
        self.process.wait(10)


# -- the command itself --------------------------------------------------------------------


def test_no_command_is_an_error(capsys):
    """Without a command nothing is run, and the text says what to write."""
    for arguments in (["run"], ["run", "--"]):
        assert main(arguments) == 2
        assert capsys.readouterr().err == (
            "queryscope: run needs a command, such as: "
            "queryscope run -- python manage.py runserver\n"
        )


@pytest.mark.parametrize(
    ("command", "reason"),
    [("queryscope-has-no-such-command", "No such file"), ("./engine.py", "Permission denied")],
)
def test_command_that_cannot_start_is_an_error(folder, capsys, command, reason):
    """A command that is not there, or no program, is named; the exit code is ours."""
    assert main(["run", "--", command]) == 2
    assert capsys.readouterr().err.startswith(f"queryscope: run cannot start {command!r}: {reason}")


def test_environment_keeps_the_users_path():
    """Our folder stands first and once on PYTHONPATH, and what was there stays behind it."""
    store = Settings().store_path
    first = environment_of({"PYTHONPATH": os.pathsep.join(["/a", "", "/b"]), "X": "1"}, store)
    assert first == {
        "PYTHONPATH": os.pathsep.join([str(BOOTSTRAP), "/a", "/b"]),
        "X": "1",
        "QUERYSCOPE_RUN": "1",
    }
    assert environment_of(first, store) == first
    assert environment_of({}, store)["PYTHONPATH"] == str(BOOTSTRAP)
    assert environment_of({}, "mine.db")["QUERYSCOPE_STORE"] == str(Path("mine.db").absolute())


def test_bootstrap_folder_holds_sitecustomize_alone():
    """Nothing else in the folder can hide a module of the application's."""
    assert [path.name for path in BOOTSTRAP.iterdir() if path.name != "__pycache__"] == [
        "sitecustomize.py"
    ]


# -- scripts -------------------------------------------------------------------------------


def test_script_is_one_trace(folder):
    """A script's statements are one Trace named by the script; its exit code is passed on."""
    path = script(folder, "import sys, engine\nengine.ask(3)\nsys.exit(7)")
    errors = run("python", path, "export", "--password", "x", code=7)
    (found,) = stored()
    assert (found.kind, found.name, found.statements) == ("script", "script.py export", 3)
    assert f"queryscope report {found.id}" in errors


def test_failed_script_keeps_its_error(folder):
    """A script that raises ends as before, and the Trace has the exception."""
    path = script(folder, "import engine\nengine.ask(2)\nraise LookupError('mine')")
    assert "LookupError: mine" in run("python", path, code=1)
    (found,) = stored()
    assert trace_of(found).error == "LookupError: mine"


def test_module_and_blocks_are_named(folder):
    """``python -m`` is named as it was called; a profiled block hangs under the script."""
    script(
        folder,
        """
        import queryscope, engine
        engine.ask(1)
        with queryscope.profile("nightly"):
            engine.ask(2)
        """,
        "job.py",
    )
    run("python", "-m", "job")
    (found,) = stored()
    assert (found.name, found.statements) == ("python -m job", 3)
    (child,) = trace_of(found).children
    assert (child.name, child.statements) == ("nightly", 2)


def test_script_without_statements_leaves_nothing(folder):
    """No ORM, or an ORM and no statement: no Trace, no file, no line."""
    assert run("python", "-c", "print(1)") == ""
    assert run("python", "-c", "import sqlalchemy") == ""
    assert not (folder / ".queryscope").exists()


def test_python_start_imports_no_framework(folder):
    """In a process of ours nothing of the core is imported before the application asks."""
    path = script(
        folder,
        """
        import sys
        names = {name.partition(".")[0] for name in sys.modules}
        assert not names & {"django", "flask", "sqlalchemy", "jinja2", "rich", "sqlite3"}, names
        assert "queryscope.runtime" not in sys.modules
        assert not [entry for entry in sys.path if entry.endswith("bootstrap")]
        """,
    )
    run("python", path)


def test_loaders_are_the_modules_own(folder):
    """Modules that were waited for have the loader and spec that they would have had."""
    path = script(
        folder,
        """
        import flask.app, inspect, sqlalchemy
        for module in (sqlalchemy, flask.app):
            assert type(module.__loader__).__name__ == "SourceFileLoader"
            assert module.__spec__.loader is module.__loader__
            assert inspect.getsource(module)
        """,
    )
    run("python", path)


def test_forked_child_has_no_trace(folder):
    """A child writes neither its own statements nor its parent's once more."""
    path = script(
        folder,
        """
        import os, sys, engine
        engine.ask(2)
        child = os.fork()
        if not child:
            engine.engine.dispose(close=False)
            engine.ask(5)
            sys.exit()
        os.waitpid(child, 0)
        engine.ask(1)
        """,
    )
    errors = run("python", path)
    (found,) = stored()
    assert found.statements == 3
    assert errors.count("queryscope report") == 1


def test_shadowed_sitecustomize_still_runs(folder):
    """The sitecustomize that ours stands before runs, under its own name."""
    other = folder / "site"
    other.mkdir()
    script(other, "import builtins\nbuiltins.mine = __file__", "sitecustomize.py")
    path = script(
        folder,
        f"""
        import sitecustomize
        assert mine == sitecustomize.__file__ == {str(other / "sitecustomize.py")!r}
        import engine
        engine.ask(1)
        """,
    )
    run("python", path, PYTHONPATH=str(other))
    assert len(stored()) == 1


def test_python_without_queryscope_is_said(folder):
    """A Python that cannot import queryscope runs the command, and one line says why not ours."""
    subprocess.run(
        [sys.executable, "-m", "venv", "--without-pip", "--symlinks", "bare"],
        check=True,
        timeout=TIME_OUT_S,
    )
    python = folder / "bare" / "bin" / "python"
    errors = run(python, "-c", "raise SystemExit(3)", code=3)
    assert errors.startswith(f"queryscope run: nothing is recorded, since {python} cannot import")
    assert len(errors.splitlines()) == 1


def test_store_option_names_the_file(folder):
    """``--store`` wins wherever the command goes."""
    path = script(folder, "import os, engine\nos.chdir('/')\nengine.ask(1)")
    subprocess.run(
        [*RUN[:-1], "--store", "elsewhere/mine.db", "--", "python", str(path)],
        env=environment(),
        check=True,
        capture_output=True,
        timeout=TIME_OUT_S,
    )
    assert len(stored("elsewhere/mine.db")) == 1


def test_read_only_folder_does_no_harm(folder):
    """Where nothing can be written the command ends as it would have."""
    (folder / ".queryscope").write_text("a file where the folder should be", encoding="utf-8")
    run("python", script(folder, "import sys, engine\nengine.ask(1)\nsys.exit(5)"), code=5)


def test_tests_are_traces_of_their_own(folder):
    """Under pytest each test is a Trace, stored, and the run as a whole is none."""
    script(
        folder,
        """
        import engine

        def test_one():
            engine.ask(1)

        def test_two(query_budget):
            with query_budget(queries=2):
                engine.ask(2)
        """,
        "test_it.py",
    )
    run("python", "-m", "pytest", "-q", "-p", "no:django", "-p", "no:randomly", "test_it.py")
    assert [(item.kind, item.name, item.statements) for item in stored()] == [
        ("test", "test_it.py::test_one", 1),
        ("test", "test_it.py::test_two", 2),
    ]


# -- Django --------------------------------------------------------------------------------

SITE = """
import sys
import django
from django.conf import settings
from django.core.management import execute_from_command_line
from django.http import JsonResponse
from django.urls import path

settings.configure(
    DEBUG=False,
    ALLOWED_HOSTS=["127.0.0.1"],
    ROOT_URLCONF=__name__,
    DATABASES={{"default": {{"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}}},
    MIDDLEWARE={middleware},
    QUERYSCOPE={options},
)

def look(request, number):
    from django.db import connection
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 AS one, 2 AS two")
    from django.core.handlers import base
    return JsonResponse({{
        "middleware": list(settings.MIDDLEWARE),
        "same": base.settings is settings,
    }})

urlpatterns = [path("look/<int:number>/", look)]
django.setup()
execute_from_command_line(sys.argv)
"""


@pytest.fixture(scope="module")
def seeded(tmp_path_factory):
    """Return the environment of a seeded Django booking example."""
    path = tmp_path_factory.mktemp("seeded") / "booking.sqlite3"
    more = {"DATABASE_URL": f"sqlite:///{path}"}
    subprocess.run(
        [sys.executable, "manage.py", "seed", "--locations", "20"],
        cwd=EXAMPLES / "booking_django",
        env=environment(**more),
        check=True,
        capture_output=True,
        timeout=TIME_OUT_S,
    )
    return more


@pytest.mark.parametrize("options", [["--noreload"], ["--noreload", "--nothreading"], []])
def test_runserver_records_each_request(folder, seeded, options, capsys):
    """The booking example without its middleware line: each request is a Trace, and nothing else.

    With the reloader the server is a child process, without threads it serves in the main one.
    """
    port = free_port()
    manage = EXAMPLES / "booking_django" / "manage.py"
    with Server("python", manage, "runserver", port, *options, port=port, **seeded) as server:
        server.get("/items/1")
        server.get("/v2/items/1")
        found = stored_when(lambda found: len(found) == 2)
        server.stop()
    assert [(item.kind, item.name, item.status) for item in found] == [
        ("request", "GET /items/<int:location_id>", "200"),
        ("request", "GET /v2/items/<int:location_id>", "200"),
    ]
    assert found[0].statements > found[1].statements > 0
    assert len(stored()) == 2
    assert main(["list"]) == 0
    listed = capsys.readouterr().out
    assert all(item.id in listed and item.name in listed for item in found)


def test_viewer_answers_and_console_tells(folder, seeded):
    """A process of ours is in development: the report is one click from the console's line."""
    port = free_port()
    manage = EXAMPLES / "booking_django" / "manage.py"
    with Server("python", manage, "runserver", port, "--noreload", port=port, **seeded) as server:
        server.get("/items/1")
        (found,) = stored_when(lambda found: len(found) == 1)
        assert "<html" in server.get(f"/__queryscope__/{found.id}")
        assert f"{server.url}/__queryscope__/{found.id}" in server.said()


def test_management_command_is_one_trace(folder, seeded):
    """A management command is a script named by its command."""
    run("python", EXAMPLES / "booking_django" / "manage.py", "add_indexes", **seeded)
    assert [(item.kind, item.name) for item in stored()] == [("script", "manage.py add_indexes")]


@pytest.mark.parametrize("listed", [[], ["queryscope.django.Middleware"]])
def test_settings_stay_as_they_are(folder, listed):
    """The application sees its own MIDDLEWARE; ours is not put in where it is already."""
    site = script(folder, SITE.format(middleware=listed, options={}), "my_site.py")
    port = free_port()
    with Server("python", site, "runserver", port, "--noreload", port=port) as server:
        assert server.get("/look/1/") == f'{{"middleware": {listed}, "same": true}}'.replace(
            "'", '"'
        )
        (found,) = stored_when(lambda found: len(found) == 1)
    assert (found.name, found.statements) == ("GET /look/<int:number>/", 1)
    assert not trace_of(found).children


def test_settings_of_the_project_are_in_force(folder):
    """``settings.QUERYSCOPE`` is read as the middleware would; a wrong one is an error at start."""
    site = script(folder, SITE.format(middleware=[], options={"enabledd": True}), "my_site.py")
    errors = run("python", site, "check")
    assert "there is no setting 'enabledd'. Did you mean 'enabled'?" in errors


# -- WSGI ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def flask_seeded(tmp_path_factory):
    """Return the environment of a seeded SQLAlchemy booking example."""
    path = tmp_path_factory.mktemp("seeded") / "booking.sqlite3"
    more = {
        "DATABASE_URL": f"sqlite:///{path}",
        "PYTHONPATH": str(EXAMPLES / "booking_sqlalchemy"),
    }
    subprocess.run(
        [sys.executable, "-m", "booking_flask.seed", "--locations", "20"],
        env=environment(**more),
        check=True,
        capture_output=True,
        timeout=TIME_OUT_S,
    )
    return more


LOCATION = "<int(max=2147483647):location_id>"
"""How the routes of the SQLAlchemy example spell their parameter."""
WSGIREF = """
import sys
from wsgiref.simple_server import make_server
from wsgi import app

make_server("127.0.0.1", int(sys.argv[1]), app).serve_forever()
"""


@pytest.mark.parametrize("server", ["flask", "wsgiref", "gunicorn", "gunicorn --preload"])
def test_flask_records_each_request(folder, flask_seeded, server):
    """The SQLAlchemy example on servers that thread, serve in the main thread, or fork."""
    port = free_port()
    command = {
        "flask": ["flask", "--app", "wsgi", "run", "--port", port],
        "wsgiref": ["python", script(folder, WSGIREF), port],
        "gunicorn": ["gunicorn", "--bind", f"127.0.0.1:{port}", "wsgi:app"],
        "gunicorn --preload": ["gunicorn", "--preload", "--bind", f"127.0.0.1:{port}", "wsgi:app"],
    }[server]
    # gunicorn makes a socket in the home folder.
    with Server(*command, port=port, HOME=str(folder), **flask_seeded) as running:
        running.get("/items/1")
        running.get("/v2/items/1")
        found = stored_when(lambda found: len(found) == 2)
    assert [(item.kind, item.name, item.status) for item in found] == [
        ("request", f"GET /items/{LOCATION}", "200"),
        ("request", f"GET /v2/items/{LOCATION}", "200"),
    ]
    assert found[0].statements > found[1].statements > 0
    assert found[0].sessions >= 1


@pytest.mark.parametrize(
    "wrapped",
    [
        "app.wsgi_app = Middleware(app.wsgi_app)",
        "app = Middleware(app)",
        "app.wsgi_app = ProxyFix(Middleware(app.wsgi_app))",
    ],
)
def test_flask_with_our_middleware_is_recorded_once(folder, wrapped):
    """An application that has our middleware, inside or around it, gets no second one."""
    path = script(
        folder,
        f"""
        from flask import Flask
        from werkzeug.middleware.proxy_fix import ProxyFix
        from werkzeug.test import Client
        from queryscope.wsgi import Middleware
        import engine

        app = Flask(__name__)

        @app.get("/")
        def home():
            engine.ask(2)
            return "home"

        {wrapped}
        with Client(app).get("/") as answer:
            assert answer.text == "home"
        """,
    )
    run("python", path)
    (found,) = stored()
    assert (found.kind, found.name, found.statements) == ("request", "GET /", 2)
    assert not trace_of(found).children


def test_two_flask_applications_record_apart(folder):
    """Each application object is recorded; statements before the first request are forgotten."""
    path = script(
        folder,
        """
        from flask import Flask
        import engine

        engine.ask(9)
        for name in ("one", "two"):
            app = Flask(name)
            app.add_url_rule("/", view_func=lambda: engine.ask(1) or "home")
            with app.test_client().get("/") as answer:
                assert answer.text == "home"
        """,
    )
    run("python", path)
    assert [(item.kind, item.statements) for item in stored()] == [("request", 1)] * 2
