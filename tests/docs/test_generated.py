"""The generated pages of the documentation say what the code says today."""

from __future__ import annotations

import ast
import subprocess
import sys

from queryscope.detectors import registry
from queryscope.settings import Settings
from tests.docs.markdown import DOCS, ROOT, blocks, pages


def test_generated_pages_are_not_stale():
    """What ``make docs`` would write is what is there."""
    done = subprocess.run(
        [sys.executable, str(DOCS / "generate.py"), "--check"],
        capture_output=True,
        encoding="utf-8",
        check=False,
        env={"PATH": ""},
    )
    assert done.returncode == 0, f"run `make docs`:\n{done.stdout}{done.stderr}"


def test_every_code_has_a_page_and_a_line_in_the_readme():
    """A code is found in the index, in the README and on its own page."""
    codes = DOCS / "reference" / "codes"
    index = (codes / "README.md").read_text(encoding="utf-8")
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(registry.all_detectors()) >= 13
    for code, detector in registry.all_detectors().items():
        page = (codes / f"{code}.md").read_text(encoding="utf-8")
        assert page.startswith(f"# {code} {detector.NAME}\n")
        assert "## Not flagged" in page
        assert f"[{code}]({code}.md)" in index
        assert f"[{code}](docs/reference/codes/{code}.md)" in readme


def test_every_setting_and_threshold_is_explained():
    """Each name has a row with its meaning, and each default is the one in force."""
    page = (DOCS / "reference" / "settings.md").read_text(encoding="utf-8")
    rows = {
        line.split("`")[1]: [cell.strip() for cell in line.strip("| ").split(" | ")]
        for line in page.splitlines()
        if line.startswith('| <a id="')
    }
    names = {name for name in Settings.__dataclass_fields__ if name != "thresholds"}
    assert set(rows) == names | set(registry.thresholds())
    for name in names:
        default = getattr(Settings(), name)
        shown = rows[name][2]
        assert default is None or shown == f"`{default!r}`"
        assert len(rows[name][3]) > 10
    for name, threshold in registry.thresholds().items():
        if isinstance(threshold.default, (int, float)):
            assert rows[name][1] == f"{threshold.default:g}"


def test_python_in_every_page_is_python():
    """Each block of Python, examples of the codes included, can be read by Python."""
    checked = 0
    for page in pages():
        for block in blocks(page.read_text(encoding="utf-8")):
            if block.language == "python":
                where = f"{page.relative_to(ROOT)}:{block.line}"
                ast.parse(block.text, where)
                checked += 1
    assert checked > 20
