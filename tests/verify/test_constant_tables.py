"""Tables that a project calls constant: a patch may hold them in the source."""

from __future__ import annotations

import pytest

from queryscope.errors import SettingsError
from queryscope.verify.bench import Bench
from queryscope.verify.project import load
from queryscope.verify.workspace import RunFolder
from tests.verify.shop import make_shop


def makers(tmp_path, setting):
    """Return the contents of the shop's makers on its clones, each once."""
    make_shop(tmp_path / "shop")
    file = tmp_path / "shop" / "pyproject.toml"
    text = file.read_text(encoding="utf-8")
    file.write_text(
        text.replace("[tool.queryscope]", f"[tool.queryscope]\n{setting}"), encoding="utf-8"
    )
    with RunFolder(tmp_path) as folder:
        bench = Bench(load(tmp_path / "shop"), folder)
        return {bench.source.state(clone)["maker"] for clone in bench.clones(())}


def test_constant_table_is_the_same_on_each_clone(tmp_path):
    """What the project calls constant is changed nowhere."""
    assert len(makers(tmp_path, 'constant-tables = ["maker"]')) == 1


def test_other_table_is_changed(tmp_path):
    """Without the setting the clones differ in it."""
    assert len(makers(tmp_path, "")) > 5


def test_setting_of_another_type_is_refused(tmp_path):
    """One name is no list of names."""
    with pytest.raises(SettingsError, match="constant-tables"):
        makers(tmp_path, 'constant-tables = "maker"')
