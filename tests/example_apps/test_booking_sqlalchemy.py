"""The SQLAlchemy booking example: repaired endpoints answer what the legacy ones answer."""

from __future__ import annotations

# First of all, since it puts the folder of the application on the path.
from tests.example_apps.booking_sqlalchemy_watch import TOKEN, app_on, engine_of

# isort: split
import datetime as dt
import logging
import os
import random
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import psycopg
import pymysql
import pytest
from booking_flask.clock import EPOCH, midnight
from booking_flask.database import database_url, make_engine
from booking_flask.models import (
    Account,
    AddOn,
    Booking,
    Category,
    City,
    DayPass,
    Item,
    Location,
    OccupancyReading,
    OpeningHours,
    Slot,
)
from booking_flask.seed import fixed_tables, make_tables, seed
from sqlalchemy import insert, select

from tests.services import mariadb_url, postgresql_url

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from flask.testing import FlaskClient
    from werkzeug.test import TestResponse

LOCATIONS = 45

WORKING_DAY = (EPOCH + dt.timedelta(days=1)).isoformat()
HOLIDAY = (EPOCH + dt.timedelta(days=4)).isoformat()
CITY_HOLIDAY = (EPOCH + dt.timedelta(days=9)).isoformat()
HUGE = "9" * 30

# What any parameter may be given; a list is a parameter that is repeated, None one that is absent.
EDGE_VALUES: tuple[str | list[str] | None, ...] = (
    None, "", "0", "-1", "1", HUGE, f"-{HUGE}", "text", "null", "1.5", " 2", "2 ", ["1", "2"],
    ["2", ""], ["", "7"], "\0", "é",
)  # fmt: skip
OWN_VALUES: dict[str, tuple[str, ...]] = {
    "city": ("riga", "Riga", "riga ", "köln", "ko\u0308ln", "basel", "aarhus", "nowhere", "%"),
    "min_capacity": ("2", "30", "1_0", "٣", "2147483647", "2147483648", "-2147483649"),
    "max_capacity": ("2", "30", "1_0", "٣", "2147483647", "2147483648", "-2147483649"),
    "category": ("office", "Office", "café", "cafe", "café "),
    "addons": (
        "wifi", "wifi,coffee", "wifi,,", ",", "wifi,wifi", " wifi , coffee ", "wifi,nothing",
    ),
    "date": (
        WORKING_DAY, HOLIDAY, CITY_HOLIDAY, "20260303", "2026-W10-3", "2026-02-30", "1999-12-31",
        "2100-12-31", "9999-12-31", "2026-03-03T00:00", "2026-03-08", "2026-04-20",
    ),
    "page": ("2", "3", "-2", "-3", "10000"),
    "page_size": ("2", "7", "1000", "-5", "-100"),
    "sort": ("distance", "price", "rating", "name", "Price", "id"),
    "lat": ("50", "-0.0", "nan", "inf", "1e400", "91", "1e300"),
    "lng": ("5", "-0.0", "nan", "inf", "1e400", "181", "-1e300"),
    "max_price": ("20", "20.005", "25", "24.99", "1e308", "-1e308", "0.0", "1e-9"),
    "cache": ("yes", "true"),
}  # fmt: skip
# Each value is tried on each of these, so that filters, days and orders all show.
BASES: tuple[dict[str, str], ...] = (
    {"date": WORKING_DAY, "sort": "rating", "page_size": "9"},
    {"date": CITY_HOLIDAY, "city": "basel", "lat": "48.5", "lng": "7.25", "sort": "distance"},
)

Query = dict[str, Any]


def one_at_a_time() -> Iterator[Query]:
    """Yield each value of each parameter on each base."""
    for base in BASES:
        for name, own in OWN_VALUES.items():
            for value in (*EDGE_VALUES, *own):
                query = {key: kept for key, kept in base.items() if key != name}
                yield query if value is None else {**query, name: value}


def combinations(number: int) -> Iterator[Query]:
    """Yield a fixed sample of queries of several parameters."""
    rng = random.Random(11)
    for _ in range(number):
        names = rng.sample(sorted(OWN_VALUES), rng.randrange(2, 6))
        chosen = {
            # Values that mean something are twice as likely as those that should mean nothing.
            name: rng.choice((*EDGE_VALUES, *OWN_VALUES[name] * 4))
            for name in names
        }
        yield {name: value for name, value in chosen.items() if value is not None}


