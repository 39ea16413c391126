"""The SQLAlchemy booking example: every bottleneck is there, and gone when repaired."""

from __future__ import annotations

# First of all, since it puts the folder of the application on the path.
from tests.example_apps.booking_sqlalchemy_watch import (
    APP_DIR,
    PACKAGE_DIR,
    TOKEN,
    Watch,
    app_on,
    engine_of,
)

# isort: split
import ast
import os
import re
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from booking_flask.database import ENGINE_KEY, database_url, make_engine
from booking_flask.models import Base, BookingStatus, Setting
from booking_flask.repaired import configuration as repaired_configuration
from booking_flask.repaired.detail import STATUS_NAMES
from booking_flask.repaired.indexes import INDEXES, create_indexes
from booking_flask.repaired.response_cache import KEPT_S, MAX_ENTRIES, ResponseCache
from booking_flask.seed import make_tables, seed
from sqlalchemy import create_engine, func, inspect, select, text, update
from sqlalchemy.pool import QueuePool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from flask import Flask

    from tests.example_apps.booking_sqlalchemy_watch import Line

WORKING_DAY = "2026-03-03"
HOLIDAY = "2026-03-06"
POOL_SIZE = 5
HELD_AT_ONCE = 3
MINIMUM_RENDER_NS = 20_000_000
BARRIER_S = 20.0

MARK = re.compile(r"#\s*(bottleneck|mend) ([0-9a-z, ]+)")
DOC_ROW = re.compile(r"^\| (\d+[a-z]?) \| `([^`]+)` \| `([^`]*)` \|", re.MULTILINE)
DOC_FIGURES = re.compile(r"^\| `(GET /[^`]*)` \| (\d+) \| (\d+) \| (\d+) \|$", re.MULTILINE)


def marks(kind: str) -> dict[str, Line]:
    """Return where each bottleneck, or each place to mend it, is marked in the application."""
    found: dict[str, Line] = {}
    for path in sorted((*PACKAGE_DIR.rglob("*.py"), *PACKAGE_DIR.rglob("*.html"))):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            for marked, names in MARK.findall(line):
                for name in names.replace(" ", "").split(","):
                    if marked == kind:
                        place = (path.relative_to(PACKAGE_DIR).as_posix(), number)
                        assert name not in found, f"{kind} {name} stands at two places"
                        found[name] = place
    return found


def enclosing(line: Line) -> str:
    """Return the function, or the class, that a line stands in; of a template, nothing."""
    path = PACKAGE_DIR / line[0]
    if path.suffix != ".py":
        return ""
    names = [
        (node.lineno, node.name)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, (ast.FunctionDef, ast.ClassDef))
        and node.lineno <= line[1] <= (node.end_lineno or 0)
    ]
    return max(names)[1]


@pytest.fixture(scope="module")
def url(tmp_path_factory) -> str:
    """The URL of an SQLite database with all of the demonstration's rows."""
    url = f"sqlite:///{tmp_path_factory.mktemp('booking') / 'full.sqlite3'}"
    engine = make_engine(database_url(url), rtt_ms=0)
    seed(engine)
    engine.dispose()
    return url


@pytest.fixture
def app(url) -> Iterator[Flask]:
    """A new application, with empty caches, on the demonstration's rows."""
    app = app_on(url)
    yield app
    engine_of(app).dispose()


def measured(app: Flask, path: str) -> Watch:
    """Return what one authenticated request does to the database of a new application."""
    with Watch(app) as watch:
        answer = app.test_client().get(path, headers=TOKEN)
    assert answer.status_code == 200
    assert not +watch.held, "a connection was not given back"
    return watch


def figures(watch: Watch) -> tuple[int, int, int]:
    """Return statements, sessions and connections held at once of a request on this thread."""
    me = threading.get_ident()
    return len(watch.statements), len(watch.sessions[me]), watch.most_held[me]


def statements(watch: Watch) -> dict[str, int]:
    """Return how many statements each marked line sent; unmarked lines have an empty name."""
    names: dict[Line, list[str]] = {}
    for name, line in marks("bottleneck").items():
        names.setdefault(line, []).append(name)
    counts: Counter[str] = Counter()
    for line, count in watch.lines().items():
        for name in names.get(line, [""]):
            counts[name] += count
    return dict(counts)


