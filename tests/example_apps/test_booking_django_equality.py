"""The repaired endpoints of the Django booking example answer as the legacy ones do."""

from __future__ import annotations

import random
import sqlite3
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from tests import services
from tests.example_apps.booking_django_app import (
    CALLER,
    ask,
    differing,
    discovery,
    seed,
    seeded_file,
)

if TYPE_CHECKING:
    from pathlib import Path

HUGE = "9" * 40
NAMES = (
    "city",
    "min_capacity",
    "max_capacity",
    "category",
    "addons",
    "date",
    "page",
    "page_size",
    "sort",
    "lat",
    "lng",
    "max_price",
    "cache",
)
EDGES = ("", "0", "-1", "1", HUGE, "-" + HUGE, "text", "null", "1.5", " 2", "nan", "inf", "a\x00b")
VALID = {
    "city": ("berlin", "ZUERICH", "lodz "),
    "min_capacity": ("40", "120", "1_00"),
    "max_capacity": ("60", "200", "٣٠"),
    "category": ("studio", "Studio", "loft"),
    "addons": ("coffee", "coffee,PARKING", " coffee , ,coffee", "coffee,nothing"),
    "date": ("2026-03-04", "2026-03-06", "2026-03-07", "20260303", "9999-12-31"),
    "page": ("2", "3", "-2", "7"),
    "page_size": ("5", "7", "-3", "1000"),
    "sort": ("distance", "price", "rating", "name", "Price"),
    "lat": ("52.5", "-1e300"),
    "lng": ("13.4", "1e300"),
    "max_price": ("100", "25.699", "25.7", "99.99", "1e-9", "-1e300"),
    "cache": ("1",),
}
BASES: tuple[dict[str, str], ...] = (
    {},
    {"sort": "distance", "lat": "52.5", "lng": "13.4", "page_size": "9", "page": "2"},
    {"date": "2026-03-06", "city": "zuerich", "sort": "price", "max_price": "200"},
)
TOKENS = (
    None,
    "",
    "Token",
    "Token nobody",
    "Token a b",
    "token token-1",
    "Bearer token-1",
    "Token  token-1",
    "Token token-10",  # no plan
    "Token token-19",  # closed
    "Token token-2",
)


def one_at_a_time() -> list[str]:
    """Every parameter absent, with each edge and valid value, and repeated, over every base."""
    paths = [discovery([])]
    for base in BASES:
        for name in NAMES:
            others = [(key, value) for key, value in base.items() if key != name]
            paths.append(discovery(others))
            paths += [discovery([*others, (name, v)]) for v in (*EDGES, *VALID[name])]
            first, last = VALID[name][0], VALID[name][-1]
            paths.append(discovery([*others, (name, first), (name, last)]))
            paths.append(discovery([*others, (name, first), (name, "")]))
    return list(dict.fromkeys(paths))


def at_random(count: int) -> list[str]:
    """A fixed sample of combinations of up to six parameters."""
    rng = random.Random(11)
    paths = []
    for _ in range(count):
        names = rng.sample(NAMES, rng.randrange(2, 7))
        paths.append(
            discovery([(n, rng.choice(VALID[n] if rng.random() < 0.7 else EDGES)) for n in names])
        )
    return paths


def bare(paths: list[str]) -> list[tuple[str, str | None]]:
    """Requests without a caller."""
    return [(path, None) for path in paths]


def details(locations: range) -> list[tuple[str, str | None]]:
    """Detail requests of the usual caller."""
    return [(f"/items/{n}", CALLER) for n in locations]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The URL of a SQLite file with 45 active locations."""
    return seeded_file(tmp_path_factory.mktemp("small"), "--locations", "45")


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The URL of a SQLite file whose tables are empty."""
    return seeded_file(tmp_path_factory.mktemp("empty"), "--locations", "0")


