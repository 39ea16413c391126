"""The suite's own rule for what is missing: a skip with a reason, or a failure where CI asks."""

from __future__ import annotations

import socket
from urllib.parse import urlsplit

import psycopg
import pymysql
import pytest
import redis

from tests import services


@pytest.fixture
def closed_port():
    """A port of this machine that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        yield probe.getsockname()[1]  # bound, not listening: a connection is refused


@pytest.mark.parametrize(
    ("variable", "scheme", "ask", "name"),
    [
        ("QUERYSCOPE_POSTGRESQL_URL", "postgresql", services.postgresql_url, "PostgreSQL"),
        ("QUERYSCOPE_MARIADB_URL", "mysql", services.mariadb_url, "MariaDB"),
        ("QUERYSCOPE_REDIS_URL", "redis", services.redis_url, "Redis"),
    ],
    ids=["postgresql", "mariadb", "redis"],
)
class TestDatabaseThatIsMissing:
    def test_without_requirement_skips(self, monkeypatch, closed_port, variable, scheme, ask, name):
        """A database that does not answer skips the test, with its address in the reason."""
        monkeypatch.setenv(variable, f"{scheme}://root@127.0.0.1:{closed_port}/any")
        monkeypatch.delenv("QUERYSCOPE_REQUIRE_SERVICES", raising=False)
        reason = f"^needs {name} on 127.0.0.1:{closed_port}, which did not answer$"
        with pytest.raises(pytest.skip.Exception, match=reason):
            ask()

    def test_when_required_fails(self, monkeypatch, closed_port, variable, scheme, ask, name):
        """The same fails where services are required, so that CI cannot pass by skipping."""
        monkeypatch.setenv(variable, f"{scheme}://root@127.0.0.1:{closed_port}/any")
        monkeypatch.setenv("QUERYSCOPE_REQUIRE_SERVICES", "1")
        with pytest.raises(pytest.fail.Exception, match=f"needs {name} on .* allows no skip"):
            ask()


def test_missing_browser_skips_or_fails(monkeypatch, tmp_path):
    """Without a Chromium on PATH a test skips, or fails where services are required."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("QUERYSCOPE_REQUIRE_SERVICES", raising=False)
    with pytest.raises(pytest.skip.Exception, match="needs Chromium"):
        services.chromium_path()
    monkeypatch.setenv("QUERYSCOPE_REQUIRE_SERVICES", "1")
    with pytest.raises(pytest.fail.Exception, match="needs Chromium"):
        services.chromium_path()


def test_postgresql_that_answers_is_usable():
    """The database behind the URL is there and takes a statement."""
    url = services.postgresql_url()
    with psycopg.connect(url) as connection:
        database = connection.execute("SELECT current_database()").fetchone()
    assert database == (urlsplit(url).path.strip("/"),)


def test_mariadb_that_answers_is_usable():
    """The database behind the URL is there and takes a statement."""
    where = urlsplit(services.mariadb_url())
    name = where.path.strip("/")
    connection = pymysql.connect(
        host=where.hostname, port=where.port, user=where.username, database=name
    )
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT DATABASE()")
        assert cursor.fetchone() == (name,)


def test_redis_that_answers_is_usable():
    """The database behind the URL takes a key and gives it back."""
    with redis.Redis.from_url(services.redis_url()) as client:
        client.set("queryscope-tests", "here", ex=60)
        assert client.getdel("queryscope-tests") == b"here"