def test_every_bottleneck_is_marked():
    """Each of the 21 has at least one marked place, and every place to mend belongs to one."""
    found = marks("bottleneck")
    assert {int(re.sub(r"\D", "", name)) for name in found} == set(range(1, 22))
    assert marks("mend").keys() <= found.keys()


def test_repaired_code_has_no_marks():
    """No bottleneck is marked in the repaired endpoints."""
    places = {*marks("bottleneck").values(), *marks("mend").values()}
    assert {path.split("/")[0] for path, _ in places} == {"legacy", "models.py", "templates"}
    assert "templates/admin_board.html" not in {path for path, _ in places}


def test_bottlenecks_page_names_each_place():
    """The page has one row for each marked place, with its file and function, and no other."""
    rows = DOC_ROW.findall((APP_DIR / "BOTTLENECKS.md").read_text())
    marked = {(name, line[0], enclosing(line)) for name, line in marks("bottleneck").items()}
    assert set(rows) == marked
    assert len(rows) == len(marked)


def test_bottlenecks_page_figures_are_measured(url):
    """The figures on the page are those of the first request to a new process."""
    rows = DOC_FIGURES.findall((APP_DIR / "BOTTLENECKS.md").read_text())
    assert len(rows) == 10
    for request, *written in rows:
        app = app_on(url)
        watch = measured(app, request.removeprefix("GET "))
        assert figures(watch) == tuple(map(int, written)), request


def test_legacy_detail_sends_30_to_40_statements(url):
    """Wherever the items stand, the legacy detail request stays between 30 and 40 statements."""
    counts = set()
    for location in (1, 2, 3, 29, 30, 87, 500):
        count, sessions, held = figures(measured(app_on(url), f"/items/{location}"))
        counts.add(count)
        assert (sessions, held) == (5, HELD_AT_ONCE)
    assert (min(counts), max(counts)) == (31, 39)


def test_legacy_detail_statements_come_from_marked_lines(app):
    """Each marked line of the legacy detail request sends as many statements as its page says."""
    watch = measured(app, "/items/7")
    assert statements(watch) == {
        "": 1,  # the location itself
        "8": 1,
        "13a": 10,
        "13b": 10,
        "13c": 3,
        "15a": 1,
        "15b": 10,
        "15c": 3,
        "16a": 3,
        "16b": 3,
        "16c": 2,
        "16d": 1,
        "16e": 1,
        "17a": 1,
        "17b": 1,
        "18": 1,
        "19a": 1,
    }


def test_legacy_detail_repeats_the_day_pass_status(app):
    """The status is asked for with the same statement and parameters for each item."""
    asked = [(sql, values) for line, sql, values in measured(app, "/items/7").statements
             if line == marks("bottleneck")["13b"]]  # fmt: skip
    assert len(asked) == 10
    assert all(one == asked[0] for one in asked)


def test_legacy_detail_reads_the_user_twice(app):
    """Permission and answer read the same account with the same statement, in two sessions."""
    lines = marks("bottleneck")
    asked = [(sql, values) for line, sql, values in measured(app, "/items/7").statements
             if line in (lines["17a"], lines["17b"])]  # fmt: skip
    assert len(asked) == 2
    assert asked[0] == asked[1]


def test_legacy_detail_holds_connections_while_rendering(app):
    """The legacy request keeps two connections idle while it works out the calendars."""
    watch = measured(app, "/items/7")
    assert watch.idle_ns >= MINIMUM_RENDER_NS


def test_repaired_detail_renders_without_connection(app):
    """The repaired request has given its connection back before it works out the calendars."""
    watch = measured(app, "/v2/items/7")
    rendering_ns = watch.ended_ns - watch.last_checkin_ns
    assert rendering_ns >= MINIMUM_RENDER_NS
    assert watch.idle_ns < rendering_ns


@pytest.mark.parametrize("location", [1, 7, 29, 500])
def test_repaired_detail_stays_within_budget(app, location):
    """The repaired request takes five statements on a cold process, four on a warm one."""
    for expected in (5, 4):
        assert figures(measured(app, f"/v2/items/{location}")) == (expected, 1, 1)


def test_repaired_detail_of_a_stranger_needs_no_statement(app):
    """Without a token the repaired request does not open a session."""
    with Watch(app) as watch:
        assert app.test_client().get("/v2/items/7").status_code == 401
    assert watch.statements == []


