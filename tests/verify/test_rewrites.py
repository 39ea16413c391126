"""The rewrites of the judge's benchmark: each can be made, and is what its class says."""

from __future__ import annotations

import pytest

from benchmarks.verifier.projects import ASKED, PROJECTS
from benchmarks.verifier.rewrites import HERE, rewrites


@pytest.mark.parametrize("project", PROJECTS[:2], ids=lambda one: one.orm)
def test_every_rewrite_can_be_made(project):
    """All compile but those that are not to, differ from the original, and have their own name."""
    folder = HERE / "projects" / f"{project.orm}_shop"
    original = (folder / project.views).read_text(encoding="utf-8")
    found = rewrites(project.orm, original, dict.fromkeys(ASKED, ("not asked", "200, []")))
    assert len({one.name for one in found}) == len(found)
    assert {one.view for one in found} == set(ASKED)
    assert any(one.right for one in found)
    for one in found:
        assert one.text != original, one.name
        try:
            compile(one.text, one.name, "exec")
        except SyntaxError:
            assert one.kind == "does not boot", one.name
