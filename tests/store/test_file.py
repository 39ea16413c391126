"""The file: several processes, bounded, private, and whatever is wrong with it a StoreError."""

from __future__ import annotations

import os
import signal
import sqlite3
import stat
import subprocess
import sys
import textwrap
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from queryscope.detectors.registry import Judged
from queryscope.errors import NotFoundError, StoreError, TraceFormatError
from queryscope.store.database import FORMAT
from queryscope.store.file import Store
from queryscope.store.summary import Summary
from queryscope.trace import guard
from tests.builders import a_finding, a_query, a_session, a_trace, some
from tests.random_traces import HOSTILE, Dice

DAY_NS = 86_400 * 10**9
NOW_NS = 1_700_000_000 * 10**9
"""When the builders' Traces began."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where the store of a test lies; nothing is there yet."""
    return tmp_path / ".queryscope" / "traces.db"


@pytest.fixture
def store(path):
    """Return an empty store that lives on the builders' day."""
    opened = a_store(path)
    yield opened
    opened.close()


def a_store(path, **options) -> Store:
    """Return a store that lives on the builders' day."""
    return Store(path, clock=lambda: NOW_NS, **options)


def judged(ident: str = "k3f", *findings, age_ns: int = 0, **facts) -> Judged:
    """Return a request for books of a given age, with findings."""
    queries = facts.pop("queries", some(3))
    trace = a_trace(*queries, id=ident, started_at_ns=NOW_NS - age_ns, **facts)
    return Judged(trace, findings)


def a_request(ident: str, route: str, path: str, *, method: str = "GET", age_ns: int = 0) -> Judged:
    """Return a request as the middleware describes it."""
    attributes = {"method": method, "route": route, "path": path, "status": "200"}
    return judged(ident, name=f"{method} {route}", attributes=attributes, age_ns=age_ns)


def ids(store: Store, **wanted) -> list[str]:
    """Return the ids that a store lists."""
    return [summary.id for summary in store.list(**wanted)]


def size_of(path: Path) -> int:
    """Return the bytes of a store's file when all is in it."""
    return path.stat().st_size


def run(source: str, *arguments: object, **options) -> subprocess.Popen[str]:
    """Start a program that has the helpers of this file at hand."""
    start = "import os, sys, time\nfrom tests.store.test_file import *\n"
    return subprocess.Popen(
        [sys.executable, "-c", start + textwrap.dedent(source), *map(str, arguments)],
        text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options,
    )  # fmt: skip


# -- what goes in comes out ---------------------------------------------------------------------


def test_added_trace_comes_back(store):
    """A Trace and its findings come back equal."""
    there = judged("k3f", a_finding(), sessions=[a_session()])
    store.add([there])
    assert store.get("k3f") == there
    assert store.latest() == there


@pytest.mark.parametrize("seed", range(15))
def test_random_trace_comes_back(path, seed):
    """Whatever stands in a Trace is stored, found by its id and listed."""
    dice = Dice(seed)
    trace = replace(dice.trace(), id=f"r{seed}", started_at_ns=NOW_NS)
    with_values = a_store(path, keep_values=True)
    with_values.add([Judged(trace, dice.several(dice.finding))])
    assert with_values.get(f"r{seed}").trace == trace
    assert ids(with_values) == [f"r{seed}"]
    with_values.close()


def test_values_stay_out_by_default(path, store):
    """Without keep_values no parameter reaches the disk, in no file of the store."""
    secret = "joe@example.org"
    error = f"IntegrityError: Key (email)=({secret}) already exists"
    query = a_query(parameters=(secret,), keep=True, error=error)
    store.add([judged(queries=[query])])
    (stored,) = store.get("k3f").trace.queries
    assert stored.parameters is None
    assert stored.parameters_key == query.parameters_key
    assert secret not in repr(stored)


def test_values_are_kept_on_request(path):
    """With keep_values parameters are written."""
    store = a_store(path, keep_values=True)
    store.add([judged(queries=[a_query(parameters=("x", 1), keep=True)])])
    assert store.get("k3f").trace.queries[0].parameters == ("x", 1)
    store.close()


