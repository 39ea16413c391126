"""The command ``queryscope verify`` for the second time: what the original answered is kept."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from tests.cli.test_verify import verify
from tests.verify.shop import GOOD, IMPORT, INNER, a_diff, make_shop

KEPT = "its answers are taken from then"
STALE = "answers otherwise by now"


@pytest.fixture
def shop(tmp_path, monkeypatch):
    """Return the folder of a shop whose ``/me`` tells, too, what a file elsewhere says."""
    (tmp_path / "runs").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "runs"))
    shop = make_shop(tmp_path / "shop")
    rate = tmp_path / "rate.txt"
    rate.write_text("1", encoding="ascii")
    file = shop / "shop.py"
    told = 'status, body = ("200 OK", {"user": user}) if user'
    text = file.read_text(encoding="utf-8")
    assert told in text
    told_more = told.replace("user}", f'user, "rate": open({str(rate)!r}).read()}}')
    file.write_text(text.replace(told, told_more), encoding="utf-8")
    return shop


def judged(shop, capsys, *changes, more=()):
    """Return exit code and what was said."""
    capsys.readouterr()
    asked = ["/items?stock=2", "/me as ann"]
    code, _ = verify(shop, a_diff(shop, *changes), "--variants", "4", *more, requests=asked)
    return code, capsys.readouterr().err


def test_original_is_asked_once_for_several_patches(shop, capsys):
    """The verdicts are what they are without, until it is to be asked again."""
    code, said = judged(shop, capsys, INNER, IMPORT)
    assert (code, KEPT in said) == (1, False)
    code, said = judged(shop, capsys, GOOD, IMPORT)
    assert (code, KEPT in said) == (0, True)
    code, said = judged(shop, capsys, INNER, IMPORT, more=["--again"])
    assert (code, KEPT in said) == (1, False)
    code, said = judged(shop, capsys, INNER, IMPORT, ("json.dumps(body)", "(json.dumps(body))"))
    assert (code, KEPT in said, STALE in said) == (1, True, False)


def test_patch_is_not_blamed_for_what_has_changed_since(shop, capsys):
    """The original itself is asked what seems to differ, and then everything again."""
    assert judged(shop, capsys, INNER, IMPORT)[0] == 1
    (shop.parent / "rate.txt").write_text("2", encoding="ascii")
    code, said = judged(shop, capsys, GOOD, IMPORT)
    assert (code, STALE in said) == (0, True)
    code, said = judged(shop, capsys, INNER, IMPORT, ("json.dumps(body)", "(json.dumps(body))"))
    assert (code, KEPT in said, STALE in said) == (1, True, False)


def test_other_data_has_a_baseline_of_its_own(shop, capsys):
    """Nothing is taken from another database."""
    assert judged(shop, capsys, INNER, IMPORT)[0] == 1
    with closing(sqlite3.connect(shop / "shop.db")) as connection:
        connection.execute("UPDATE item SET stock = 70 WHERE id = 3")
        connection.commit()
    code, said = judged(shop, capsys, GOOD, IMPORT)
    assert (code, KEPT in said) == (0, False)
