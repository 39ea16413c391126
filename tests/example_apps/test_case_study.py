"""What queryscope says of the example applications, at the lines that their marks name."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "example_apps"
RUNNER = Path(__file__).with_name("case_study_runner.py")
MARK = re.compile(r"(bottleneck|mend) ([\da-z, ]+)")
PATHS = ["/items/7", "/items/9", "/items/12", "/v2/items/7", "/discovery", "/v2/discovery",
         "/admin-board/", "/v2/admin-board/"]  # fmt: skip
ON_A_HOLIDAY = {
    # A holiday, on which what was read for the day is thrown away, and an order.
    "booking_django": "/discovery?sort=rating&date=2026-03-04",
    "booking_sqlalchemy": "/discovery?sort=rating&date=2026-03-06",
}
NAMED_BY_SCAN = {
    # (bottleneck of the case study: what names it, and at the marks of which numbers)
    "3": ({"QS101"}, ("3a", "3b", "3c", "3d", "3e", "3f")),
    "4": ({"QS303"}, ("4", "4a", "4b")),
    "6": ({"QS203"}, ("6",)),
    "7": ({"QS206"}, ("7a", "7b", "7d")),
    "8": ({"QS209"}, ("8",)),
    "11": ({"QS601"}, ("11a", "11b", "11c")),
    "13a": ({"QS101"}, ("13a",)),
    "13b": ({"QS202"}, ("13b",)),
    "13c": ({"QS103"}, ("13c",)),
    "14": ({"QS501"}, ("14a", "14b", "14c", "14d")),
    "15": ({"QS505"}, ("15a", "15b", "15c")),
    "16": ({"QS101"}, ("16", "16a", "16b", "16c")),
    "17": ({"QS201", "QS208"}, ("17", "17a", "17b")),
    "18": ({"QS209"}, ("18",)),
    "20": ({"QS502"}, ("20", "14b")),
}
NOT_NAMED_BY_SCAN = {
    # What a scan of these requests is not held to, and why.
    "1": "no code: stages are what the report shows",
    "2": "QS401 reads plans, on a connection of its own",
    "5": "QS307 has to know that a page was cut in Python",
    "9": "QS204 has to know that an earlier result held the answer",
    "10": "no code: time in Python, not in the database",
    "12": "QS210 compares responses",
    "19": "QS306 has to know that rows were sorted in Python",
    "21": "no code: a helper that nobody calls",
}
SEEDS = {
    "booking_django": [sys.executable, "manage.py", "seed"],
    "booking_sqlalchemy": [sys.executable, "-m", "booking_flask.seed"],
}


def marks(name):
    """Return ``(bottleneck or mend, number) -> {file:line}`` of an application's legacy code."""
    found = {}
    for file in (EXAMPLES / name).rglob("legacy/**/*.py"):
        for line, text in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
            for kind, numbers in MARK.findall(text.partition("#")[2]):
                for number in numbers.split(","):
                    found.setdefault((kind, number.strip()), set()).add(f"{file.name}:{line}")
    return found


@pytest.fixture(scope="module", params=list(SEEDS))
def work(request, tmp_path_factory):
    """The name of an application, and the folder in which it is recorded."""
    return request.param, tmp_path_factory.mktemp(request.param)


@pytest.fixture(scope="module")
def study(work):
    """The name of an application, its marks, and what was recorded of its endpoints."""
    name, work = work
    environment = {
        **os.environ,
        "DATABASE_URL": f"sqlite:///{work / 'booking.sqlite3'}",
        "BOOKING_LOG": str(work / "booking.log"),
        "BOOKING_QUERYSCOPE": "1",
        "QUERYSCOPE_RUN": "1",
        "CASE_STUDY_WORK": str(work),
    }
    # This process runs under pytest; the applications run as in development.
    for variable in ("PYTEST_VERSION", "PYTEST_CURRENT_TEST", "DJANGO_SETTINGS_MODULE"):
        environment.pop(variable, None)
    run = {"env": environment, "capture_output": True, "text": True, "timeout": 300}
    subprocess.run(SEEDS[name], cwd=EXAMPLES / name, check=True, **run)
    command = [sys.executable, str(RUNNER), str(EXAMPLES / name), *PATHS, ON_A_HOLIDAY[name]]
    done = subprocess.run(command, cwd=work, check=False, **run)
    assert done.returncode == 0, done.stderr
    return name, marks(name), json.loads(done.stdout)