def test_batch_helper_is_unused_by_legacy():
    """No legacy module but its own mentions the batch helper; the repaired request uses it."""
    users = {
        path.relative_to(PACKAGE_DIR).as_posix()
        for path in PACKAGE_DIR.rglob("*.py")
        if "bookings_by_item" in path.read_text()
    }
    assert users == {"legacy/reports.py", "repaired/detail.py"}


def test_status_constant_is_what_the_table_says(app):
    """The constant that replaces the look-up table says what the table says."""
    with engine_of(app).connect() as connection:
        rows = connection.execute(select(BookingStatus.id, BookingStatus.name))
        assert {row.id: row.name for row in rows} == STATUS_NAMES


def test_legacy_discovery_statements_come_from_marked_lines(app):
    """On a holiday, filtered and sorted, the marked lines send all but two kinds of statements."""
    counts = statements(measured(app, f"/discovery?date={HOLIDAY}&city=riga&sort=rating"))
    loads = counts.pop("3c")
    riga = counts.pop("3b")
    assert counts == {
        "": 2,  # the holidays of the day, twice
        "3a": 3,
        "3f": 23,  # every other city; the one asked for was loaded to be compared with
        "4a": 1,
        "4b": 23,
        "6": 1,
        "7a": 1,
        "7b": 1,
        "7c": 1,
        "7d": 1,
        "7e": 1,
        "8": 1,
        "9": 1,
    }
    assert 10 < loads < 50
    assert 1 <= riga <= 6


def test_legacy_discovery_loads_add_ons_per_location(app):
    """Without a filter the add-ons are loaded once for each of the 500 locations."""
    counts = statements(measured(app, "/discovery"))
    assert (counts["3b"], counts["3c"]) == (6, 500)


def test_legacy_discovery_same_select_in_another_order(app):
    """A sort runs the SELECT of all locations again, with nothing changed but its ORDER BY."""
    lines = marks("bottleneck")
    sent = {line: sql for line, sql, _ in measured(app, "/discovery?sort=price").statements}
    first, again = sent[lines["4a"]], sent[lines["6"]]
    assert first != again
    assert first.split("ORDER BY")[0] == again.split("ORDER BY")[0]


def test_legacy_discovery_logs_three_times_a_location(app, caplog):
    """One request writes 1,500 log lines, three with the same structure for each location."""
    app.test_client().get("/discovery")
    legacy = [record for record in caplog.records if record.name.startswith("booking_flask.legacy")]
    assert len(legacy) == 1500
    assert set(Counter(record.args for record in legacy).values()) == {3}


def test_repaired_discovery_logs_its_stages_once(app, caplog):
    """One request writes one log line, with the time of each stage."""
    app.test_client().get("/v2/discovery")
    (record,) = (one for one in caplog.records if one.name.startswith("booking_flask"))
    assert re.fullmatch(
        r"discovery look-up=[\d.]+ms selection=[\d.]+ms availability=[\d.]+ms results=[\d.]+ms",
        record.getMessage(),
    )


@pytest.mark.parametrize(
    ("query", "cold"),
    [
        ("", 3),
        ("?category=office&addons=wifi&min_capacity=2&max_price=60", 4),
        (f"?date={WORKING_DAY}", 7),
        (f"?date={WORKING_DAY}&city=riga&addons=wifi&sort=rating&page=1&page_size=50", 7),
        (f"?date={WORKING_DAY}&sort=distance&lat=50&lng=5", 7),
        (f"?date={HOLIDAY}", 4),
        (f"?date={HOLIDAY}&city=riga&sort=price", 4),
        (f"?date={HOLIDAY}&city=nowhere", 3),
    ],
)
def test_repaired_discovery_stays_within_budget(app, query, cold):
    """Each request takes few statements, and one less when the configuration is known."""
    for expected in (cold, cold - 1):
        assert figures(measured(app, f"/v2/discovery{query}")) == (expected, 1, 1)


def test_repaired_discovery_budget_is_that_of_the_case_study(app):
    """Eight statements at most on a working day, two or three on a holiday."""
    full = f"city=riga&category=office&addons=wifi&date={WORKING_DAY}&sort=name&max_price=90"
    assert figures(measured(app, f"/v2/discovery?{full}"))[0] <= 8
    for query in (f"date={HOLIDAY}", f"date={HOLIDAY}&city=nowhere", f"date={HOLIDAY}&page=99"):
        assert figures(measured(app, f"/v2/discovery?{query}"))[0] in (2, 3)