@pytest.fixture(scope="module")
def awkward(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The URL of a SQLite file with cells that the seed does not think of, indexed."""
    folder = tmp_path_factory.mktemp("awkward")
    url = seeded_file(folder, "--locations", "60", "--indexes")
    make_awkward(folder / "booking.sqlite3")
    return url


def make_awkward(file: Path) -> None:
    """Change cells in place: ties, negatives, half cents, odd names, doubled rows."""
    with sqlite3.connect(file) as connection:
        connection.executescript(
            """
            UPDATE booking_location SET capacity = -5 WHERE id % 6 = 0;
            UPDATE booking_location SET capacity = 2147483647 WHERE id % 7 = 0;
            UPDATE booking_location SET price = 10.20 WHERE id % 2 = 0;
            UPDATE booking_location SET price = -1 WHERE id % 9 = 0;
            UPDATE booking_location SET rating = 4.5 WHERE id % 3 = 0;
            UPDATE booking_location SET name = ' %_é' WHERE id % 4 = 0;
            UPDATE booking_location SET lat = 0, lng = 0 WHERE id % 5 = 0;
            UPDATE booking_city SET slug = 'berlin' WHERE id IN (3, 4);
            UPDATE booking_city SET name = '' WHERE id = 5;
            UPDATE booking_category SET slug = 'studio' WHERE id = 1;
            UPDATE booking_addon SET slug = 'coffee' WHERE id = 3;
            UPDATE booking_addon SET slug = 'Parking' WHERE id = 1;
            UPDATE booking_setting SET value = '' WHERE key = 'currency';
            UPDATE booking_setting SET value = '3' WHERE key = 'max_page_size';
            UPDATE booking_slot SET taken = seats WHERE id % 3 = 0;
            UPDATE booking_openinghours SET weekday = 0 WHERE id % 3 = 0;
            UPDATE booking_plan SET discount_percent = 50 WHERE id = 2;
            UPDATE booking_item SET position = 1, price = 0.05 WHERE id % 2 = 0;
            UPDATE booking_item SET item_type_id = 2 WHERE item_type_id = 1 AND id % 5 = 0;
            UPDATE booking_layout SET width = 0, depth = -3 WHERE id % 4 = 0;
            UPDATE booking_booking SET starts_at = '2026-03-02 12:00:00' WHERE id % 5 = 0;
            UPDATE booking_booking SET ends_at = '2026-03-02 12:00:00' WHERE id % 35 = 0;
            UPDATE booking_daypass SET valid_until = '2026-03-02' WHERE id % 2 = 0;
            UPDATE booking_occupancyreading SET people = 0 WHERE item_id % 3 = 0;
            UPDATE booking_occupancyreading SET at = '2026-03-01 00:00:00' WHERE id % 2 = 0;
            UPDATE booking_occupancyreading SET at = '2026-03-03 00:00:00', people = 40
                WHERE id % 9 = 0;
            UPDATE booking_holiday SET day = '2026-03-03', city_id = 3 WHERE id = 1;
            UPDATE booking_account SET token = 'token-1' WHERE id = 3;
            DELETE FROM booking_booking WHERE item_id BETWEEN 11 AND 20;
            DELETE FROM booking_occupancyreading WHERE item_id BETWEEN 21 AND 30;
            DELETE FROM booking_booking WHERE item_id BETWEEN 31 AND 40;
            DELETE FROM booking_occupancyreading WHERE item_id BETWEEN 31 AND 40;
            DELETE FROM booking_item WHERE location_id = 4;
            """
        )
    connection.close()


def test_edge_value_of_one_parameter_answers_alike(small: str) -> None:
    """Each parameter with each edge value, alone and among others, gives one answer twice."""
    legacy, lines = differing(small, bare(one_at_a_time()))
    assert lines == []
    assert {answer["status"] for answer in legacy} == {200}
    # The sweep would prove little if most requests gave the same page.
    assert len({str(answer["body"]) for answer in legacy}) > 100


def test_random_combination_answers_alike(small: str) -> None:
    """A fixed sample of combinations gives one answer twice."""
    legacy, lines = differing(small, bare(at_random(200)))
    assert lines == []
    assert sum(bool(answer["body"]["results"]) for answer in legacy) > 50


def test_awkward_cells_answer_alike(awkward: str) -> None:
    """Ties, negatives, doubled slugs and empty names in the data give one answer twice."""
    requests = bare(at_random(80)) + bare(one_at_a_time()[::8]) + details(range(63))
    legacy, lines = differing(awkward, requests)
    assert lines == []
    assert sum(answer["status"] == 200 for answer in legacy[-63:]) == 60


def test_every_location_answers_alike(small: str) -> None:
    """The detail endpoints agree on all locations, also on those that are not there."""
    requests = [*details(range(50)), (f"/items/{HUGE}", CALLER)]
    legacy, lines = differing(small, requests)
    assert lines == []
    statuses = [answer["status"] for answer in legacy]
    assert (statuses.count(200), statuses.count(404)) == (45, 6)
    kinds = str(legacy)
    for part in ("'busy'", "'free'", "'mine': True", "'remaining': 0", "'peak'", "'cancelled'"):
        assert part in kinds


def test_caller_answers_alike(small: str) -> None:
    """Nobody, wrong headers, a closed account and other accounts get one answer twice."""
    requests = [(f"/items/{n}", token) for token in TOKENS for n in (1, 7, 46, 999)]
    legacy, lines = differing(small, requests)
    assert lines == []
    assert {answer["status"] for answer in legacy} == {200, 401, 403, 404}


@pytest.mark.parametrize("day", ["2026-03-04", "2026-03-07", "2026-03-08", "2027-01-01"])
def test_other_day_answers_alike(small: str, day: str) -> None:
    """On a holiday, a Saturday, a Sunday and long after the data, all endpoints agree."""
    requests = details(range(1, 12)) + bare([discovery([]), discovery([("city", "berlin")])])
    legacy, lines = differing(small, requests, BOOKING_TODAY=day)
    assert lines == []
    closed = str(legacy).count("'status': 'closed'")
    assert closed == 110 if day == "2026-03-08" else closed < 110


def test_empty_database_answers_alike(empty: str) -> None:
    """Without a single row all endpoints agree."""
    requests = bare([*one_at_a_time()[::7], "/admin-board/"]) + details(range(3))
    legacy, lines = differing(empty, requests)
    assert lines == []
    assert legacy[0]["body"]["count"] == 0
    assert legacy[-1]["status"] == 401


def test_board_html_is_equal(small: str) -> None:
    """The two boards are the same bytes, with a city and items in every row."""
    legacy, repaired = ask(small, ["/admin-board/", "/v2/admin-board/"])
    assert legacy["body"] == repaired["body"]
    assert legacy["body"].count("<tr>") == 45
    assert "Zürich" in legacy["body"]
    assert "Event space" in legacy["body"]


def test_cached_answer_is_equal(small: str) -> None:
    """A response from the cache is the one that was computed, for its own parameters only."""
    asked = [discovery([("cache", "1"), ("page", page)]) for page in ("1", "2", "1", "2")]
    _, lines = differing(small, bare(asked))
    assert lines == []


def test_postgresql_answers_alike() -> None:
    """On PostgreSQL the endpoints agree as they do on SQLite."""
    check_server(services.postgresql_url())


def test_mariadb_answers_alike() -> None:
    """On MariaDB, whose text comparison differs most, the endpoints agree as they do on SQLite."""
    check_server(services.mariadb_url())


def check_server(url: str) -> None:
    """Seed a database of our own beside the tests' database and compare there."""
    where = urlsplit(f"{url}_booking_django")  # where CI runs two suites, each has its own
    make = services._make_mariadb if where.scheme == "mysql" else services._make_postgresql
    make(where)
    seed(where.geturl(), "--locations", "30")
    requests = bare([*one_at_a_time()[::9], *at_random(40), "/admin-board/"])
    requests += details(range(15)) + [("/items/7", token) for token in TOKENS]
    legacy, lines = differing(where.geturl(), requests)
    assert lines == []
    assert sum(answer["status"] == 200 for answer in legacy) > 100
