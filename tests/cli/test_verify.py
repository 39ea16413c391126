"""The command ``queryscope verify`` on a small shop: what is proved, refused, left open."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from queryscope.cli.main import main
from queryscope.verify.workspace import PREFIX
from tests.verify.shop import GOOD, IMPORT, INNER, a_diff, bytes_of, make_shop

ITEMS = "/items?stock=2"


@pytest.fixture(scope="module")
def baselines(tmp_path_factory):
    """Return a folder in which every test finds what the original answered to an earlier one."""
    return tmp_path_factory.mktemp("baselines")


@pytest.fixture
def shop(tmp_path, monkeypatch, baselines):
    """Return the folder of the shop; runs put their folders beside it."""
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "baselines").symlink_to(baselines)
    runs = tmp_path / "runs"
    runs.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(runs))
    return make_shop(tmp_path / "shop")


def verify(shop, diff, *more, requests=(ITEMS, "/me as ann")):
    """Judge a diff and return the exit code and the report for programs."""
    patch = shop.parent / "change.diff"
    patch.write_text(diff, encoding="utf-8")
    report = shop.parent / "report.json"
    words = ["--patch", str(patch), "--project", str(shop), "--output", str(report)]
    for one in requests:
        words += ["--request", one]
    store = str(shop.parent / "store" / "traces.db")
    code = main(["--store", store, "verify", *words, "--format", "json", "--variants", "24", *more])
    return code, json.loads(report.read_text(encoding="utf-8")) if report.exists() else None


def test_repair_is_proved(shop):
    """Equal answers on every clone for fewer statements; nothing of the user's has changed."""
    before = bytes_of(shop)
    code, found = verify(shop, a_diff(shop, GOOD, IMPORT))
    assert (code, found["outcome"], found["machinery"]) == (0, "proved", "completed")
    assert found["before"]["GET /items"]["statements"] == 4
    assert found["after"]["GET /items"]["statements"] == 1
    names = [check["name"] for check in found["checks"]]
    assert names[:4] == ["applies", "compiles", "policy", "baseline"]
    assert len([name for name in names if name.startswith("answers on clone")]) > 10
    assert all(check["passed"] for check in found["checks"])
    assert bytes_of(shop) == before
    assert list((shop.parent / "runs").iterdir()) == []


FILTER = "        if not least or (item.stock or 0) >= least\n"
WHERE = "session.scalars(select(Item).order_by(Item.name, Item.id)).all()"
SWALLOWED = """\
    try:
        least = int(asked.get("stock", ["0"])[0] or 0)
    except ValueError:
        least = 0
"""
KEPT = """\
            key = environ["QUERY_STRING"]
            if key not in KEPT:
                KEPT[key] = listed(session, asked)
            body = KEPT[key]
"""
WRONG = {
    "an inner join drops rows": (INNER, IMPORT),
    "capacity of 0 filters": (
        GOOD,
        IMPORT,
        (FILTER, "        if (item.stock or -1) >= least\n"),
    ),
    "the tie-break is lost": ((GOOD[0], GOOD[1].replace(", Item.id", "")), IMPORT),
    "the order is lost": ((GOOD[0], GOOD[1].partition(".order_by")[0]), IMPORT),
    "null for 0": (GOOD, IMPORT, ("item.stock or 0,\n", "item.stock,\n")),
    "0.0 for 0": (GOOD, IMPORT, ("item.stock or 0,\n", "item.stock or 0.0,\n")),
    "the key is dropped when null": (
        GOOD,
        IMPORT,
        (
            '        {\n            "name"',
            '        {} if item.maker is None else {\n            "name"',
        ),
    ),
    "the permission is dropped": (
        GOOD,
        IMPORT,
        ('if user else ("401 Nobody", {})', 'if True else ("401 Nobody", {})'),
    ),
    "an error is swallowed": (
        GOOD,
        IMPORT,
        (
            '    least = int(asked.get("stock", ["0"])[0] or 0)\n',
            SWALLOWED,
        ),
    ),
    "a constant answer": (
        ("            body = listed(session, asked)\n", "            body = []\n"),
    ),
    "a hidden limit": ((GOOD[0], GOOD[1] + ".limit(5)"), IMPORT),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_patch_is_refused_with_its_request(shop, name):
    """Each is refused, by a request that shows it."""
    code, found = verify(shop, a_diff(shop, *WRONG[name]))
    assert (code, found["outcome"]) == (1, "refused"), found["reason"]
    assert found["counterexample"]["differences"]
    assert found["constraint"]["kind"] == "answer"


def test_value_that_only_zero_shows_is_named(shop):
    """A filter that takes 0 for a number: the counterexample is a request with 0."""
    zero = (
        FILTER,
        "        if (not least and asked.get('stock') != ['0']) or (item.stock or -1) >= least\n",
    )
    code, found = verify(shop, a_diff(shop, GOOD, IMPORT, zero), requests=[ITEMS])
    assert code == 1
    assert found["counterexample"]["request"]["target"] == "/items?stock=0"
    sides = [found[side]["GET /items"]["statements"] for side in ("before", "after")]
    assert sides == [4, 1]
    assert found["counterexample"]["clone"] == "as is"


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ([("def listed(", "# faster now\ndef listed(")], "no effect"),
        ([("import json\n", "import jsonn\n")], "boot"),
        ([("import json\n", "import json as\n")], "compiles"),
        ([("    least = int(", "    while True:\n        pass\n    least = int(")], "answer"),
        ([('"stock": item.stock or 0,', '"stock": 0 if item.stock is None else item.stock,')],
         "cost"),
        ([("import json\n", "import json\nimport threading\n")], "policy imports"),
        ([("def listed(", "KEPT = {}\n\n\ndef listed("),
          ("    return [\n        {", "    KEPT[1] = 1\n    return [\n        {")],
         "policy module-state"),
    ],
)  # fmt: skip
def test_useless_or_forbidden_patch_is_refused(shop, changes, kind):
    """Comments, crashes, hangs, equal costs and tricks, each with what it teaches."""
    code, found = verify(shop, a_diff(shop, *changes), requests=["/items"])
    assert (code, found["outcome"]) == (1, "refused"), found["reason"]
    assert found["constraint"]["kind"] == kind