def test_response_cache_saves_all_statements(app):
    """With ``cache=1`` the second identical request sends nothing, a different one does."""
    path = f"/v2/discovery?date={WORKING_DAY}&cache=1"
    first = app.test_client().get(path)
    with Watch(app) as watch:
        again = app.test_client().get(path)
    assert (again.data, again.content_type) == (first.data, first.content_type)
    assert watch.statements == []
    assert len(measured(app, f"{path}&page=2").statements) > 0


@pytest.mark.parametrize("cache", ["", "0", "true", "11"])
def test_response_cache_is_off_by_default(app, cache):
    """Without ``cache=1`` each request asks the database."""
    for _ in range(2):
        assert len(measured(app, f"/v2/discovery?cache={cache}").statements) > 0


def test_response_cache_forgets_old_and_surplus_answers():
    """An answer is kept for its time, and the least recently used one goes first."""
    now = [0.0]
    cache = ResponseCache(clock=lambda: now[0])
    cache.put("old", b"1")
    now[0] = KEPT_S / 2
    assert cache.get("old") == b"1"
    now[0] = KEPT_S
    assert cache.get("old") is None
    for number in range(MAX_ENTRIES):
        cache.put(number, b"")
    cache.get(0)
    cache.put("one more", b"")
    assert cache.get(0) == b""
    assert cache.get(1) is None


def test_configuration_is_read_again_after_its_time(tmp_path, monkeypatch):
    """A changed setting shows at once on the legacy endpoint and in time on the repaired one."""
    app = app_on(f"sqlite:///{tmp_path / 'changing.sqlite3'}")
    seed(engine_of(app), locations=1)
    client = app.test_client()

    def currencies() -> list[str]:
        paths = ("/discovery", "/v2/discovery")
        return [client.get(path).get_json()["currency"] for path in paths]

    assert currencies() == ["EUR", "EUR"]
    with engine_of(app).begin() as connection:
        changed = update(Setting).where(Setting.key == "currency").values(value="CHF")
        connection.execute(changed)
    assert currencies() == ["CHF", "EUR"]
    monkeypatch.setattr(repaired_configuration, "KEPT_S", 0.0)
    assert currencies() == ["CHF", "CHF"]
    engine_of(app).dispose()


def test_admin_board_template_sends_the_statements(app):
    """City and add-ons of the legacy board are loaded by the two marked template lines alone."""
    counts = statements(measured(app, "/admin-board/"))
    assert counts.pop("") == 1
    assert counts == {"3d": counts["3d"], "3e": 40}
    assert 15 <= counts["3d"] <= 24


def test_repaired_admin_board_sends_two_statements(app):
    """The repaired board loads everything before its template runs."""
    assert figures(measured(app, "/v2/admin-board/")) == (2, 1, 1)


# --- the pool ---------------------------------------------------------------------------------


def at_once(
    app: Flask, path: str, threads: int, on_checkout: Callable[[int], None] = lambda _count: None
) -> tuple[Watch, list[int]]:
    """Return what as many simultaneous requests do and answer, each on a thread of its own."""
    ready = threading.Barrier(threads, timeout=BARRIER_S)

    def ask() -> int:
        ready.wait()
        return app.test_client().get(path, headers=TOKEN).status_code

    with (
        Watch(app, on_checkout=on_checkout) as watch,
        ThreadPoolExecutor(max_workers=threads) as pool,
    ):
        statuses = [future.result() for future in [pool.submit(ask) for _ in range(threads)]]
    assert not +watch.held, "a connection was not given back"
    return watch, statuses


def test_legacy_detail_threads_hold_three_each(url, monkeypatch):
    """With room for all, each of four simultaneous legacy requests holds three connections."""
    monkeypatch.setenv("BOOKING_POOL_SIZE", "12")
    watch, statuses = at_once(app_on(url), "/items/7", 4)
    assert statuses == [200] * 4
    assert sorted(watch.most_held.values()) == [HELD_AT_ONCE] * 4
    page = (APP_DIR / "BOTTLENECKS.md").read_text()
    assert f"holds {HELD_AT_ONCE} connections at once" in page


