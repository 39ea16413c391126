"""One copy of an application in a child process: what it may do, and what is seen of it."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from textwrap import dedent

import pytest

from queryscope.verify.bench import Bench
from queryscope.verify.contract import Request
from queryscope.verify.plan import plan
from queryscope.verify.project import load
from queryscope.verify.workspace import PREFIX, RunFolder
from tests.verify.shop import bytes_of, make_shop

HEAD = """
import json, os, sqlite3, sys, time

def answer(environ):
    {body}

def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(answer(environ)).encode()]
"""


@pytest.fixture
def folder(tmp_path):
    """Return a run's folder that is gone afterwards."""
    with RunFolder(tmp_path) as found:
        yield found


def a_project(root, body, *, app=HEAD):
    """Write a shop whose application is another into a folder and return the folder."""
    make_shop(root)
    text = dedent(app).replace("{body}", "\n    ".join(dedent(body).strip().splitlines()))
    (root / "shop.py").write_text(text, encoding="utf-8")
    file = root / "pyproject.toml"
    table = file.read_text(encoding="utf-8").partition("[tool.queryscope.actors]")[0]
    file.write_text(table, encoding="utf-8")
    return root


def a_bench(folder, body, *, app=HEAD):
    """Return the bench of a shop whose application is another."""
    return Bench(load(a_project(folder.path.parent / "project", body, app=app)), folder)


def a_run(bench, *targets, step_limit_s=60.0, which="a"):
    """Ask for targets, ``/`` if none is named, and return the run."""
    asked = plan({"GET /": [Request(target=one) for one in targets or ("/",)]}, {},
                 bench.clones(())[:1])  # fmt: skip
    return bench.run(bench.original, asked, name=f"run-{which}", step_limit_s=step_limit_s)


def answers(run):
    """Return what was answered, as values, of the first round."""
    assert run.complete, (run.failure, run.ended, run.log)
    return [json.loads(reply.answer.body) for reply in run.replies.values()]


def test_application_runs_from_its_copy(folder):
    """Its file, its folder and its database are the copy's; its environment is bare."""
    os.environ["QUERYSCOPE_TEST_SECRET"] = "s3cret"
    try:
        bench = a_bench(folder, "return [__file__, os.getcwd(), dict(os.environ), sys.argv]")
        file, here, environ, argv = answers(a_run(bench))[0]
    finally:
        del os.environ["QUERYSCOPE_TEST_SECRET"]
    assert Path(file).parent == Path(here) == bench.original
    assert set(environ) == {
        "PATH", "HOME", "TMPDIR", "LANG", "TZ", "PYTHONHASHSEED", "PYTHONDONTWRITEBYTECODE",
        "PYTHONUNBUFFERED", "SHOP_DATABASE", "LC_CTYPE",
    } - ({"LC_CTYPE"} - set(environ))  # fmt: skip
    assert str(folder.path) in environ["SHOP_DATABASE"]
    assert argv == ["gunicorn"]


def test_nothing_is_left_and_nothing_of_the_user_changed(folder):
    """Tree and database are byte-identical, and the run's folder holds all that was written."""
    bench = a_bench(folder, "open('note.txt', 'w').write('x'); return 1")
    before = bytes_of(bench.project.root)
    run = a_run(bench)
    assert bytes_of(bench.project.root) == before
    assert run.replies[1].answer.effects == (("file written", "open note.txt"),)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ("import socket; socket.create_connection(('127.0.0.1', 9), 1)", "socket"),
        ("import socket; socket.getaddrinfo('example.org', 80)", "socket"),
        ("import urllib.request; urllib.request.urlopen('http://127.0.0.1:9/')", "socket"),
        ("open('/var/tmp/queryscope-should-not-be', 'w')", "file"),
        ("os.mkdir('/var/tmp/queryscope-should-not-be')", "file"),
        ("import subprocess; subprocess.run(['true'])", "process"),
        ("os.system('true')", "process"),
        ("os.fork()", "process"),
        ("sqlite3.connect('/var/tmp/queryscope-should-not-be.db')", "database"),
    ],
)
def test_fence_holds_and_says_so(folder, body, kind):
    """What leaves the folder or the machine is refused, and noted though nobody hears of it."""
    swallowed = f"try:\n    {body}\nexcept OSError:\n    pass\nreturn 1"
    run = a_run(a_bench(folder, swallowed))
    assert answers(run)[0] == 1
    assert f"refused {kind}" in dict(run.replies[1].answer.effects)
    assert not list(Path("/var/tmp").glob("queryscope-should-not-be*"))