def test_summary_counts_the_subtree(store):
    """A summary has the numbers of nested Traces, too, and the codes once each."""
    child = a_trace(*some(2, rows=10), id="inner", sessions=[a_session()])
    mild, grave = a_finding(severity="info"), a_finding("QS501", severity="critical")
    findings = [grave, a_finding(), a_finding(), mild]
    attributes = {"method": "GET", "path": "/books/1", "route": "/books/<id>", "status": "500"}
    store.add(
        [judged("k3f", *findings, sessions=[a_session()], children=(child,), attributes=attributes)]
    )
    (summary,) = store.list()
    assert summary == Summary(
        id="k3f",
        started_at_ns=NOW_NS,
        kind="request",
        name="GET /books/",
        method="GET",
        path="/books/1",
        route="/books/<id>",
        status="500",
        duration_ns=summary.duration_ns,
        statements=5,
        rows=23,
        sessions=2,
        info=1,
        warning=2,
        critical=1,
        codes="QS501,QS101",
    )


def test_same_id_is_replaced(store):
    """A Trace added again takes the place of the one before."""
    store.add([judged("k3f", name="before")])
    store.add([judged("k3f", name="after")])
    assert [summary.name for summary in store.list()] == ["after"]
    assert store.get("k3f").trace.name == "after"


def test_list_is_newest_first(store):
    """The Trace that began last stands first, whatever came first; a limit cuts the oldest."""
    store.add([judged("b", age_ns=2), judged("c", age_ns=1), judged("a", age_ns=3)])
    assert ids(store) == ["c", "b", "a"]
    assert ids(store, limit=2) == ["c", "b"]


def test_list_by_kind(store):
    """Only Traces of the wanted kind are listed."""
    store.add([judged("a"), judged("b", kind="task")])
    assert ids(store, kind="task") == ["b"]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("GET /orders", ["o1", "o2"]),
        ("GET /orders/", ["o1", "o2"]),
        ("GET orders/", ["o1", "o2"]),
        ("/orders/", ["p1", "o1", "o2"]),
        ("POST /orders/", ["p1"]),
        ("GET /orders/7/", ["d1"]),
        ("/orders/<int:pk>/", ["d1"]),
        ("nightly export", ["job"]),
        ("GET /", ["root"]),
        ("get /orders", []),
        ("GET /order", []),
    ],
)
def test_route_finds_route_path_and_name(store, wanted, found):
    """A route query means method and route, a path, or a name; outer slashes do not matter."""
    store.add(
        [
            a_request("p1", "/orders/", "/orders/", method="POST", age_ns=1),
            a_request("o1", "/orders/", "/orders/", age_ns=2),
            a_request("o2", "orders", "/orders", age_ns=3),
            a_request("d1", "/orders/<int:pk>/", "/orders/7/", age_ns=4),
            a_request("root", "/", "/", age_ns=5),
            judged("job", name="nightly export", kind="task", age_ns=6),
        ]
    )
    assert ids(store, route=wanted) == found
    if found:
        assert store.latest(wanted).trace.id == found[0]


def test_unknown_route_names_nearest(store):
    """A route that nobody asked for gives the nearest known one."""
    store.add([a_request("o1", "/orders/", "/orders/"), judged("job", name="nightly export")])
    with pytest.raises(NotFoundError, match="Did you mean 'GET /orders/'"):
        store.latest("GET /order")
    with pytest.raises(NotFoundError, match="Did you mean 'nightly export'"):
        store.latest("nightly exports")


