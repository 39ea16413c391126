"""The shop on every database, made once for the tests of plans."""

from __future__ import annotations

from contextlib import closing

import pytest

from tests import services
from tests.plans import shop

URLS = {"sqlite": lambda: "", "postgresql": services.postgresql_url, "mysql": services.mariadb_url}


@pytest.fixture(scope="session", params=shop.VENDORS)
def shop_database(request, tmp_path_factory):
    """Where the shop is, on each database in turn."""
    url = URLS[request.param]()
    yield (database := shop.make(request.param, url, tmp_path_factory.mktemp("shop")))
    if request.param != "sqlite":
        with closing(database.connect()) as connection:
            shop.drop(connection.cursor())
            connection.commit()


@pytest.fixture
def connection(shop_database):
    """A connection of ours to it."""
    with closing(shop_database.connect()) as opened:
        yield opened


@pytest.fixture
def vendor(shop_database):
    """Whose database it is."""
    return shop_database.vendor