def test_ordinary_work_has_no_effects(folder):
    """Reading files, memory databases, temporary logs and its own clone are nobody's business."""
    body = """
    import logging, logging.handlers
    log = logging.getLogger("shop")
    log.addHandler(logging.handlers.RotatingFileHandler("shop.log", delay=True))
    log.setLevel("INFO")
    log.info("hello")
    sqlite3.connect(":memory:").execute("select 1")
    sqlite3.connect(os.environ["SHOP_DATABASE"].removeprefix("sqlite:///")).execute("select 1")
    return len(open(__file__).read()) > 0
    """
    run = a_run(a_bench(folder, body))
    assert answers(run)[0] is True
    assert run.replies[1].answer.effects == ()


def test_warnings_are_noted_by_level(folder):
    """How often something was logged from WARNING on is part of the answer."""
    body = "import logging; [logging.getLogger('shop').warning('x') for _ in range(3)]; return 1"
    run = a_run(a_bench(folder, body))
    assert run.replies[1].answer.effects == (("log WARNING shop", "3 times"),)


def test_written_rows_are_seen_and_taken_back(folder):
    """A request that writes, by whatever way, leaves its tables' digests, and a fresh clone."""
    body = """
    connection = sqlite3.connect(os.environ["SHOP_DATABASE"].removeprefix("sqlite:///"))
    if environ["PATH_INFO"] == "/write":
        connection.execute("UPDATE item SET stock = 99 WHERE id = 1")
        connection.commit()
    stock = connection.execute("SELECT stock FROM item WHERE id = 1").fetchone()[0]
    connection.close()
    return stock
    """
    bench = a_bench(folder, body)
    run = a_run(bench, "/read", "/write", "/read?again")
    assert answers(run)[:3] == [None, 99, None]
    assert [name for name, _ in run.replies[2].answer.effects] == ["rows of item"]
    with closing(sqlite3.connect(bench.project.database_file)) as connection:
        assert connection.execute("SELECT stock FROM item WHERE id = 1").fetchone() == (None,)


def test_second_run_differs_on_purpose(folder):
    """Sets and unordered selects come in another order in the run ``b``."""
    body = """
    connection = sqlite3.connect(os.environ["SHOP_DATABASE"].removeprefix("sqlite:///"))
    ids = [row[0] for row in connection.execute("SELECT id FROM item")]
    connection.close()
    return [ids, list({"apple", "pear", "plum", "quince", "fig"})]
    """
    bench = a_bench(folder, body)
    first, second = answers(a_run(bench))[0], answers(a_run(bench, which="b"))[0]
    assert second[0] == first[0][::-1]
    assert sorted(second[1]) == sorted(first[1])
    assert second[1] != first[1]


def test_first_error_of_boot_is_told(folder):
    """What failed first, not what followed from it."""
    app = """
    try:
        import no_such_module
    except ImportError as error:
        raise RuntimeError("configuration failed") from error
    """
    run = a_run(a_bench(folder, "", app=app))
    assert run.failure is not None
    assert run.failure.stage == "boot"
    assert "No module named 'no_such_module'" in run.failure.error


def test_slow_boot_is_no_hang(folder, monkeypatch):
    """How long an answer may take says nothing of imports on a busy machine."""
    monkeypatch.setattr("queryscope.verify.bench.GRACE_S", 0.0)
    app = f"import time\ntime.sleep(5)\n{HEAD}"
    run = a_run(a_bench(folder, "return 1", app=app), step_limit_s=4)
    assert answers(run)[0] == 1


@pytest.mark.parametrize(
    ("body", "ended"),
    [("os._exit(7)", "exit code 7"), ("os.kill(os.getpid(), 9)", "signal 9 (SIGKILL)")],
)
def test_death_of_the_process_is_told(folder, body, ended):
    """The process ends while it answers: earlier answers are kept."""
    run = a_run(a_bench(folder, f"if 'x' in environ['QUERY_STRING']: {body}\nreturn 1"), "/", "/?x")
    assert run.ended.startswith(ended)
    assert sorted(run.replies) == [1]


