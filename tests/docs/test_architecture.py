"""The page on the architecture names what there is: packages, and the modules of the core."""

from __future__ import annotations

import re

import pytest

from tests.docs.markdown import DOCS

SOURCE = DOCS.parent / "src" / "queryscope"
PAGE = (DOCS / "explanation" / "architecture.md").read_text(encoding="utf-8")


def named(text):
    """Return the names in the first column of the tables in a text."""
    cells = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    return [name.rstrip("/") for cell in cells for name in re.findall(r"`([\w/]+)`", cell)]


OVERVIEW, _, INSIDE = PAGE.partition("### Inside trace/")
INSIDE = INSIDE.partition("\n## ")[0]


@pytest.mark.parametrize("name", sorted(named(OVERVIEW)))
def test_named_package_is_there(name):
    """What the overview names is a module or a package."""
    assert (SOURCE / name).is_dir() or (SOURCE / f"{name}.py").is_file()


def test_every_package_is_named():
    """Each folder of the source has its place in the overview."""
    packages = {path.parent.name for path in SOURCE.glob("*/__init__.py")}
    assert packages <= set(named(OVERVIEW))


def test_modules_of_the_core_are_named_once():
    """Who adds a module to trace/ says beside which others it stands."""
    modules = {path.stem for path in (SOURCE / "trace").glob("*.py")} - {"__init__"}
    assert sorted(named(INSIDE)) == sorted(modules)