SERVE = """\
import sys
from wsgiref.simple_server import make_server

from shop import app

make_server("127.0.0.1", int(sys.argv[1]), app).serve_forever()
"""


@pytest.fixture
def served(shop):
    """Return the shop, started in production by a file that its requests never run."""
    (shop / "serve.py").write_text(SERVE, encoding="utf-8")
    file = shop / "pyproject.toml"
    text = file.read_text(encoding="utf-8")
    boot = 'boot = "python serve.py {port}"\nhealth = "/me"\ntime-limit-s'
    file.write_text(text.replace("time-limit-s", boot), encoding="utf-8")
    return shop


def test_patch_that_boots_in_a_plain_process_alone_is_refused(served):
    """Its answers would be equal: only the command of production shows it."""
    broken = a_diff(served, ("import app", "import application"), file="serve.py")
    code, found = verify(served, a_diff(served, GOOD, IMPORT) + broken)
    assert (code, found["constraint"]["kind"]) == (1, "boot")
    assert "cannot import name 'application'" in found["reason"]


def test_boot_is_among_the_checks(served):
    """The repair boots, and is judged as ever."""
    code, found = verify(served, a_diff(served, GOOD, IMPORT))
    assert code == 0
    assert "boots" in [check["name"] for check in found["checks"]]


def test_original_that_production_does_not_boot_is_inconclusive(served):
    """Whose fault that is the patch cannot tell."""
    (served / "serve.py").write_text("raise SystemExit(2)\n", encoding="utf-8")
    code, found = verify(served, a_diff(served, GOOD, IMPORT))
    assert (code, found["outcome"], found["machinery"]) == (3, "inconclusive", "not started")


def test_memoised_answer_is_refused(shop):
    """The project allows state, and the answer is kept: other data in the same process shows it."""
    file = shop / "pyproject.toml"
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace("time-limit-s", 'allow = ["module-state"]\ntime-limit-s'), "utf-8")
    kept = ("            body = listed(session, asked)\n", KEPT)
    module = ("def ann", "KEPT = {}\n\n\ndef ann")
    code, found = verify(shop, a_diff(shop, kept, module, GOOD, IMPORT))
    assert code == 1
    assert not found["counterexample"]["clone"].endswith("as is")


@pytest.mark.parametrize("condition", ["month == 12", "day == 13"])
def test_branch_on_the_date_is_refused(shop, condition):
    """The clock was read before, so the text says nothing: a replay on another day shows it."""
    file = shop / "shop.py"
    text = file.read_text(encoding="utf-8")
    text = text.replace("import json\n", "import json\nfrom datetime import date\n", 1)
    text = text.replace("def ann", "def today():\n    return date.today()\n\n\ndef ann", 1)
    file.write_text(text, encoding="utf-8")
    late = (FILTER, f"{FILTER[:-1]} or today().{condition}\n")
    code, found = verify(shop, a_diff(shop, GOOD, IMPORT, late), requests=[ITEMS])
    assert code == 1, found["reason"]
    assert found["counterexample"]["clone"].startswith("on ")