def differences(client: FlaskClient, queries: Iterator[Query]) -> tuple[list[Query], set[bytes]]:
    """Return the queries that legacy and repaired answer differently, and all legacy answers."""
    different, answers = [], set()
    for query in queries:
        legacy = client.get("/discovery", query_string=query)
        repaired = client.get("/v2/discovery", query_string=query)
        if not same(legacy, repaired) or legacy.status_code != 200:
            different.append(query)
        answers.add(legacy.data)
    return different, answers


def same(legacy: TestResponse, repaired: TestResponse) -> bool:
    """Return whether two answers are the same to the byte, status and content type included."""
    return (legacy.status, legacy.content_type, legacy.data) == (
        repaired.status,
        repaired.content_type,
        repaired.data,
    )


@pytest.fixture(scope="module")
def seeded_url(tmp_path_factory) -> str:
    """The URL of an SQLite database with a tenth of the demonstration's locations."""
    return filled(f"sqlite:///{tmp_path_factory.mktemp('booking') / 'seeded.sqlite3'}")


@pytest.fixture
def client(seeded_url) -> Iterator[FlaskClient]:
    """A client of a new application on the seeded database."""
    with client_of(seeded_url) as client:
        yield client


@pytest.fixture
def empty_client(tmp_path) -> Iterator[FlaskClient]:
    """A client of an application whose tables have no rows."""
    url = f"sqlite:///{tmp_path / 'empty.sqlite3'}"
    on_tables(url, make_tables)
    with client_of(url) as client:
        yield client


