"""What a patch's text alone says: innocent ones first."""

from __future__ import annotations

from pathlib import Path

import pytest

from queryscope.verify.policy import broken, refusal
from queryscope.verify.project import from_table

TABLE = {"app": "shop:app", "database": "sqlite:///shop.db"}


def judged(before, after, path="shop.py", **more):
    """Return the kind of what a change is refused for, None for an innocent one."""
    project = from_table(TABLE | more, root=Path("/project"), source="pyproject.toml")
    found = refusal({path: (before, after)}, project)
    return found and found.constraint.kind


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("x = f()\n", "x = g()\n"),
        ("import time\nx = time.time()\n", "import time\n\n\nx = time.time() + 1\n"),
        ("", "from sqlalchemy.orm import joinedload\nx = joinedload\n"),
        ("", "NAMES = {1: 'open', 2: 'closed'}\n\ndef name(n):\n    return NAMES[n]\n"),
        ("", "def f(rows):\n    found = []\n    found.append(1)\n    return found\n"),
        ("import os\nx = os.environ['A']\n", "import os\ny = os.environ['A']\n"),
        ("", "class A:\n    def f(self):\n        self.rows = 1\n"),
        ("", "try:\n    f()\nexcept ValueError:\n    pass\n"),
        ("", "try:\n    f()\nexcept Exception:\n    close()\n    raise\n"),
        ("try:\n    f()\nexcept:\n    pass\n", "try:\n    g()\nexcept:\n    pass\n"),
    ],
)
def test_innocent_change_passes(before, after):
    """Joins, constants, locals, and reads that were there before."""
    assert judged(before, after) is None


@pytest.mark.parametrize(
    ("after", "kind"),
    [
        ("import sys\nif 'pytest' in sys.argv: pass\n", "environment"),
        ("from os import environ as e\nx = e['CI']\n", "environment"),
        ("import os\nx = os.getenv('CI')\n", "environment"),
        ("import socket\nx = socket.gethostname()\n", "environment"),
        ("import datetime as dt\nx = dt.date.today().month == 12\n", "clock"),
        ("from django.utils import timezone\nx = timezone.now()\n", "clock"),
        ("from time import time\nx = time()\n", "clock"),
        ("KEPT = {}\ndef f(k):\n    KEPT[k] = 1\n", "module-state"),
        (
            "class A:\n    kept = []\n    def f(self):\n        self.kept.append(1)\n",
            "module-state",
        ),
        ("from functools import lru_cache\n@lru_cache(None)\ndef f(): pass\n", "module-state"),
        ("def f(kept={}):\n    kept[1] = 2\n", "module-state"),
        ("def f():\n    f.kept = 1\n", "module-state"),
        ("x = None\ndef f():\n    global x\n    x = 1\n", "module-state"),
        ("from django.core.cache import cache\ndef f():\n    cache.set('a', 1)\n", "module-state"),
        ("try:\n    f()\nexcept Exception:\n    pass\n", "swallowed-errors"),
        ("try:\n    f()\nexcept:\n    pass\n", "swallowed-errors"),
        ("try:\n    f()\nexcept (ValueError, Exception) as e:\n    log(e)\n", "swallowed-errors"),
        ("import threading\n", "imports"),
        ("from subprocess import run\n", "imports"),
    ],
)
def test_trick_is_refused_and_may_be_allowed(after, kind):
    """Each kind is refused by its name, and passes where the project allows it."""
    # An import that is needed for the trick may be named first: it is as new as the trick.
    kinds = {f"policy {kind}", "policy imports"}
    assert judged("", after) in kinds
    assert judged("", after, allow=[kind, "imports"]) is None


@pytest.mark.parametrize(
    "after",
    ["x = 1  # faster\n", "\n\nx = 1\n", '"""Doc."""\nx = 1\n', "x = (1)\n"],
)
def test_change_without_effect_is_refused(after):
    """Comments, white space and docstrings do not run."""
    assert judged("x = 1\n", after) == "no effect"


@pytest.mark.parametrize("path", ["pyproject.toml", "contracts/get-items.json"])
def test_judges_are_not_changed(path):
    """What decides how a patch is judged is not the patch's to change."""
    assert judged("a", "b", path=path) == "policy"


def test_broken_python_is_named():
    """File, line and reason."""
    found = broken({"a.txt": ("", "("), "shop.py": ("", "x = 1\nx = (\n")})
    assert found is not None
    assert found.reason.startswith("shop.py:2 does not compile")
    assert broken({"shop.py": ("x = (", "x = 1\n")}) is None