def test_prefix_finds_only_one(store):
    """A prefix finds the one Trace that has it; an id is found even when it begins another one."""
    store.add([judged("abc1"), judged("abc2"), judged("ab"), judged("xyz_")])
    assert store.get("xy").trace.id == "xyz_"
    assert store.get("ab").trace.id == "ab"
    with pytest.raises(NotFoundError, match=r"Several Traces .* begin with 'abc': abc1, abc2"):
        store.get("abc")
    with pytest.raises(NotFoundError, match="Did you mean 'abc1'"):
        store.get("abd1")
    for wild in ("", "%", "x*", "x_z"):
        with pytest.raises(NotFoundError):
            store.get(wild)


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_words_only_miss(store, text):
    """No text in a question breaks the question."""
    store.add([judged("k3f")])
    assert ids(store, route=text, kind=text) == []
    with pytest.raises(NotFoundError):
        store.get(text)
    with pytest.raises(NotFoundError):
        store.latest(text)


def test_trace_that_cannot_be_packed_is_counted(store):
    """One impossible Trace costs itself alone, and is counted."""
    guard.clear()
    store.add([judged("a"), judged("bad", queries=[a_query(rows=object())]), judged("b")])
    assert sorted(ids(store)) == ["a", "b"]
    assert [failure.place for failure in guard.failures()] == ["store.add"]
    guard.clear()


# -- where it lies ------------------------------------------------------------------------------


def test_asking_makes_no_file(path):
    """Reading where nothing is leaves nothing behind, and says how to record."""
    store = a_store(path)
    assert store.list() == ()
    with pytest.raises(NotFoundError, match=r"does not exist\. Record one first"):
        store.latest()
    assert not path.parent.exists()


def test_folder_is_hidden_from_git(path, store):
    """The folder has a .gitignore that hides all of it, and is its owner's alone."""
    store.add([judged()])
    assert (path.parent / ".gitignore").read_text() == "*\n"
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_folder_of_the_user_gets_no_gitignore(tmp_path):
    """In a folder that was there and has another name nothing is hidden."""
    store = a_store(tmp_path / "traces.db")
    store.add([judged()])
    store.close()
    assert [item.name for item in tmp_path.iterdir()] == ["traces.db"]


def test_files_are_private(path, store):
    """No file of the store can be read by others, whatever the umask says."""
    before = os.umask(0)
    try:
        store.add([judged()])
    finally:
        os.umask(before)
    modes = {item.name: stat.S_IMODE(item.stat().st_mode) for item in path.parent.iterdir()}
    modes.pop(".gitignore")
    assert modes == dict.fromkeys(("traces.db", "traces.db-wal", "traces.db-shm"), 0o600)


def test_relative_path_survives_chdir(tmp_path, monkeypatch):
    """A process that changes its working directory goes on writing to the same file."""
    monkeypatch.chdir(tmp_path)
    store = a_store(".queryscope/traces.db")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    store.add([judged()])
    store.close()
    assert (tmp_path / ".queryscope" / "traces.db").exists()


def test_odd_path_is_no_uri(tmp_path):
    """Characters that mean something in a URI are part of the name."""
    path = tmp_path / "a b?mode=ro#x%41" / "traces.db"
    store = a_store(path)
    store.add([judged()])
    assert ids(store) == ["k3f"]
    store.close()
    assert path.exists()


def test_file_deleted_meanwhile_is_made_again(path, store):
    """Somebody deletes the folder while we run: what comes next is in a new file."""
    store.add([judged("a")])
    for item in path.parent.iterdir():
        item.unlink()
    path.parent.rmdir()
    store.add([judged("b")])
    assert ids(store) == ["b"]
    assert path.exists()


def test_left_over_wal_is_not_replayed(path, store):
    """A WAL left by a file that was deleted alone does not reach into the new one."""
    store.add([judged("a")])
    path.unlink()
    other = a_store(path)
    other.add([judged("b")])
    assert ids(other) == ["b"]
    store.add([judged("c")])
    store.close()
    assert sorted(ids(other)) == ["b", "c"]
    other.close()


def test_file_made_by_another_keeps_its_wal(path, store):
    """A process overtaken by another one in making the file leaves that one's WAL alone."""
    store.add([judged("a")])
    overtaken = a_store(path)
    overtaken._database._create()
    overtaken.add([judged("b")])
    overtaken.close()
    store.add([judged("c")])
    assert sorted(ids(store)) == ["a", "b", "c"]


