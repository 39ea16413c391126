"""Plans are asked for over whichever driver is there, and without one that is said."""

from __future__ import annotations

from contextlib import closing

import pytest

from queryscope.errors import SettingsError
from queryscope.plans import database as databases
from queryscope.plans.catalogue import schema_of
from queryscope.plans.connection import CannotExplainError
from queryscope.plans.database import Database, transaction
from queryscope.plans.study import ANY, study
from tests.builders import a_query, a_trace
from tests.databases.servers import need


@pytest.mark.parametrize(
    ("shop_database", "driver"),
    [("postgresql", "psycopg2"), ("mysql", "pymysql"), ("mysql", "MySQLdb")],
    indirect=["shop_database"],
)
def test_each_driver_gives_plan_schema_and_trial(shop_database, driver, monkeypatch):
    """The second choice of PostgreSQL, and both of MariaDB."""
    need(driver)
    monkeypatch.setitem(databases._DRIVERS, shop_database.vendor, (driver,))
    text = "SELECT id FROM plan_part WHERE code = %s AND title LIKE '%%7'"
    query = a_query(text, parameters=["code-7"], vendor=shop_database.vendor, keep=True)
    with closing(shop_database.connect()) as connection:
        assert type(connection).__module__.partition(".")[0] == driver
        with transaction(connection, shop_database.vendor):
            assert schema_of(connection, shop_database.vendor).table("plan_part") is not None
    (studied,) = study([a_trace(query)], {ANY: shop_database}, least_rows=1_000).statements
    assert studied.refusal == ""
    assert studied.plan.values == "kept"
    assert studied.trial.refusal == ""
    assert studied.trial.is_better


@pytest.mark.parametrize("shop_database", ["postgresql", "mysql"], indirect=True)
def test_database_that_lets_nobody_in_is_said(shop_database):
    """With what the server says, and without the password."""
    shut = Database(
        vendor=shop_database.vendor,
        name="no_such_database",
        host=shop_database.host,
        port=shop_database.port,
        user="nobody_of_that_name",
        password="secret",
    )
    with pytest.raises(CannotExplainError, match="does not let us in") as raised:
        shut.connect()
    assert "secret" not in str(raised.value)


def test_missing_driver_is_named(monkeypatch):
    """What to install stands in the sentence."""
    monkeypatch.setitem(databases._DRIVERS, "postgresql", ("not_there", "nor_this"))
    with pytest.raises(CannotExplainError, match="not_there or nor_this"):
        Database.of_url("postgresql://me@localhost/shop").connect()


@pytest.mark.parametrize("name", ["", ":memory:", "file:shared?mode=memory"])
def test_database_in_memory_belongs_to_its_process(name):
    """No other connection sees it."""
    with pytest.raises(CannotExplainError, match="in memory"):
        Database(vendor="sqlite", name=name).connect()


@pytest.mark.parametrize(
    ("url", "database"),
    [
        ("sqlite:///shop.db", Database(vendor="sqlite", name="shop.db")),
        ("sqlite:////srv/shop.db?timeout=5", Database(vendor="sqlite", name="/srv/shop.db")),
        (
            "postgresql+asyncpg://me:a%40b@db.local:5433/shop?sslmode=require",
            Database(
                vendor="postgresql",
                name="shop",
                host="db.local",
                port=5433,
                user="me",
                password="a@b",
                options={"sslmode": "require"},
            ),
        ),
        ("mariadb+pymysql://me@/shop", Database(vendor="mysql", name="shop", user="me")),
    ],
)
def test_url_is_read_as_its_users_write_it(url, database):
    """Drivers behind the plus do not matter, and what is escaped is unescaped."""
    assert Database.of_url(url) == database
    assert "a@b" not in repr(Database.of_url(url))


@pytest.mark.parametrize(
    "url", ["shop.db", "oracle://me@localhost/shop", "postgresql://me@host:port/x"]
)
def test_what_is_no_url_is_refused(url):
    """With an example of each kind."""
    with pytest.raises(SettingsError, match="must be a URL like sqlite"):
        Database.of_url(url)
