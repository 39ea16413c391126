"""A disk that is full, a folder that is read-only, a store that is locked or damaged.

Each is real, in a process of its own that serves Django and a WSGI application: the answers are
those without us, and the failure is counted, and shown in the next report.
"""

from __future__ import annotations

import ast
import contextlib
import os
import sqlite3
import subprocess

import pytest

from tests.faults.child import finished

SERVES = """
import os, sys

{before}
from tests.faults.child import django_project

SETTINGS = {{"mode": "development", "console": False, "store": True}}
ROUTE = "queryscope.django.Middleware"
django_project(QUERYSCOPE=SETTINGS, ALLOWED_HOSTS=["*"])
from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler
from queryscope import runtime, wsgi
from queryscope.trace import guard
from tests.faults.serving import served


def answers(app):
    return [served(app, path).bytes for path in ("/count/", "/stream/", "/broken/", "/missing/")]


settings.LOGGING_CONFIG = None
bare = answers(WSGIHandler())
plain = WSGIHandler()
settings.MIDDLEWARE = [ROUTE]
profiled = WSGIHandler()
os.chdir({folder!r})
{then}
for app in (profiled, wsgi.Middleware(plain, SETTINGS)):
    print("the same" if answers(app) == bare else "not the same")
    runtime.get().flush(20)
print(sorted({{failure.place for failure in guard.failures()}}))
print(runtime.get().store_error)
served(profiled, "/count/")
runtime.get().flush(20)
newest = runtime.get().ring.newest(1)[0].trace
page = served(profiled, f"/__queryscope__/{{newest.id}}")
print("shown" if page.status == 200 and {shown!r} in page.body.decode() else "not shown")
"""

SAME = ["the same", "the same"]


def outcome(folder, *, before="", then="", shown):
    """Serve in ``folder``; return what was printed, as lines."""
    code = SERVES.format(folder=str(folder), before=before, then=then, shown=shown)
    return finished(code).splitlines()


def test_healthy_store_takes_everything(tmp_path):
    """The same process with a store that works writes each Trace and has nothing to count."""
    lines = outcome(tmp_path, shown="GET")
    assert lines == [*SAME, "[]", "", "shown"]
    with contextlib.closing(sqlite3.connect(tmp_path / ".queryscope" / "traces.db")) as connection:
        assert connection.execute("SELECT count(*) FROM summaries").fetchone() == (9,)


def test_damaged_store_harms_nobody(tmp_path):
    """A store that is no database stays as it is; the application answers, the report says so."""
    path = tmp_path / ".queryscope" / "traces.db"
    path.parent.mkdir()
    path.write_bytes(b"this was a database once" * 100)
    *same, places, error, shown = outcome(tmp_path, shown="is no SQLite file")
    assert (same, places, shown) == (SAME, "['store']", "shown")
    assert "traces.db is no SQLite file. It was left as it is." in error
    assert path.read_bytes() == b"this was a database once" * 100


def test_store_damaged_inside_harms_nobody(tmp_path):
    """A store whose pages are garbage behind a good header is kept, and said to be damaged."""
    outcome(tmp_path, shown="GET")
    path = tmp_path / ".queryscope" / "traces.db"
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    whole = path.read_bytes()
    damaged = whole[:100] + b"\xa5" * (len(whole) - 100)
    path.write_bytes(damaged)
    *same, places, error, shown = outcome(tmp_path, shown="is damaged")
    assert (same, places, shown) == (SAME, "['store']", "shown")
    assert "traces.db is damaged" in error


def test_locked_store_harms_nobody(tmp_path):
    """While another process holds the store nobody waits for it but our own thread."""
    outcome(tmp_path, shown="GET")
    path = tmp_path / ".queryscope" / "traces.db"
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        *same, places, error, shown = outcome(tmp_path, shown="is locked")
        other.execute("ROLLBACK")
    assert (same, places, shown) == (SAME, "['store']", "shown")
    assert "traces.db is locked: another process has held it" in error


# Nobody may not read a Python in root's home, and Python 3.13 imports a part of importlib.metadata
# when it is first used: by then the process has to have it.
BECOME_NOBODY = """
import importlib.metadata
importlib.metadata.version("django")
os.setgid(65534)
os.setuid(65534)
"""


