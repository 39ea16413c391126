"""The command ``queryscope contract``: answers are written down, and asked for again."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing

import pytest

from queryscope.cli.main import main
from tests.verify.shop import bytes_of, make_shop


@pytest.fixture
def shop(tmp_path):
    """Return the folder of the shop."""
    return make_shop(tmp_path / "shop")


def contract(shop, *words):
    """Run the command on the shop and return its exit code."""
    return main(["contract", *words, "--project", str(shop)])


def record(shop, *requests):
    """Record requests and return the exit code."""
    return contract(shop, "record", *(word for one in requests for word in ("--request", one)))


def the_contract(shop, name):
    """Return a contract's file as values."""
    return json.loads((shop / "contracts" / name).read_text(encoding="utf-8"))


def change(shop, old, new):
    """Edit the shop itself."""
    text = (shop / "shop.py").read_text(encoding="utf-8")
    assert old in text
    (shop / "shop.py").write_text(text.replace(old, new), encoding="utf-8")


def test_answers_are_recorded_and_hold(shop):
    """A file for each endpoint, readable, without credentials; a check finds nothing."""
    before = bytes_of(shop)
    assert record(shop, "/items?stock=2", "/items", "/me as ann") == 0
    assert sorted(path.name for path in (shop / "contracts").iterdir()) == [
        "get-items.json",
        "get-me.json",
    ]
    items = the_contract(shop, "get-items.json")
    assert [one["request"]["target"] for one in items["exchanges"]] == ["/items?stock=2", "/items"]
    assert items["exchanges"][0]["answer"]["json"][0] == {
        "name": "thing 0", "maker": None, "stock": 3
    }  # fmt: skip
    assert the_contract(shop, "get-me.json")["exchanges"][0]["answer"]["json"] == {"user": "ann"}
    assert contract(shop, "check") == 0
    assert {name: data for name, data in bytes_of(shop).items() if name in before} == before


def test_other_answer_breaks_the_contract(shop, capsys):
    """The check shows request, place and both values, and --update writes the new ones."""
    assert record(shop, "/items") == 0
    change(shop, '"stock": item.stock or 0', '"stock": item.stock')
    assert contract(shop, "check") == 1
    said = capsys.readouterr().out
    assert "GET /items" in said
    assert ".stock" in said
    assert "1 of 1 answer" in said
    assert contract(shop, "check", "--update") == 0
    assert contract(shop, "check") == 0


def test_unstable_field_is_named_and_excused(shop):
    """What differs between two runs of the same code is compared by its pattern."""
    change(shop, '{"user": user}', '{"user": user, "at": __import__("uuid").uuid4().hex}')
    assert record(shop, "/me as ann") == 0
    assert the_contract(shop, "get-me.json")["unstable"] == ["body $.at"]
    assert contract(shop, "check") == 0


def test_one_endpoint_alone_is_recorded(shop):
    """Requests of others are left out, and its own route is its name."""
    code = contract(
        shop, "record", "GET /{what}", "--request", "/items", "--request", "/items/7/no"
    )
    assert code == 0
    assert the_contract(shop, "get-what.json")["endpoint"] == "GET /{what}"


@pytest.mark.parametrize(
    ("requests", "reason"),
    [
        ([], "nothing to record"),
        (["/me"], "nothing but errors or redirects"),
        (["/items as bob"], "no actor 'bob'"),
    ],
)
def test_contract_that_proves_nothing_is_refused(shop, capsys, requests, reason):
    """No request, errors alone, nobody to ask: exit code 2, and no file."""
    assert record(shop, *requests) == 2
    assert reason in capsys.readouterr().err
    assert not (shop / "contracts").exists()


def test_other_data_is_said(shop, capsys):
    """A contract holds for the data that it was recorded on."""
    assert record(shop, "/items") == 0
    with closing(sqlite3.connect(shop / "shop.db")) as connection:
        connection.execute("UPDATE item SET name = 'other'")
        connection.commit()
    assert contract(shop, "check") == 2
    assert "other data" in capsys.readouterr().err


def test_project_without_settings_is_said(shop, capsys):
    """What is missing is named, and where to write it."""
    (shop / "pyproject.toml").write_text("[tool.queryscope]\n", encoding="utf-8")
    assert record(shop, "/items") == 2
    assert "names no application" in capsys.readouterr().err
    (shop / "pyproject.toml").write_text('[tool.queryscope]\napp = "a:b"\n', encoding="utf-8")
    assert record(shop, "/items") == 2
    assert "names no data" in capsys.readouterr().err
