"""Statements judged with what a database says of them, as ``queryscope scan --plans`` does."""

from __future__ import annotations

from queryscope.detectors.planned import Planned
from queryscope.detectors.registry import judge_plans
from queryscope.plans.study import ANY, study
from tests.builders import a_trace

READINGS = 3_000


def said_of(place, *queries, models=(), tries=False, chosen=None, **facts):
    """Return all findings about some statements that a request sent to a place's database."""
    sent = [query._replace(vendor=place.vendor) for query in queries]
    result = study(
        [a_trace(*sent, **facts)],
        {ANY: place.database},
        least_rows=1_000,
        tries=tries,
        models={ANY: tuple(models)},
    )
    failures = []
    planned = Planned(result, chosen or {})
    found = judge_plans(planned, on_failure=lambda *failure: failures.append(failure))
    assert failures == []
    return found


def numbers(vendor, count):
    """Return a table of the numbers from 1 on, in the words of a database."""
    if vendor == "postgresql":
        return f"(SELECT generate_series(1, {count}) AS i) AS n"
    if vendor == "mysql":
        return f"(SELECT seq AS i FROM seq_1_to_{count}) AS n"
    return (
        f"(WITH RECURSIVE s(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM s WHERE i < {count}) "
        "SELECT i FROM s) AS n"
    )


def fill(place):
    """Make sensors and their readings: an index on one column of each reading, none on another."""
    place.run(
        "CREATE TABLE sensor (id INTEGER PRIMARY KEY, name VARCHAR(20) NOT NULL)",
        "CREATE TABLE reading (id INTEGER PRIMARY KEY, sensor_id INTEGER NOT NULL, "
        "taken INTEGER NOT NULL, value INTEGER, FOREIGN KEY (sensor_id) REFERENCES sensor (id))",
        "CREATE INDEX reading_sensor ON reading (sensor_id)",
        f"INSERT INTO sensor SELECT i, 'sensor' FROM {numbers(place.vendor, 40)}",
        f"INSERT INTO reading SELECT i, 1 + i % 40, i, i % 97 "
        f"FROM {numbers(place.vendor, READINGS)}",
    )
    place.analyze("sensor", "reading")
