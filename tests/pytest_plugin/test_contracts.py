"""Contracts as tests: collected, asked again, failing with a diff, rewritten where asked."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing

import pytest

from queryscope.cli.main import main
from queryscope.pytest_plugin.plugin import CONTRACT
from queryscope.verify.contract import KIND
from tests.verify.shop import bytes_of, make_shop

PLAIN = ("-p", "no:randomly", "-p", "no:cacheprovider", "-p", "no:django", "--color=no", "-rN")


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """Return the folder of a shop with contracts of two endpoints."""
    folder = make_shop(tmp_path_factory.mktemp("shop"))
    words = ["--request", "/items?stock=2", "--request", "/items", "--request", "/me as ann"]
    assert main(["contract", "record", *words, "--project", str(folder)]) == 0
    return folder


@pytest.fixture
def shop(pytester, recorded):
    """Return pytester in a copy of that folder."""
    shutil.copytree(recorded, pytester.path, dirs_exist_ok=True)
    return pytester


def change(shop, old, new, file="shop.py"):
    """Edit a file of the shop."""
    text = (shop.path / file).read_text(encoding="utf-8")
    assert old in text
    (shop.path / file).write_text(text.replace(old, new), encoding="utf-8")


def ran(shop, *words):
    """Run pytest on the contracts and return what it says."""
    return shop.runpytest_inprocess(*PLAIN, *words)


def test_other_json_is_no_test(pytester):
    """Fixtures of the project's own are JSON, too, and need no settings of ours."""
    (pytester.path / "data.json").write_text('{"queryscope": 1}', encoding="utf-8")
    result = ran(pytester)
    result.assert_outcomes()
    assert result.ret == pytest.ExitCode.NO_TESTS_COLLECTED


def test_collected_file_is_what_a_contract_is():
    """The plugin knows a contract without importing anything for it."""
    assert json.dumps(KIND).encode() == CONTRACT


def test_each_request_is_a_test_and_holds(shop):
    """They are named by what is asked; nothing of the project changes."""
    before = bytes_of(shop.path)
    result = ran(shop, "-v", "--strict-config", "contracts")
    result.assert_outcomes(passed=3)
    result.stdout.fnmatch_lines(
        [
            "contracts/get-items.json::GET /items?stock=2 PASSED*",
            "contracts/get-items.json::GET /items PASSED*",
            "contracts/get-me.json::GET /me as ann PASSED*",
        ]
    )
    assert bytes_of(shop.path) == before


def test_other_answer_fails_with_a_diff_and_is_rewritten(shop):
    """The diff alone, no line of ours; then --contract-update writes, and says what it wrote."""
    before = bytes_of(shop.path)
    change(shop, '"stock": item.stock or 0', '"stock": item.stock')
    result = ran(shop, "contracts/get-items.json")
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(
        [
            "GET /items",
            "*expected*got",
            "*body $[[]*[]].stock*0*null",
            "The answer differs from its contract in 1 place.*--contract-update*",
        ]
    )
    result.stdout.no_fnmatch_line("*contracts.py*")
    assert bytes_of(shop.path)["contracts/get-items.json"] == before["contracts/get-items.json"]
    result = ran(shop, "--contract-update")
    result.assert_outcomes(passed=3)
    result.stdout.fnmatch_lines(
        ["*contracts written anew*", "*get-items.json", "*GET /items", "*stock*0*null"]
    )
    after = bytes_of(shop.path)
    contracts = [name for name in after if name.startswith("contracts")]
    changed = {name for name in contracts if after[name] != before[name]}
    assert changed == {"contracts/get-items.json"}
    written = json.loads(after["contracts/get-items.json"])
    assert len(written["exchanges"]) == 2


def test_endpoint_may_have_several_contracts(shop):
    """Each file keeps its own requests, also where it is written anew."""
    more = shop.path / "contracts" / "more.json"
    contract = json.loads((shop.path / "contracts" / "get-items.json").read_text(encoding="utf-8"))
    contract["exchanges"] = [contract["exchanges"][0]]
    contract["exchanges"][0]["request"]["target"] = "/items?stock=3"
    more.write_text(json.dumps(contract), encoding="utf-8")
    ran(shop, "contracts", "--contract-update").assert_outcomes(passed=4)
    written = json.loads(more.read_text(encoding="utf-8"))["exchanges"]
    assert [one["request"]["target"] for one in written] == ["/items?stock=3"]
    ran(shop, "contracts").assert_outcomes(passed=4)


def test_masked_header_is_the_actors(shop):
    """A file holds no credential: who asks brings it."""
    file = shop.path / "contracts" / "get-me.json"
    contract = json.loads(file.read_text(encoding="utf-8"))
    headers = [["Authorization", "<from the actor>"], ["Accept", "text/html"]]
    contract["exchanges"][0]["request"]["headers"] = headers
    file.write_text(json.dumps(contract), encoding="utf-8")
    change(shop, '{"X-User": "ann"}', '{"Authorization": "ann"}')
    change(shop, 'get("HTTP_X_USER")', 'get("HTTP_AUTHORIZATION")')
    ran(shop, "contracts/get-me.json").assert_outcomes(passed=1)


def test_other_data_fails_every_request(shop):
    """The reason is said; --contract-update records on the data that is there."""
    with closing(sqlite3.connect(shop.path / "shop.db")) as connection:
        connection.execute("UPDATE item SET name = 'other'")
        connection.commit()
    result = ran(shop)
    result.assert_outcomes(failed=3)
    result.stdout.fnmatch_lines(["The contract of GET /* was recorded on other data*"])
    ran(shop, "--contract-update").assert_outcomes(passed=3)
    ran(shop).assert_outcomes(passed=3)


def test_application_that_does_not_boot_fails_with_the_reason(shop):
    """The first error of the child."""
    change(shop, "import json\n", "import jsonn\n")
    result = ran(shop, "contracts/get-me.json")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*fails at boot*No module named 'jsonn'*"])


def test_damaged_contract_is_an_error_of_its_file(shop):
    """Others are asked all the same."""
    file = shop.path / "contracts" / "get-items.json"
    file.write_text(f'{{"{KIND}": 1, "endpoint"', encoding="utf-8")
    result = ran(shop, "--continue-on-collection-errors")
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*get-items.json is no JSON*"])


@pytest.mark.parametrize(
    ("text", "reason"),
    [("", "names no application"), ('app = "a:b"', "names no data"), ("apps = 1", "no setting")],
)
def test_project_without_settings_is_wrong_use(shop, text, reason):
    """Nothing is run, and what is missing is named."""
    (shop.path / "pyproject.toml").write_text(f"[tool.queryscope]\n{text}\n", encoding="utf-8")
    result = ran(shop)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR:*{reason}*"])