@pytest.mark.parametrize("endings", [["-wal"], ["-shm"], ["-wal", "-shm"]])
def test_rests_stay_where_nothing_can_be_locked(path, monkeypatch, endings):
    """Without locks between processes the rests of a deleted file are told, not removed."""
    monkeypatch.setitem(sys.modules, "fcntl", None)
    path.parent.mkdir()
    rests = [path.with_name(path.name + ending) for ending in endings]
    for rest in rests:
        rest.write_bytes(b"rest")
    with pytest.raises(StoreError, match="is left of a store that was deleted"):
        a_store(path).add([judged()])
    assert all(rest.read_bytes() == b"rest" for rest in rests)
    for rest in rests:
        rest.unlink()
    store = a_store(path)
    store.add([judged()])
    assert ids(store) == ["k3f"]
    store.close()


# -- limits -------------------------------------------------------------------------------------


def test_old_traces_are_deleted(path):
    """What is older than the limit goes when the next Trace comes."""
    store = a_store(path, max_age_days=2)
    store.add([judged("old", age_ns=3 * DAY_NS), judged("new", age_ns=DAY_NS)])
    assert ids(store) == ["new"]
    with pytest.raises(NotFoundError):
        store.get("old")
    store.close()


def test_size_stays_below_limit(path):
    """The oldest Traces go before the file grows beyond its limit, and their pages with them."""
    store = a_store(path, max_mib=1)
    noise = [a_query(os.urandom(20_000).hex()) for _ in range(2)]
    for n in range(100):
        store.add([judged(f"t{n:02}", queries=noise, age_ns=100 - n)])
    there = ids(store)
    store.close()
    assert size_of(path) <= 2**20
    assert there == [f"t{n:02}" for n in range(99, 99 - len(there), -1)]
    assert 10 <= len(there) < 25, "a Trace takes some 40 KiB here"


def test_lower_limit_shrinks_the_file(path):
    """A file that grew under a higher limit shrinks to a lower one with the next Trace."""
    store = a_store(path, max_mib=10)
    store.add(
        [
            judged(f"t{n:02}", queries=[a_query(os.urandom(50_000).hex())], age_ns=60 - n)
            for n in range(60)
        ]
    )
    store.close()
    assert size_of(path) > 3 * 2**20
    lower = a_store(path, max_mib=1)
    lower.add([judged("new")])
    assert ids(lower)[0] == "new"
    lower.close()
    assert size_of(path) <= 2**20


def test_trace_larger_than_limit_stays(path):
    """The newest Trace stays even if it alone is more than the limit."""
    store = a_store(path, max_mib=0.1)
    store.add([judged("old", age_ns=5)])
    store.add([judged("big", queries=[a_query(os.urandom(200_000).hex())])])
    assert ids(store) == ["big"]
    store.close()


# -- processes and threads ----------------------------------------------------------------------


def test_killed_process_loses_nothing_acknowledged(path):
    """A process killed in the middle of its writing has in the file whatever add() returned for."""
    child = run(
        """
        store = a_store(sys.argv[1])
        for n in range(100_000):
            store.add([judged(f"t{n}", age_ns=-n), judged(f"u{n}", age_ns=-n)])
            print(n, flush=True)
        """,
        path,
    )
    try:
        told = [int(child.stdout.readline()) for _ in range(60)]
    finally:
        child.send_signal(signal.SIGKILL)
    told += [int(line) for line in child.stdout.read().split()]
    child.communicate()
    assert child.returncode == -signal.SIGKILL
    store = a_store(path)
    there = ids(store, limit=1_000_000)
    assert {f"t{n}" for n in told} | {f"u{n}" for n in told} <= set(there)
    assert len(there) % 2 == 0, "a batch is there as a whole or not at all"
    assert store.get("t0").trace == judged("t0").trace
    store.add([judged("after")])
    store.close()