def test_read_only_folder_harms_nobody(tmp_path):
    """A process that may not write where it runs answers as ever."""
    tmp_path.chmod(0o755)
    for parent in list(tmp_path.parents)[:2]:
        parent.chmod(0o755)
    folder = tmp_path / "read-only"
    folder.mkdir(mode=0o555)
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    then = BECOME_NOBODY if root else ""
    *same, places, error, shown = outcome(folder, then=then, shown="Permission denied")
    assert (same, places, shown) == (SAME, "['store', 'store.key']", "shown")
    assert "Permission denied. Make the folder writable" in error
    assert list(folder.iterdir()) == []


@pytest.fixture
def small_disk(tmp_path):
    """A file system of its own, of 96 KiB; needs the right to mount."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=96k", "tmpfs", str(folder)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip("a small file system cannot be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_full_disk_harms_nobody(small_disk):
    """On a disk without room for a store the application answers, and the reason is said."""
    (small_disk / "filler").write_bytes(b"x" * (96 * 1024 - 4096))
    *same, places, error, shown = outcome(small_disk, shown="store")
    assert (same, shown) == (SAME, "shown")
    assert "'store'" in places
    assert "No space left" in error or "disk is full" in error


def test_disk_that_fills_up_harms_nobody(small_disk):
    """A store that was there and cannot grow says that the disk is full, and stays readable."""
    outcome(small_disk, shown="GET")
    filler = small_disk / "filler"
    with filler.open("wb", buffering=0) as file:
        while True:
            try:
                file.write(b"x" * 1024)
            except OSError:
                break
    *same, places, error, shown = outcome(small_disk, shown="disk is full")
    assert (same, places, shown) == (SAME, "['store']", "shown")
    assert "the disk is full" in error


def test_file_size_limit_harms_nobody(tmp_path):
    """A process that may not write large files has a store that cannot grow, and answers."""
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))"
    *same, places, error, shown = outcome(tmp_path, then=limit, shown="store")
    assert (same, shown) == (SAME, "shown")
    assert "'store'" in places
    assert error != ""


WARM = """
served(profiled, "/count/")
assert runtime.get().flush(20)
"""
NO_MORE_FILES = """
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
taken = []
try:
    while True:
        taken.append(os.dup(0))
except OSError:
    pass
"""


def after(folder, *, then, mend=""):
    """Serve in ``folder``, then mend what ``then`` has harmed and serve four more.

    Returns whether the answers were the same, as lines; the places of failures; the error of the
    store at the end; how many of the four are in it.
    """
    code = SERVES.partition("print(runtime.get().store_error)")[0]
    code = (
        code.format(folder=str(folder), then=then, before="", shown="")
        + f"""
{mend}
guard.clear()
served(profiled, "/count/")
assert runtime.get().flush(20)
before = len(runtime.get().store.list(1_000))
for _ in range(4):
    served(profiled, "/count/")
assert runtime.get().flush(20)
print(runtime.get().store_error)
print(len(runtime.get().store.list(1_000)) - before)
print(guard.failures())
"""
    )
    *same, places, error, stored, failures = finished(code).splitlines()
    assert failures == "()"
    return same, set(ast.literal_eval(places)), error, int(stored)


def test_folder_deleted_while_running(tmp_path):
    """What comes after the deletion is in a new store, and nobody else notices."""
    then = WARM + "import shutil; shutil.rmtree('.queryscope')"
    assert after(tmp_path, then=then) == (SAME, set(), "", 4)


def test_file_descriptors_run_out_while_running(tmp_path):
    """A store that is open needs none more: every Trace is written."""
    mend = "for number in taken: os.close(number)"
    # Findings stay open where the file of known ones cannot be read, and that is counted.
    expected = (SAME, {"policy"}, "", 4)
    assert after(tmp_path, then=WARM + NO_MORE_FILES, mend=mend) == expected


def test_file_descriptors_run_out_before_the_first_trace(tmp_path):
    """The application answers, the failures are counted; with some to be had, all is stored."""
    mend = "for number in taken: os.close(number)"
    same, places, error, stored = after(tmp_path, then=NO_MORE_FILES, mend=mend)
    assert (same, error, stored) == (SAME, "", 4)
    assert places