def test_repaired_detail_threads_hold_one_each(url):
    """Each of eight simultaneous repaired requests holds one connection, and none starves."""
    watch, statuses = at_once(app_on(url), "/v2/items/7", 8)
    assert statuses == [200] * 8
    assert list(watch.most_held.values()) == [1] * 8


def test_five_legacy_requests_can_lock_the_pool(url, monkeypatch):
    """Five requests that each hold their first connection leave none for a second one."""
    monkeypatch.setenv("BOOKING_POOL_TIMEOUT_S", "0.4")
    met = threading.Barrier(POOL_SIZE, timeout=BARRIER_S)
    _, statuses = at_once(
        app_on(url), "/items/7", POOL_SIZE, lambda count: met.wait() if count == 1 else None
    )
    assert 503 in statuses
    assert set(statuses) <= {200, 503}


def test_three_legacy_requests_can_lock_the_pool(url, monkeypatch):
    """Three requests, the bound for three connections each and a pool of five, can lock it too."""
    monkeypatch.setenv("BOOKING_POOL_TIMEOUT_S", "0.4")
    met = threading.Barrier(3, timeout=BARRIER_S)
    waiting = threading.local()
    last = threading.Semaphore(1)

    def meet(count: int) -> None:
        # One request stops with its main connection, the others with that of the day passes
        # besides, their fourth checkout: 1 + 2 + 2 of five are held, and each wants one more.
        if count == 1:
            waiting.at = 1 if last.acquire(blocking=False) else 4
        if count == waiting.at:
            met.wait()

    _, statuses = at_once(app_on(url), "/items/7", 3, meet)
    assert 503 in statuses
    assert set(statuses) <= {200, 503}


def test_two_legacy_requests_never_lock_the_pool(url, monkeypatch):
    """Two requests, one below the bound, get through even from the worst meeting point."""
    monkeypatch.setenv("BOOKING_POOL_TIMEOUT_S", "10")
    met = threading.Barrier(2, timeout=BARRIER_S)
    _, statuses = at_once(
        app_on(url), "/items/7", 2, lambda count: met.wait() if count == 4 else None
    )
    assert statuses == [200, 200]


def test_five_repaired_requests_share_the_pool(url, monkeypatch):
    """Five repaired requests that all hold a connection at the same moment all answer."""
    monkeypatch.setenv("BOOKING_POOL_TIMEOUT_S", "0.4")
    met = threading.Barrier(POOL_SIZE, timeout=BARRIER_S)
    _, statuses = at_once(
        app_on(url), "/v2/items/7", POOL_SIZE, lambda count: met.wait() if count == 1 else None
    )
    assert statuses == [200] * POOL_SIZE


def test_pool_is_a_queue_that_never_grows(url, monkeypatch):
    """SQLite gets the pool of a server as well, its size and patience from the environment."""
    engine = make_engine(database_url(url))
    assert isinstance(engine.pool, QueuePool)
    assert (engine.pool.size(), engine.pool._max_overflow, engine.pool._timeout) == (5, 0, 30.0)
    monkeypatch.setenv("BOOKING_POOL_SIZE", "2")
    monkeypatch.setenv("BOOKING_POOL_TIMEOUT_S", "1.5")
    engine = make_engine(database_url(url))
    assert (engine.pool.size(), engine.pool._timeout) == (2, 1.5)


# --- data and settings --------------------------------------------------------------------------


def test_seed_has_the_promised_size(app):
    """The demonstration has 500 active locations, 5,000 items, 20,000 bookings, 10,000 readings."""
    with engine_of(app).connect() as connection:
        rows = {
            table.name: connection.scalar(select(func.count()).select_from(table))
            for table in Base.metadata.sorted_tables
        }
        active = connection.scalar(text("SELECT COUNT(*) FROM location WHERE active"))
        foreign = connection.execute(text("PRAGMA foreign_key_check")).all()
    assert active == 500
    assert (rows["item"], rows["booking"], rows["occupancy_reading"]) == (5000, 20000, 10000)
    assert min(rows.values()) > 0
    assert foreign == []