def test_several_processes_write_at_once(path):
    """Processes that make and fill the same file at the same time all get everything in."""
    source = """
        store = a_store(sys.argv[1])
        for n in range(25):
            store.add([judged(f"{sys.argv[2]}-{n}")])
        store.close()
    """
    children = [run(source, path, name) for name in "abcd"]
    for child in children:
        assert (child.communicate(timeout=60)[1], child.returncode) == ("", 0)
    store = a_store(path)
    assert sorted(ids(store, limit=1_000)) == sorted(f"{p}-{n}" for p in "abcd" for n in range(25))
    store.close()
    assert sorted(item.name for item in path.parent.iterdir()) == [".gitignore", "traces.db"]


def test_threads_share_a_store(store):
    """Threads that write and read at once lose nothing."""

    def work(first):
        for n in range(20):
            store.add([judged(f"{first}-{n}")])
            store.get(f"{first}-{n}")

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ids(store, limit=1_000)) == 80


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_forked_child_uses_its_own_connection(path, store):
    """After a fork parent and child write on, each with a connection of its own."""
    store.add([judged("before")])
    with store._database._lock:  # as if another thread were writing at that moment
        child = os.fork()
        if child == 0:
            try:
                store.add([judged("child")])
                store.close()
                os._exit(0)
            finally:
                os._exit(1)
    store.add([judged("parent")])
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert sorted(ids(store)) == ["before", "child", "parent"]


def test_closed_store_opens_again(store):
    """close() gives the file back; a later use opens it again."""
    store.add([judged("a")])
    store.close()
    store.add([judged("b")])
    assert sorted(ids(store)) == ["a", "b"]


# -- what is wrong with a file ------------------------------------------------------------------


