"""Shifted clocks: what time a replayed application is told, and which moments are asked at."""

from __future__ import annotations

import datetime as dt
import json

import pytest

from queryscope.verify.clocks import at_moments, moments
from queryscope.verify.contract import Request
from queryscope.verify.plan import plan
from queryscope.verify.workspace import RunFolder
from tests.verify.test_replay import a_bench

NOW = dt.datetime(2026, 11, 21, 22, 0, tzinfo=dt.UTC)

TOLD = """
import datetime, time
from datetime import datetime as known
naive = known.fromtimestamp(time.time())
found = [
    time.time(), time.time_ns() / 1e9, time.mktime(time.localtime()),
    time.mktime(time.localtime(None)),
    time.mktime(time.strptime(time.ctime())), time.mktime(time.strptime(time.asctime())),
    time.mktime(time.strptime(time.strftime("%c"))), known.now().timestamp(),
    known.now(datetime.timezone.utc).timestamp(), known.today().timestamp(),
    known.now(datetime.timezone(datetime.timedelta(hours=5))).timestamp(),
]
return {
    "found": found,
    "today": datetime.date.today().isoformat(),
    "kept": [time.gmtime(0).tm_year, time.strftime("%Y", time.gmtime(0)), time.ctime(0)[-4:]],
    "same": type(known.now()) is datetime.datetime and isinstance(naive, datetime.datetime),
}
"""


@pytest.fixture
def folder(tmp_path):
    """Return a run's folder that is gone afterwards."""
    with RunFolder(tmp_path) as found:
        yield found


def asked_at(bench, *times):
    """Return the answers over clones at these times, the first as it is."""
    first = bench.clones(())[0]
    clones = [first, *(first._replace(name=str(n), changed="x", at=n) for n in times)]
    run = bench.run(bench.original, plan({"GET /": [Request(target="/")]}, {}, clones), name="t-a")
    assert run.complete, (run.failure, run.ended, run.log)
    return [json.loads(reply.answer.body) for reply in run.replies.values()]


def test_every_clock_says_the_same_time(folder):
    """Also where a class was imported before; times that are given are left alone."""
    december = dt.datetime(2026, 12, 25, 23, 30, tzinfo=dt.UTC).timestamp()
    now, shifted, again = asked_at(a_bench(folder, TOLD), december)
    for told, expected in ((now, now["found"][0]), (shifted, december), (again, now["found"][0])):
        assert [one == pytest.approx(expected, abs=30) for one in told["found"]] == [True] * 11
        assert told["kept"] == [1970, "1970", "1970"]
        assert told["same"] is True
    assert shifted["today"] == "2026-12-25"
    assert now["today"] == again["today"] != shifted["today"]


def test_moments_are_those_that_often_matter():
    """A December night, the night that clocks go forward in Europe, a leap day: all to come."""
    assert [f"{one:%Y-%m-%d %H:%M}" for one in moments((), NOW)] == [
        "2026-12-25 23:30", "2027-03-28 01:30", "2028-02-29 12:00",
    ]  # fmt: skip
    late = moments((), NOW.replace(month=12, day=31))
    assert f"{late[0]:%Y-%m-%d %H:%M}" == "2027-12-25 23:30"


@pytest.mark.parametrize(
    ("literal", "expected"),
    [
        (8, ["2027-08-08 08:00"]),
        (6, ["2027-06-06 06:00", "2026-11-22 12:00"]),
        (0, ["2027-01-01 00:00", "2026-11-23 12:00"]),
        (31, ["2027-01-31 12:00"]),
        (2030, ["2030-12-31 23:30", "2031-01-01 12:00"]),
        (1_924_988_400, ["2031-01-01 23:00"]),
        ("2027-06-01", ["2027-06-01 12:00", "2027-06-02 12:00"]),
    ],
)
def test_number_of_the_patch_names_moments(literal, expected):
    """What it may be compared with: a month, a day, an hour, a weekday, a year."""
    assert [f"{one:%Y-%m-%d %H:%M}" for one in moments((literal,), NOW)[3:]] == expected


def test_two_numbers_are_a_day():
    """Month and day, whichever is which."""
    days = {f"{one:%m-%d}" for one in moments((12, 24), NOW)}
    assert "12-24" in days


def test_other_literals_name_no_moment():
    """Words, fractions, limits and impossible days."""
    assert len(moments(("berlin", 0.5, 500, -3, "2027-13-01", "0001-01-01", 10**6), NOW)) == 3


def test_moments_are_bounded():
    """However many numbers a patch brings along."""
    assert len(moments(tuple(range(32)), NOW)) == 15


def test_clone_at_a_moment_says_when(folder):
    """For the evidence and the counterexample."""
    clone = at_moments(a_bench(folder, "return 1").clones(())[0], (), NOW)[0]
    assert clone.name == "on Friday, 25 December 2026, 23:30 UTC"
    assert clone.at == dt.datetime(2026, 12, 25, 23, 30, tzinfo=dt.UTC).timestamp()