def test_write_is_compared_by_its_rows(shop):
    """A patch that writes something else is refused though the answer is the same."""
    request = ["POST /buy", "/items"]
    code, found = verify(shop, a_diff(shop, GOOD, IMPORT), requests=request)
    assert code == 0, found["reason"]
    other = ("            session.commit()\n", "            session.flush()\n")
    code, found = verify(shop, a_diff(shop, GOOD, IMPORT, other), requests=request)
    assert code == 1
    assert found["counterexample"]["differences"][0]["path"] == "effect rows of item"


def test_baseline_of_errors_is_inconclusive(shop):
    """Nobody is logged in: 401 before and after proves nothing."""
    code, found = verify(shop, a_diff(shop, GOOD, IMPORT), requests=["/me"])
    assert (code, found["outcome"], found["machinery"]) == (3, "inconclusive", "completed")
    assert "401" in found["reason"]


def test_original_that_does_not_boot_is_inconclusive(shop):
    """The fault is not the patch's."""
    diff = a_diff(shop, GOOD, IMPORT)
    text = (shop / "shop.py").read_text(encoding="utf-8")
    (shop / "shop.py").write_text(text + "\nraise RuntimeError('no configuration')\n", "utf-8")
    code, found = verify(shop, diff)
    assert (code, found["machinery"]) == (3, "not started")
    assert "no configuration" in found["reason"]


def test_second_question_is_answered_by_the_ledger(shop, capsys):
    """The same patch on the same source and data is not judged twice, but with --again."""
    diff = a_diff(shop, ("def listed(", "# faster now\ndef listed("))
    assert verify(shop, diff)[0] == 1
    capsys.readouterr()
    assert verify(shop, diff)[0] == 1
    assert "from the ledger" in capsys.readouterr().err
    assert verify(shop, diff, "--again")[0] == 1
    said = capsys.readouterr().err
    assert "from the ledger" not in said
    assert "taught 2 times" in said


def check_usage(shop, capsys, diff, reason, **more):
    """A patch that cannot be judged at all: exit code 2, with the reason, and no report."""
    code, found = verify(shop, diff, **more)
    assert (code, found) == (2, None)
    assert reason in capsys.readouterr().err
    assert list((shop.parent / "runs").iterdir()) == []


def test_stale_patch_is_wrong_use(shop, capsys):
    """A patch made for another source is named with the line that does not fit."""
    diff = a_diff(shop, GOOD, IMPORT)
    text = (shop / "shop.py").read_text(encoding="utf-8")
    (shop / "shop.py").write_text(text.replace(GOOD[0], "select(Item)"), encoding="utf-8")
    check_usage(shop, capsys, diff, "does not fit")


def test_missing_database_is_wrong_use(shop, capsys):
    """Without data there is nothing to prove."""
    diff = a_diff(shop, GOOD, IMPORT)
    (shop / "shop.db").unlink()
    check_usage(shop, capsys, diff, "shop.db is not there")


def test_locked_database_is_wrong_use(shop, capsys, monkeypatch):
    """A writer that never ends does not hang the verification."""
    monkeypatch.setattr("queryscope.verify.bench.CLONE_DEADLINE_S", 0.5)
    with closing(sqlite3.connect(shop / "shop.db", isolation_level=None)) as writer:
        writer.execute("BEGIN EXCLUSIVE")
        check_usage(shop, capsys, a_diff(shop, GOOD, IMPORT), "locked")


def test_actor_that_cannot_log_in_is_named(shop):
    """The verification cannot do its work."""
    file = shop / "pyproject.toml"
    file.write_text(file.read_text("utf-8").replace("shop:ann", "shop:bob"), encoding="utf-8")
    code, found = verify(shop, a_diff(shop, GOOD, IMPORT))
    assert code == 3
    assert "actor ann cannot log in" in found["reason"]


def test_no_request_is_wrong_use(shop, capsys):
    """Without a contract and without a request nothing can be asked."""
    check_usage(shop, capsys, a_diff(shop, GOOD, IMPORT), "no contract", requests=[])


@pytest.mark.parametrize(
    ("form", "parts"),
    [
        ("terminal", ["refused: ", "expected", "learned: ", "NO "]),
        ("markdown", ["### queryscope: refused", "Counterexample", "```http", "| where |"]),
    ],
)
def test_report_shows_the_counterexample(shop, capsys, form, parts):
    """For a person: the request, where the answers differ, and what was learned."""
    patch = shop.parent / "change.diff"
    patch.write_text(a_diff(shop, INNER, IMPORT), encoding="utf-8")
    store = str(shop.parent / "store" / "traces.db")
    code = main(["--store", store, "verify", "--patch", str(patch), "--project", str(shop),
                 "--request", "/items", "--variants", "3", "--format", form])  # fmt: skip
    text = capsys.readouterr().out
    assert code == 1
    for part in parts:
        assert part in text
    assert "GET /items" in text
    assert str(Path(PREFIX)) not in text
