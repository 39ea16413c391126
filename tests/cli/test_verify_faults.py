"""Faults and bad input of ``queryscope verify``: each a clear message and its exit code.

What belongs to patches and data themselves stands in ``test_verify``, what git tells in
``test_verify_changes``; here is the rest of the list.
"""

from __future__ import annotations

import errno
import json
import shutil

import pytest

from queryscope.cli.main import main
from tests.verify.shop import GOOD, IMPORT, a_diff, bytes_of, make_shop

BODY = "    return [json.dumps(body).encode()]\n"


@pytest.fixture
def shop(tmp_path, monkeypatch):
    """Return the folder of the shop; runs put their folders beside it."""
    (tmp_path / "runs").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "runs"))
    return make_shop(tmp_path / "shop")


def change(shop, *changes, file="shop.py"):
    """Edit a file of the shop itself."""
    text = (shop / file).read_text(encoding="utf-8")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    (shop / file).write_text(text, encoding="utf-8")


def verify(shop, *more, diff=None, requests=("/items",)):
    """Judge the repair and return the exit code and the report for programs."""
    patch = shop.parent / "change.diff"
    patch.write_text(diff or a_diff(shop, GOOD, IMPORT), encoding="utf-8")
    report = shop.parent / "report.json"
    words = ["--patch", str(patch), "--project", str(shop), "--output", str(report)]
    for one in requests:
        words += ["--request", one]
    store = str(shop.parent / "store" / "traces.db")
    code = main(["--store", store, "verify", *words, "--format", "json", "--variants", "3", *more])
    assert list((shop.parent / "runs").iterdir()) == []
    return code, json.loads(report.read_text(encoding="utf-8")) if report.exists() else None


def states(shop):
    """Return what the ledger says, line by line."""
    text = (shop.parent / "store" / "ledger.jsonl").read_text(encoding="utf-8")
    return [json.loads(line)["state"] for line in text.splitlines()]


@pytest.mark.parametrize(
    "answer",
    [
        '    return [__import__("uuid").uuid4().bytes]\n',
        '    return [json.dumps([{"at": __import__("uuid").uuid4().hex}]).encode()]\n',
    ],
)
def test_answer_without_a_stable_field_proves_nothing(shop, answer):
    """It would be proved by its cost alone."""
    change(shop, (BODY, answer))
    code, found = verify(shop)
    assert (code, found["outcome"]) == (3, "inconclusive")
    assert found["reason"].startswith("No field of the body of GET /items is the same")


def test_status_that_comes_and_goes_proves_nothing(shop):
    """No answer is left to be compared."""
    status = 'status, body = "200 OK", None'
    changing = """status, body = f"20{hash('a') % 2} OK", None"""
    change(shop, (status, changing))
    code, found = verify(shop)
    assert (code, found["outcome"]) == (3, "inconclusive")
    assert found["reason"].startswith("Not even the status of GET /items is the same")


def test_original_that_never_answers_is_a_time_out(shop):
    """No verdict on the patch; the ledger is kept."""
    change(shop, ("time-limit-s = 120", "time-limit-s = 8"), file="pyproject.toml")
    change(
        shop,
        (
            "    least = int(",
            "    while True:\n        __import__('time').sleep(60)\n    least = int(",
        ),
    )
    code, found = verify(shop)
    assert (code, found["outcome"]) == (3, "inconclusive")
    assert found["machinery"] != "completed"
    assert states(shop) == ["begun", "judged"]


FORKS = """\
    import signal, time
    signal.pthread_sigmask(signal.SIG_BLOCK, set(signal.Signals))
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            while True:
                time.sleep(60)
    while True:
        time.sleep(60)
"""


def test_patch_that_forks_and_ignores_signals_is_ended(shop):
    """With what it started; the original answers, so it is refused."""
    forks = ("    least = int(", f"{FORKS}    least = int(")
    change(shop, ("time-limit-s = 120", 'time-limit-s = 30\nallow = ["imports"]'),
           file="pyproject.toml")  # fmt: skip
    code, found = verify(shop, diff=a_diff(shop, forks))
    assert (code, found["outcome"]) == (1, "refused")
    assert found["constraint"]["kind"] in ("answer", "policy imports")


def test_edit_outside_the_project_is_wrong_use(shop, capsys):
    """Neither above it nor by an absolute path."""
    before = bytes_of(shop)
    diff = a_diff(shop, GOOD, IMPORT).replace("a/shop.py", "a/../shop.py").replace("b/", "b/../")
    assert verify(shop, diff=diff) == (2, None)
    assert "outside the project" in capsys.readouterr().err
    assert bytes_of(shop) == before


def full(*_arguments, **_named):
    """Fail as a full disk does."""
    raise OSError(errno.ENOSPC, "No space left on device", "somewhere")


def test_full_disk_is_said_while_the_tree_is_copied(shop, capsys, monkeypatch):
    """Exit code 2, and nothing is left behind."""
    monkeypatch.setattr(shutil, "copyfile", full)
    assert verify(shop) == (2, None)
    said = capsys.readouterr().err
    assert "cannot be copied" in said
    assert "No space left on device" in said


def test_full_disk_is_said_where_the_report_goes(shop, capsys):
    """The verdict is in the ledger all the same: the next question is answered from there."""
    comment = a_diff(shop, ("def ann", "# she\ndef ann"))
    code = verify(shop, "--output", "/dev/full", diff=comment)[0]
    assert code == 2
    assert "No space left on device" in capsys.readouterr().err
    assert states(shop) == ["begun", "judged"]
    assert verify(shop, diff=comment)[0] == 1
    assert "from the ledger" in capsys.readouterr().err


def test_ledger_that_cannot_be_written_is_wrong_use(shop, capsys):
    """A file stands where its folder is to be."""
    (shop.parent / "store").write_text("", encoding="utf-8")
    assert verify(shop) == (2, None)
    assert "ledger" in capsys.readouterr().err


def test_server_that_does_not_answer_is_wrong_use(shop, capsys):
    """A database that cannot be cloned is named, without its password."""
    url = "postgresql://ann:s3cr3t@127.0.0.1:1/shop"
    change(shop, ("sqlite:///shop.db", url), file="pyproject.toml")
    assert verify(shop) == (2, None)
    said = capsys.readouterr().err
    assert "127.0.0.1" in said
    assert "s3cr3t" not in said
