"""Where the requests of a contract come from: a schema, the store, an actor for both."""

from __future__ import annotations

import json

import pytest

from queryscope.cli.main import main
from queryscope.credentials import MASK
from queryscope.store.captured import Captured
from queryscope.store.file import Store
from tests.verify.shop import make_shop

PAGE = {"name": "stock", "in": "query", "schema": {"type": "integer", "enum": [2, 4]}}
SLUG = {"name": "slug", "in": "path", "required": True, "schema": {"type": "string"}}
SCHEMA = {
    "openapi": "3.1.0",
    "paths": {
        "/items": {"get": {"parameters": [PAGE]}},
        "/nowhere": {"get": {}},
        "/by/{slug}": {"get": {"parameters": [SLUG]}},
    },
}


@pytest.fixture
def shop(tmp_path):
    """Return the folder of the shop."""
    return make_shop(tmp_path / "shop")


def record(shop, *words):
    """Record, and return the exit code and the requests of each contract."""
    store = str(shop.parent / "traces.db")
    code = main(["--store", store, "contract", "record", *words, "--project", str(shop)])
    found = {}
    for file in sorted((shop / "contracts").glob("*.json")):
        contract = json.loads(file.read_text(encoding="utf-8"))
        found[contract["endpoint"]] = [one["request"] for one in contract["exchanges"]]
    return code, found


def test_schema_of_the_application_becomes_contracts(shop, capsys):
    """As it answers it itself; what has no example or no answer is left out, and said."""
    text = (shop / "shop.py").read_text(encoding="utf-8")
    schema = (
        f'        elif path == "/openapi.json":\n            body = {SCHEMA!r}\n        else:\n'
    )
    (shop / "shop.py").write_text(text.replace("        else:\n", schema), encoding="utf-8")
    code, found = record(shop, "--openapi", "/openapi.json")
    assert code == 0
    assert {name: [one["target"] for one in ones] for name, ones in found.items()} == {
        "GET /items": ["/items", "/items?stock=2", "/items?stock=4"]
    }
    said = capsys.readouterr().err
    assert "left out: GET /by/{slug}: the schema has no example for its parameter slug" in said
    assert "left out: GET /nowhere answers nothing but errors or redirects (404)" in said


def test_one_endpoint_of_a_schema_is_recorded(shop):
    """From a file; parameters may have other names."""
    schema = shop.parent / "schema.json"
    schema.write_text(json.dumps(SCHEMA), encoding="utf-8")
    code, found = record(shop, "GET /items", "--openapi", str(schema))
    assert (code, list(found)) == (0, ["GET /items"])


def test_captured_requests_become_contracts(shop, capsys):
    """Those that had credentials are sent by the actor, without one they are left out."""
    store = Store(shop.parent / "traces.db")
    target = {"method": "GET", "target": "/items?stock=2"}
    me = {"method": "GET", "target": "/me", "headers": [["x-user-token", MASK]]}
    store.keep_requests([Captured("GET /items", json.dumps(target))])
    store.keep_requests([Captured("GET /me", json.dumps(me))])
    store.close()
    code, found = record(shop, "--captured")
    assert (code, list(found)) == (0, ["GET /items"])
    assert "1 request of GET /me had credentials" in capsys.readouterr().err
    code, found = record(shop, "--captured", "--actor", "ann")
    assert (code, list(found)) == (0, ["GET /items", "GET /me"])
    assert found["GET /me"][0]["actor"] == "ann"
    assert found["GET /items"][0].get("actor") is None


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--captured"], "holds no captured request"),
        (["--openapi", "/openapi.json"], "answers /openapi.json with 404"),
        (["--openapi", "no.json"], "no.json cannot be read"),
        (["--captured", "--actor", "bob"], "no actor 'bob'"),
    ],
)
def test_source_that_gives_nothing_is_wrong_use(shop, capsys, words, reason):
    """Exit code 2, with what to do."""
    assert record(shop, *words) == (2, {})
    assert reason in capsys.readouterr().err