@pytest.fixture(scope="module")
def scanned(study, work):
    """The document of a scan of all that was recorded."""
    store = work[1] / ".queryscope" / "traces.db"
    command = [sys.executable, "-m", "queryscope", "scan", "--format", "json"]
    done = subprocess.run(
        [*command, "--store", str(store)],
        cwd=work[1], check=True, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.stderr == ""
    return json.loads(done.stdout)


def findings(study, path, code):
    """Return the findings of one code about one endpoint."""
    return [item for item in study[2][path]["findings"] if item["code"] == code]


def lines(study, kind, *numbers):
    """Return the positions that carry a mark."""
    found = [study[1].get((kind, number), set()) for number in numbers]
    return set().union(*found)


def ran_at(found):
    """Return the innermost lines of findings."""
    return {item["ran"][0] for item in found}


def test_nothing_of_ours_failed(study):
    """Every endpoint answers, no hook failed, and every ORM frame was known."""
    for path, result in study[2].items():
        assert result["status"].startswith("200"), path
        assert (result["failures"], result["unlabelled"]) == ([], 0), path


def test_three_loops_of_the_detail_are_named_at_their_lines(study):
    """Bookings per item, status per item with the same parameters, raw occupancy per item."""
    assert lines(study, "bottleneck", "13a") <= ran_at(findings(study, "/items/7", "QS101"))
    assert lines(study, "bottleneck", "13b") <= ran_at(findings(study, "/items/7", "QS202"))
    assert lines(study, "bottleneck", "13c") <= ran_at(findings(study, "/items/7", "QS103"))


def test_loops_name_the_line_to_mend(study):
    """The mend stands where the items are loaded, or at the loop around the look-up."""
    name, _, _ = study
    places = {item["ran"][0]: item["mend"] for item in study[2]["/items/7"]["findings"]}
    (bookings,) = lines(study, "bottleneck", "13a")
    writes = {item["ran"][0]: item["write"] for item in findings(study, "/items/7", "QS101")}
    if name == "booking_django":
        assert places[bookings] in lines(study, "mend", "16")
        assert writes[bookings].startswith('.prefetch_related(Prefetch("bookings"')
    else:
        assert places[bookings] in lines(study, "mend", "13a")
        assert writes[bookings] == "selectinload(Item.bookings)"


def test_lazy_loads_through_nested_relationships_are_named(study):
    """Layout, floor and building of the items, where three or more rows were loaded."""
    assert lines(study, "bottleneck", "16", "16a", "16b") <= ran_at(
        findings(study, "/items/7", "QS101")
    )


def test_every_extra_session_is_named_at_its_opener(study):
    """Five sessions: the one to keep, and the four helpers that open their own."""
    assert study[2]["/items/7"]["sessions"] == 5
    kept = "14b" if study[0] == "booking_sqlalchemy" else "none"
    wanted = lines(study, "bottleneck", *({"14a", "14b", "14c", "14d", "14e"} - {kept}))
    found = findings(study, "/items/7", "QS501")
    assert ran_at(found) == wanted
    assert len(found) == 4
    assert {item["severity"] for item in found} == {"critical"}


def test_user_read_twice_is_named_with_both_lines(study):
    """Permission helper and main code read the same account, each in a session of its own."""
    assert findings(study, "/items/7", "QS201") == []
    (found,) = findings(study, "/items/7", "QS208")
    for position in lines(study, "bottleneck", "17", "17a", "17b"):
        assert position in found["evidence"]["loaded at"]


def test_connection_held_while_rendering_is_named(study):
    """Held while the response is built: the session, or on Django the transaction."""
    held = ran_at(findings(study, "/items/7", "QS502"))
    wanted = lines(study, "mend", "20") if study[0] == "booking_django" else lines(
        study, "bottleneck", "14b"
    )  # fmt: skip
    assert held & wanted


def test_pool_bound_is_named(study):
    """Three connections at once from a pool of five; Django here has no pool."""
    found = findings(study, "/items/7", "QS505")
    if study[0] == "booking_django":
        assert found == []
    else:
        (bound,) = found
        assert "holds 3 connections" in bound["message"]
        assert bound["evidence"]["deadlock_from_requests"] == "3"


def test_discovery_loops_are_named(study):
    """The lazy loads of every listed location are found."""
    critical = [
        item for item in findings(study, "/discovery", "QS101") if item["severity"] == "critical"
    ]
    assert ran_at(critical) <= lines(study, "bottleneck", "3a", "3b", "3c")
    assert critical


def test_template_only_loops_are_named_at_their_node(study):
    """The loops of the board stand in a template alone."""
    found = findings(study, "/admin-board/", "QS101")
    assert len(found) == 2
    assert all(item["ran"][0].endswith((".html:7", ".html:10", ".html:11")) for item in found)
    # The queryset that the template is given, and the select() inside the session's call.
    mend = "board.py:19" if study[0] == "booking_django" else "admin_board.py:22"
    assert {item["mend"] for item in found} == {mend}


@pytest.mark.parametrize("path", [path for path in PATHS if path.startswith("/v2/")])
def test_repaired_endpoints_give_no_warning(study, path):
    """What has been repaired is not complained about."""
    graver = [item for item in study[2][path]["findings"] if item["severity"] != "info"]
    assert graver == []
    assert study[2][path]["sessions"] == 1


def test_requests_are_named_by_their_route(study):
    """Requests for two locations have one name, on Django and on Flask."""
    assert study[2]["/items/7"]["name"].startswith("GET /items/<int")


def test_scan_names_bottlenecks_at_their_lines(study, scanned):
    """One scan of the recorded requests, without a look at any single Trace."""
    said = {}
    legacy = [item for item in scanned["endpoints"] if "/v2/" not in item["name"]]
    for item in [*scanned["findings"], *(one for found in legacy for one in found["findings"])]:
        for place in (item["place"], (item["mend"] or {}).get("place")):
            if place is not None:
                file = Path(place.get("file") or place["template"]).name
                said.setdefault(f"{file}:{place['line']}", set()).add(item["code"])
    missing = []
    for number, (codes, marked) in NAMED_BY_SCAN.items():
        if number == "15" and study[0] == "booking_django":
            continue  # Django has no pool here
        places = lines(study, "bottleneck", *marked) | lines(study, "mend", *marked)
        assert places, number
        if not any(said.get(place, set()) & codes for place in places):
            missing.append(number)
    assert missing == []
    assert not {number.rstrip("abc") for number in NAMED_BY_SCAN} & set(NOT_NAMED_BY_SCAN)


def test_scan_ranks_slow_endpoints_before_repaired_ones(scanned):
    """Repaired endpoints waste nothing, and stand last."""
    names = [item["name"] for item in scanned["endpoints"]]
    wasteful = [item for item in scanned["endpoints"] if item["waste"] > 0]
    assert {"/v2/" in name for name in names[: len(wasteful)]} == {False}
    assert len(wasteful) == 3
    assert all(item["waste"] >= 0.5 for item in wasteful)
    assert scanned["waste"] >= 0.8


def test_scan_finds_nothing_over_repaired_endpoints(study, scanned):
    """What several requests show is about the slow endpoints alone."""
    severities = {"QS209": "info", "QS210": "info", "QS303": "warning"}
    for item in scanned["findings"]:
        assert severities[item["code"]] == item["severity"]
        assert "/legacy/" in item["place"]["file"]