def test_seed_makes_the_same_rows_each_time(tmp_path):
    """Two seeds, the second over the first one's tables, leave the same rows."""
    engine = make_engine(database_url(f"sqlite:///{tmp_path / 'twice.sqlite3'}"), rtt_ms=0)

    def rows() -> list[list[tuple[object, ...]]]:
        with engine.connect() as connection:
            tables = Base.metadata.sorted_tables
            return [[tuple(row) for row in connection.execute(table.select())] for table in tables]

    seed(engine, locations=12)
    first = rows()
    seed(engine, locations=12)
    assert rows() == first
    engine.dispose()


def test_tables_have_no_index_until_repaired(tmp_path):
    """The legacy schema scans the bookings; the repaired indexes are made once and used."""
    engine = make_engine(database_url(f"sqlite:///{tmp_path / 'plans.sqlite3'}"), rtt_ms=0)
    make_tables(engine)

    def plan() -> str:
        with engine.connect() as connection:
            rows = connection.execute(
                text("EXPLAIN QUERY PLAN SELECT * FROM booking WHERE item_id IN (1, 2)")
            )
            return " ".join(row.detail for row in rows)

    assert plan().startswith("SCAN")
    for _ in range(2):
        create_indexes(engine)
    assert "USING INDEX ix_booking_item_id_starts_at" in plan()
    tables = inspect(engine)
    assert sum(len(tables.get_indexes(name)) for name in tables.get_table_names()) == len(INDEXES)
    engine.dispose()


@pytest.mark.parametrize(
    ("given", "driver"),
    [
        ("postgresql://user@host/name", "postgresql+psycopg"),
        ("mysql://user@host/name", "mysql+pymysql"),
        ("mysql+pymysql://user@host/name", "mysql+pymysql"),
        ("sqlite:///name.sqlite3", "sqlite"),
    ],
)
def test_database_url_gets_its_driver(monkeypatch, given, driver):
    """Plain URLs get the driver that is installed, from the environment as from an argument."""
    assert database_url(given).drivername == driver
    monkeypatch.setenv("DATABASE_URL", given)
    assert database_url().drivername == driver


def test_database_url_defaults_to_the_application_folder(monkeypatch):
    """Without a URL the database is a file beside the application."""
    monkeypatch.delenv("DATABASE_URL", raising=False)
    assert database_url().database == str(APP_DIR / "booking.sqlite3")


def test_round_trip_time_is_added_to_each_statement(url, monkeypatch):
    """With a simulated round trip a request takes at least that long for each statement."""
    monkeypatch.setenv("BOOKING_RTT_MS", "4")
    app = app_on(url)
    began = time.perf_counter()
    client = app.test_client()
    assert client.get("/items/7", headers=TOKEN).status_code == 200
    assert time.perf_counter() - began >= 39 * 0.004
    # A listener of the engine itself would slow down each statement for good.
    assert not app.extensions[ENGINE_KEY]._has_events
    engine_of(app).dispose()


@pytest.mark.parametrize("value", ["", "0", "0.0"])
def test_round_trip_time_of_zero_adds_nothing(url, monkeypatch, value):
    """Without a simulated round trip no listener is there."""
    monkeypatch.setenv("BOOKING_RTT_MS", value)
    app = app_on(url)
    for name in ("do_execute", "do_executemany", "do_execute_no_params"):
        assert not getattr(engine_of(app).dialect.dispatch, name)


def test_seed_command_and_wsgi_module_run(tmp_path):
    """As the README says: seed from the application's folder, then serve ``wsgi:app``."""
    environment = {
        **os.environ,
        "DATABASE_URL": f"sqlite:///{tmp_path / 'served.sqlite3'}",
        "BOOKING_LOG": str(tmp_path / "served.log"),
    }
    environment.pop("BOOKING_QUERYSCOPE", None)

    def run(*arguments: str) -> str:
        command = [sys.executable, *arguments]
        done = subprocess.run(
            command, cwd=APP_DIR, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    said = run("-m", "booking_flask.seed", "--locations", "3", "--indexes")
    assert "booking 120," in said
    script = (
        "import wsgi\nclient = wsgi.app.test_client()\n"
        "for path in ('/health', '/discovery'): print(client.get(path).status_code)"
    )
    assert run("-c", script).split() == ["200", "200"]
    assert (tmp_path / "served.log").read_text().count("candidate") == 3
    engine = create_engine(environment["DATABASE_URL"])
    assert inspect(engine).get_indexes("booking")
    engine.dispose()