@pytest.fixture(scope="module")
def postgresql() -> Iterator[str]:
    """The URL of a seeded PostgreSQL database of its own."""
    server, name = postgresql_url(), f"booking_sqlalchemy_{os.getpid()}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    try:
        yield filled(urlsplit(server)._replace(path=f"/{name}").geturl())
    finally:
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture(scope="module")
def mariadb() -> Iterator[str]:
    """The URL of a seeded MariaDB database of its own."""
    where, name = urlsplit(mariadb_url()), f"booking_sqlalchemy_{os.getpid()}"

    def run(statement: str) -> None:
        with (
            pymysql.connect(
                host=where.hostname,
                port=where.port or 3306,
                user=where.username,
                password=where.password or "",
            ) as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute(statement)

    run(f"CREATE DATABASE `{name}` CHARACTER SET utf8mb4")
    try:
        yield filled(where._replace(path=f"/{name}").geturl())
    finally:
        run(f"DROP DATABASE `{name}`")


@contextmanager
def client_of(url: str) -> Iterator[FlaskClient]:
    """Give a client of a new application on a database, and close its connections afterwards."""
    app = app_on(url)
    # Hundreds of requests: what each of them logs is another test's subject.
    logging.getLogger("booking_flask").setLevel(logging.WARNING)
    try:
        yield app.test_client()
    finally:
        engine_of(app).dispose()


def on_tables(url: str, fill: Callable[[Any], object]) -> str:
    """Let ``fill`` work on a database; return its URL."""
    engine = make_engine(database_url(url), rtt_ms=0)
    fill(engine)
    engine.dispose()
    return url


def filled(url: str) -> str:
    """Seed a database; return its URL."""
    return on_tables(url, lambda engine: seed(engine, locations=LOCATIONS))


# Table and column, and the edge values that must be in it for the sweeps to mean something.
EDGES_IN_ROWS = (
    (Location.rating, (None, 0.0)),
    (Location.capacity, (None, 0)),
    (Location.price_cents, (0,)),
    (Location.category_id, (None,)),
    (Location.lat, (None,)),
    (Item.layout_id, (None,)),
    (Item.position, (None, 0)),
    (Item.price_cents, (0,)),
    (DayPass.remaining, (None, 0)),
)


@pytest.mark.parametrize(("column", "edges"), EDGES_IN_ROWS, ids=str)
def test_seeded_rows_hold_edge_values(client, column, edges):
    """Even the small seed has the NULLs and zeros that answers could differ on."""
    with engine_of(client.application).connect() as connection:
        assert set(edges) <= set(connection.scalars(select(column).distinct()))


def test_health_answers_ok(client):
    """The health check says ok."""
    answer = client.get("/health")
    assert (answer.status_code, answer.text) == (200, "ok")


def test_discovery_edge_values_answer_equally(client):
    """Each edge value of each parameter gets the same answer from both."""
    different, answers = differences(client, one_at_a_time())
    assert different == []
    # A sweep whose queries were all ignored would compare one answer with itself.
    assert len(answers) > 80


def test_discovery_combinations_answer_equally(client):
    """A fixed sample of combined parameters gets the same answers from both."""
    different, answers = differences(client, combinations(300))
    assert different == []
    assert len(answers) > 80


def test_discovery_on_empty_tables_answers_equally(empty_client):
    """Without a row both find nothing, whatever is asked."""
    different, _ = differences(empty_client, one_at_a_time())
    assert different == []
    assert empty_client.get("/discovery").get_json()["count"] == 0


def test_discovery_with_ties_and_odd_rows_answers_equally(tmp_path):
    """Equal names, prices and ratings, doubled opening hours and half-full slots answer equally."""
    url = on_tables(f"sqlite:///{tmp_path / 'odd.sqlite3'}", odd_rows)
    with client_of(url) as client:
        different, answers = differences(client, one_at_a_time())
    assert different == []
    assert len(answers) > 50


def odd_rows(engine: Any) -> None:
    """Fill the tables with few rows that differ in few values."""
    make_tables(engine)
    with engine.begin() as connection:
        for table, rows in fixed_tables():
            connection.execute(insert(table), rows)
        # The slugs of a city, a category and an add-on stand twice in their tables.
        connection.execute(insert(City), {"id": 99, "slug": "riga", "name": "Riga II"})
        connection.execute(insert(Category), {"id": 99, "slug": "office", "name": "Office II"})
        connection.execute(insert(AddOn), {"id": 99, "slug": "wifi", "name": "Wifi II"})
        connection.execute(
            insert(Location),
            [
                {
                    "id": n,
                    "name": ("a", "B", "a", "é")[n % 4],
                    "city_id": (18, 99, 2)[n % 3],
                    "category_id": (2, 99, None)[n % 3],
                    "lat": (48.5, 48.5, None, 0.0)[n % 4],
                    "lng": (7.25, 7.25, 1.0, 0.0)[n % 4],
                    "capacity": (0, None, 2, 2)[n % 4],
                    "price_cents": (0, 2500, 2500)[n % 3],
                    "rating": (None, 0.0, 4.5, 4.5)[n % 4],
                    "active": n != 5,
                }
                for n in range(1, 25)
            ],
        )
        connection.execute(
            Location.addons.property.secondary.insert(),
            [{"location_id": n, "addon_id": (1, 99, 2)[n % 3]} for n in range(1, 25)],
        )
        connection.execute(
            insert(OpeningHours),
            [
                {"location_id": n, "weekday": weekday, "opens": opens, "closes": opens + 6}
                for n in range(1, 13)
                for weekday in (1, 2)
                # Overlapping hours: a slot inside both counts twice.
                for opens in (9, 7)
            ],
        )
        connection.execute(
            insert(Slot),
            [
                {
                    "location_id": n,
                    "day": EPOCH + dt.timedelta(days=1),
                    "hour": hour,
                    "seats": n,
                    "taken": 6,
                }
                for n in range(1, 25)
                for hour in (6, 7, 9, 12, 13, 15)
            ],
        )


def test_discovery_zero_is_no_filter(client):
    """A zero filters nothing, on either endpoint."""
    for path in ("/discovery", "/v2/discovery"):
        unfiltered = client.get(path).get_json()
        zeros = {"min_capacity": "0", "max_capacity": "0", "max_price": "0"}
        assert client.get(path, query_string=zeros).get_json() == unfiltered
        assert client.get(path, query_string={"max_capacity": "1"}).get_json() != unfiltered


def test_discovery_last_of_repeated_counts(client):
    """Of a repeated parameter the last value counts, on either endpoint."""
    for path in ("/discovery", "/v2/discovery"):
        twice = client.get(f"{path}?page_size=3&page_size=4").get_json()
        assert (twice["page_size"], len(twice["results"])) == (4, 4)


def test_discovery_unrated_sort_last(client):
    """Locations without a rating end a listing by rating, on either endpoint."""
    for path in ("/discovery", "/v2/discovery"):
        listing = client.get(path, query_string={"sort": "rating", "page_size": "100"}).get_json()
        ratings = [result["rating"] for result in listing["results"]]
        rated = [rating for rating in ratings if rating is not None]
        assert rated == sorted(rated, reverse=True)
        assert ratings == rated + [None] * (len(ratings) - len(rated))
        assert 0 < len(rated) < len(ratings)


def test_discovery_holiday_has_nothing_free(client):
    """On a public holiday there are no seats and no next opening, and the answer says why."""
    for path in ("/discovery", "/v2/discovery"):
        closed = client.get(path, query_string={"date": HOLIDAY}).get_json()
        assert closed["holiday"] is True
        assert {result["available_slots"] for result in closed["results"]} == {0}
        assert {result["next_opening"] for result in closed["results"]} == {None}
        opened = client.get(path, query_string={"date": WORKING_DAY}).get_json()
        assert opened["holiday"] is False
        assert sum(result["available_slots"] for result in opened["results"]) > 0


def test_discovery_other_today_answers_equally(client, monkeypatch):
    """With another current day both endpoints answer equally."""
    monkeypatch.setenv("BOOKING_TODAY", "2026-03-20")
    different, _ = differences(client, combinations(20))
    assert different == []


def test_discovery_badges_all_occur(client):
    """Every badge is given to some location, so that the sweeps compare them."""
    seen = set()
    for day in range(14):
        query = {"date": (EPOCH + dt.timedelta(days=day)).isoformat(), "page_size": "100"}
        for result in client.get("/v2/discovery", query_string=query).get_json()["results"]:
            seen.update(result["badges"])
    assert seen == {"popular", "day-pass", "busy", "holiday", "default-price", "unrated"}


TOKENS = (
    None, "", "Token", "Token ", "Token token-1", "Token  token-1 ", "token token-1",
    "Bearer token-1", "Token token-7", "Token token-20", "Token nobody", "Token TOKEN-1",
    "Token token-1 x", "Token token-%", "Token köln",
)  # fmt: skip


@pytest.mark.parametrize("token", TOKENS)
def test_detail_tokens_answer_equally(client, token):
    """Each kind of caller, known or not, gets the same status and body from both."""
    known = token in {"Token token-1", "Token  token-1 ", "Token token-7"}
    headers = {} if token is None else {"Authorization": token}
    legacy = client.get("/items/7", headers=headers)
    assert same(legacy, client.get("/v2/items/7", headers=headers))
    assert legacy.status_code == (200 if known else 401)


@pytest.mark.parametrize(
    ("location", "status"),
    [
        ("0", 404),
        (str(LOCATIONS), 200),
        (str(LOCATIONS + 1), 404),  # inactive
        ("9999", 404),
        ("2147483647", 404),
        ("2147483648", 404),
        (HUGE, 404),
        ("-1", 404),
        ("1.5", 404),
        ("x", 404),
        ("007", 200),
    ],
)
def test_detail_locations_answer_equally(client, location, status):
    """Each kind of location, known or not, gets the same status and body from both."""
    legacy = client.get(f"/items/{location}", headers=TOKEN)
    assert same(legacy, client.get(f"/v2/items/{location}", headers=TOKEN))
    assert legacy.status_code == status


def test_detail_unknown_location_without_token_is_refused(client):
    """A stranger does not learn which locations exist."""
    for path in ("/items/9999", "/v2/items/9999"):
        assert client.get(path).status_code == 401


def test_detail_of_all_locations_answers_equally(client):
    """Every seeded location answers equally, with and without a plan and a day pass."""
    answers = []
    for location in range(1, LOCATIONS + 1):
        # The first account has passes, the seventh no plan; the others are as they come.
        headers = {"Authorization": f"Token token-{(1, 7, 2, 3)[location % 4]}"}
        legacy = client.get(f"/items/{location}", headers=headers)
        assert same(legacy, client.get(f"/v2/items/{location}", headers=headers))
        assert legacy.status_code == 200
        answers.append(legacy.get_json())
    items = [item for answer in answers for item in answer["items"]]
    assert len(items) == LOCATIONS * 10
    assert {item["layout"] is None for item in items} == {True, False}
    assert {bool(item["bookings"]) for item in items} == {True, False}
    assert {item["occupancy"] is None for item in items} == {True, False}
    assert {item["day_pass"] is None for item in items} == {True, False}
    assert {answer["account"]["plan"] is None for answer in answers} == {True, False}
    assert {b["mine"] for item in items for b in item["bookings"]} == {True, False}
    assert {b["status"] for item in items for b in item["bookings"]} == {
        "pending",
        "confirmed",
        "done",
    }


def test_detail_on_empty_tables_answers_equally(empty_client):
    """Without a row everybody is a stranger."""
    legacy = empty_client.get("/items/1", headers=TOKEN)
    assert same(legacy, empty_client.get("/v2/items/1", headers=TOKEN))
    assert legacy.status_code == 401


def test_detail_of_odd_rows_answers_equally(tmp_path):
    """No items, ties, a doubled token, several passes and bookings of no length answer equally."""
    url = on_tables(f"sqlite:///{tmp_path / 'odd.sqlite3'}", odd_items)
    with client_of(url) as client:
        for location in (1, 2):
            legacy = client.get(f"/items/{location}", headers=TOKEN)
            assert legacy.status_code == 200
            assert same(legacy, client.get(f"/v2/items/{location}", headers=TOKEN))
        first, second = legacy.get_json()["items"]
    assert [first["id"], second["id"]] == [2, 1]
    assert first["day_pass"] == {"valid_until": EPOCH.isoformat(), "remaining": None}
    assert [booking["id"] for booking in first["bookings"]] == [2, 1]
    assert (first["type"], first["occupancy"]) == (
        "room",
        {"readings": 1, "mean": None, "most": None},
    )
    assert second["occupancy"] is None
    assert client.get("/items/1", headers=TOKEN).get_json()["items"] == []


def odd_items(engine: Any) -> None:
    """Fill the tables with a location without items and one with two."""
    make_tables(engine)
    begin = midnight(EPOCH)
    with engine.begin() as connection:
        for table, rows in fixed_tables():
            connection.execute(insert(table), rows)
        connection.execute(
            insert(Account),
            {"id": 999, "name": "Twin", "token": "token-1", "plan_id": 3, "is_active": False},
        )
        connection.execute(
            insert(Location),
            [
                {"id": n, "name": "L", "city_id": 1, "price_cents": 0, "active": True}
                for n in (1, 2)
            ],
        )
        item = {"location_id": 2, "item_type_id": 2, "name": "I", "price_cents": 0}
        connection.execute(
            insert(Item),
            [
                {"id": 1, **item, "position": 1, "item_type_id": 1},
                {"id": 2, **item, "position": None},
            ],
        )
        booking = {"item_id": 2, "account_id": 1, "status_id": 1}
        connection.execute(
            insert(Booking),
            [
                {"id": 1, **booking, "starts_at": begin, "ends_at": begin},
                {"id": 2, **booking, "starts_at": begin - dt.timedelta(1), "ends_at": begin},
                {"id": 3, **booking, "starts_at": begin, "ends_at": begin, "status_id": 3},
            ],
        )
        own = {"account_id": 1, "location_id": 2}
        connection.execute(
            insert(DayPass),
            [
                {**own, "valid_until": EPOCH - dt.timedelta(days=1), "remaining": 9},
                {**own, "valid_until": EPOCH, "remaining": 0},
                {**own, "valid_until": EPOCH + dt.timedelta(days=1), "remaining": 5},
                {"account_id": 999, "location_id": 1, "valid_until": EPOCH, "remaining": 1},
            ],
        )
        connection.execute(insert(OccupancyReading), {"item_id": 2, "read_at": begin, "people": 0})


def test_admin_board_pages_are_equal(client):
    """The board and its repaired twin are the same page to the byte, with cities and add-ons."""
    legacy = client.get("/admin-board/")
    assert same(legacy, client.get("/v2/admin-board/"))
    assert legacy.status_code == 200
    assert legacy.text.count("<li>") == 40
    assert legacy.text.count("<dd>") > 40
    assert "bottleneck" not in legacy.text


def test_admin_board_on_empty_tables_is_equal(empty_client):
    """Without locations both boards are the same empty page."""
    legacy = empty_client.get("/admin-board/")
    assert same(legacy, empty_client.get("/v2/admin-board/"))
    assert legacy.text.count("<li>") == 0


@pytest.mark.parametrize("server", ["postgresql", "mariadb"])
def test_servers_answer_as_sqlite_does(client, server, request):
    """On a database server both endpoints answer what SQLite answers."""
    queries = list(combinations(60))
    # What databases could compare, order or refuse in their own way.
    queries += [{name: value} for name, own in OWN_VALUES.items() for value in own]
    queries += [{"date": WORKING_DAY, "city": city} for city in ("Riga", "riga ", "koln")]
    with client_of(request.getfixturevalue(server)) as remote:
        for number, query in enumerate(queries):
            expected = client.get("/v2/discovery", query_string=query)
            assert same(expected, remote.get("/v2/discovery", query_string=query)), query
            # The legacy endpoint sends hardly a value of the caller's to the database.
            if number % 4 == 0:
                assert same(expected, remote.get("/discovery", query_string=query)), query
        for location in (1, 2, 3, 7, 29):
            expected = client.get(f"/v2/items/{location}", headers=TOKEN)
            for path in (f"/items/{location}", f"/v2/items/{location}"):
                assert same(expected, remote.get(path, headers=TOKEN)), path
        for path in ("/admin-board/", "/v2/admin-board/"):
            assert same(client.get(path), remote.get(path))
