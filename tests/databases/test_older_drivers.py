"""Django on psycopg2 and on PyMySQL: the same facts as on the drivers that it takes first."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.databases.servers import mariadb, need, postgresql

ROOT = Path(__file__).parents[2]
ALIKE = [
    ["iterate", 0, 5],
    ["iterate", 0, 5],
    ["update", 0, 1],
    ["bulk_create", 0, 2],
    ["cursor", 0, 3],
]
COPIES = ["COPY library_genre (name) FROM STDIN", "COPY library_genre TO STDOUT"]


@pytest.mark.parametrize("driver", ["psycopg2", "pymysql"])
def test_facts_are_those_of_the_newer_driver(driver):
    """Verbs, batches, rows, copies and the error, plain and in DEBUG, where Django logs as well."""
    need(driver)
    url = postgresql() if driver == "psycopg2" else mariadb()
    command = [sys.executable, "-m", "tests.databases.older", driver, url]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["driver"] == driver
    assert found["failures"] == []
    for facts in found["runs"]:
        assert [item[:3] for item in facts[:5]] == ALIKE
        batch = facts[5]
        # psycopg2 sends the sets one by one and knows the count of the last.
        assert batch[:2] == ["cursor", 2]
        assert batch[2] in (7, 14)
        copied = facts[6:-1]
        assert [item[2] for item in copied] == ([2, 9] if driver == "psycopg2" else [])
        assert facts[-1][3].startswith("django.db.utils.")
        assert [item[3] for item in facts[:-1]] == [None] * (len(facts) - 1)
    assert found["copies"] == (COPIES if driver == "psycopg2" else [])
    assert found["outcomes"] == ["rollback"]