def check_refused(path: Path, *texts: str) -> None:
    """Check that every use of a file is a StoreError that says so, and the file is kept."""
    before = path.read_bytes()
    with pytest.raises(StoreError) as caught:
        a_store(path)
    for text in (str(path), *texts):
        assert text in str(caught.value)
    assert path.read_bytes() == before
    assert [item.name for item in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("content", [b"not a database at all\n" * 20, b"SQLite", b"\0" * 5_000])
def test_foreign_file_is_kept(tmp_path, content):
    """A file that is no SQLite database is named and left as it is."""
    path = tmp_path / "traces.db"
    path.write_bytes(content)
    check_refused(path, "is no SQLite file", "left as it is", "--store")


def test_empty_file_is_kept(tmp_path):
    """An empty file is somebody's: it is named and left as it is."""
    path = tmp_path / "traces.db"
    path.touch()
    check_refused(path, "is empty")


def test_database_of_another_is_kept(tmp_path):
    """The application's own database given by mistake is not written to."""
    path = tmp_path / "db.sqlite3"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE library_book (id)")
    connection.commit()
    connection.close()
    check_refused(path, "none of queryscope's")


def test_newer_store_is_kept(tmp_path):
    """A file of a newer format is named with both numbers and left as it is."""
    path = tmp_path / "traces.db"
    store = a_store(path)
    store.add([judged()])
    store.close()
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA user_version = {FORMAT + 1}")
    connection.close()
    check_refused(path, f"has format {FORMAT + 1}", "Update queryscope")


def test_newer_format_in_the_wal_is_seen(tmp_path):
    """A format raised this moment by a newer process, still in its WAL, is seen, too."""
    path = tmp_path / "traces.db"
    store = a_store(path)
    store.add([judged()])
    store.close()
    newer = sqlite3.connect(path)
    newer.execute(f"PRAGMA user_version = {FORMAT + 1}")
    with pytest.raises(StoreError, match="Update queryscope"):
        a_store(path).add([judged("late")])
    newer.close()


def test_damaged_store_is_kept(tmp_path):
    """A store whose pages are overwritten is named, and nothing more is written to it."""
    path = tmp_path / "traces.db"
    store = a_store(path)
    store.add([judged(f"t{n}", queries=[a_query(os.urandom(3_000).hex())]) for n in range(20)])
    store.close()
    content = path.read_bytes()
    damaged = content[:4096] + os.urandom(len(content) - 4096)
    path.write_bytes(damaged)
    store = a_store(path)
    for use in (store.list, store.latest, lambda: store.get("t1"), lambda: store.add([judged()])):
        with pytest.raises(StoreError, match=r"is damaged .*left as it is.* Move it away"):
            use()
    store.close()
    assert path.read_bytes() == damaged


def test_cut_store_is_kept(tmp_path):
    """A store that lost its end is named and left as it is."""
    path = tmp_path / "traces.db"
    store = a_store(path)
    store.add([judged()])
    store.close()
    cut = path.read_bytes()[:4096]
    path.write_bytes(cut)
    with pytest.raises(StoreError, match="is damaged"):
        a_store(path).add([judged("b")])
    assert path.read_bytes() == cut


def test_damaged_body_names_its_trace(path, store):
    """One body that is damaged costs that Trace alone."""
    store.add([judged("good"), judged("bad")])
    connection = sqlite3.connect(path)
    connection.execute(
        "UPDATE bodies SET trace = substr(trace, 1, 40) WHERE number = "
        "(SELECT number FROM summaries WHERE id = 'bad')"
    )
    connection.commit()
    connection.close()
    with pytest.raises(TraceFormatError, match=r"Trace bad in .*traces\.db: .* cut short"):
        store.get("bad")
    assert store.get("good").trace.id == "good"


def test_locked_store_is_an_error_in_time(path, store):
    """Another process that does not let go is named after the wait, and nothing hangs."""
    store.add([judged("a")])
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    waiting = a_store(path, busy_timeout_s=0.1)
    with pytest.raises(StoreError, match=r"is locked: another process .* more than 0\.1 s"):
        waiting.add([judged("b")])
    assert ids(waiting) == ["a"], "reading goes on"
    holder.execute("ROLLBACK")
    holder.close()
    waiting.add([judged("b")])
    assert sorted(ids(waiting)) == ["a", "b"]
    waiting.close()


def test_full_disk_is_an_error(path):
    """Where the file cannot grow the batch is refused, and what was there stays readable."""
    child = run(
        """
        import resource
        from queryscope.errors import StoreError
        store = a_store(sys.argv[1])
        store.add([judged("a")])
        # Files of this process may grow by 200 kB: what a full disk does, without filling one.
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
        for n in range(50):
            try:
                store.add([judged(f"t{n}", queries=[a_query(os.urandom(9_000).hex())])])
            except StoreError as error:
                print(error)
                break
        print(store.get("a").trace.id, len(ids(store)) == n + 1)
        """,
        path,
    )
    output, errors = child.communicate(timeout=60)
    assert (errors, child.returncode) == ("", 0)
    told, rest = output.splitlines()
    assert str(path) in told
    assert "write failed" in told
    assert rest == "a True"


@pytest.mark.parametrize("place", ["/proc/queryscope/traces.db", "/dev/null/x/traces.db"])
def test_place_that_cannot_be_made_is_an_error(place):
    """Where no folder can be made, the path, the reason and what to do are told."""
    with pytest.raises(StoreError) as caught:
        a_store(place).add([judged()])
    assert "write failed at /" in str(caught.value) or "open failed at /" in str(caught.value)
    assert "store_path, --store" in str(caught.value)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write to a read-only folder")
def test_read_only_folder_is_an_error(tmp_path):
    """In a folder that may not be written to nothing can be added."""
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(StoreError, match="Make the folder writable"):
            a_store(tmp_path / "traces.db").add([judged()])
    finally:
        tmp_path.chmod(0o700)


@pytest.mark.parametrize("place", ["", "fifo", "nul"])
def test_path_that_is_no_file_is_an_error(tmp_path, place):
    """A folder, a pipe or an impossible name is told, and nothing hangs."""
    path = tmp_path / "there"
    if place == "fifo":
        os.mkfifo(path)
    elif place == "nul":
        path = tmp_path / "a\0b"
    else:
        path.mkdir()
    with pytest.raises(StoreError, match=r"is no file|cannot be used: open failed"):
        a_store(path).add([judged()])