def test_request_without_end_is_ended(folder):
    """It counts as an answer, a time-out, and the next request is asked."""
    body = "while 'x' in environ['QUERY_STRING']:\n    time.sleep(0.1)\nreturn 1"
    run = a_run(a_bench(folder, body), "/?x", "/", step_limit_s=5)
    assert run.complete
    assert run.replies[1].answer.error == "time-out"
    assert run.replies[2].answer.status == 200


def test_process_that_cannot_be_stopped_is_killed(folder):
    """A loop that swallows every exception and signal ends with its process."""
    body = """
    import signal
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    while 'x' in environ['QUERY_STRING']:
        try:
            time.sleep(0.1)
        except BaseException:
            pass
    return 1
    """
    run = a_run(a_bench(folder, body), "/", "/?x", step_limit_s=5)
    assert run.hung == 2
    assert sorted(run.replies) == [1]


def test_memory_is_bounded(folder):
    """An application that eats memory gets a MemoryError, not the machine."""
    run = a_run(a_bench(folder, "return len(bytearray(64 * 2**30))"))
    assert run.replies[1].answer.error.startswith("MemoryError")


def test_module_of_the_original_tree_stops_the_run(folder):
    """An import that reaches past the copy proves nothing."""
    bench = a_bench(folder, "sys.path.insert(0, PLACE); import late; return late.value")
    root = bench.project.root
    (root / "hidden").mkdir()
    (root / "hidden" / "late.py").write_text("value = 1", encoding="utf-8")
    shop = bench.original / "shop.py"
    text = shop.read_text(encoding="utf-8").replace("PLACE", repr(str(root / "hidden")))
    shop.write_text(text, encoding="utf-8")
    run = a_run(bench)
    assert run.failure is not None
    assert run.failure.stage == "original tree"


ASGI = """
import json
from contextlib import asynccontextmanager

state = {}

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        state["up"] = True
        await send({"type": "lifespan.startup.complete"})
        await receive()
        return
    message = await receive()
    body = [scope["path"], scope["query_string"].decode(), message["body"].decode(), state]
    await send({"type": "http.response.start", "status": 201,
                "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": json.dumps(body).encode()})
"""


def test_asgi_application_is_asked_in_its_lifespan(folder):
    """Startup has happened before the first request; path, query and body arrive."""
    bench = a_bench(folder, "", app=ASGI)
    run = a_run(bench, "/%C3%A4?q=1")
    assert answers(run)[0] == ["/ä", "q=1", "", {"up": True}]
    assert run.replies[1].answer.status == 201


def test_child_dies_with_its_parent(tmp_path):
    """A verifier that is killed leaves no application running."""
    sleeper = a_project(tmp_path / "project", "time.sleep(300)")
    code = dedent(
        """
        import sys
        from pathlib import Path
        from queryscope.verify.bench import Bench
        from queryscope.verify.contract import Request
        from queryscope.verify.plan import plan
        from queryscope.verify.project import load
        from queryscope.verify.workspace import RunFolder
        with RunFolder(Path(sys.argv[1])) as folder:
            bench = Bench(load(Path(sys.argv[2])), folder)
            asked = plan({"GET /": [Request()]}, {}, bench.clones(())[:1])
            bench.run(bench.original, asked, name="run-a")
        """
    )
    parent = subprocess.Popen([sys.executable, "-c", code, tmp_path, sleeper])
    try:
        child = until(lambda: children_in(tmp_path))
        parent.kill()
        parent.wait()
        until(lambda: not Path(f"/proc/{child[0]}").exists() or is_zombie(child[0]))
    finally:
        parent.kill()
        parent.wait()


def children_in(folder):
    """Return processes that replay a job of a run in a folder, once the application answers."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if b"queryscope.verify.child" in words and any(
            word.startswith(os.fsencode(folder / PREFIX)) for word in words
        ):
            found.append(int(process.name))
    return found


def is_zombie(pid):
    """Tell whether a process is over and only waits to be asked for."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2][1] == "Z"
    except OSError:
        return True


def until(found):
    """Return what a function returns once that is true."""
    end = time.monotonic() + 120
    while not (result := found()):
        assert time.monotonic() < end
        time.sleep(0.05)
    return result
