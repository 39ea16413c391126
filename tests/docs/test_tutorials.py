"""The tutorials, done step by step in an empty folder, with real servers and real processes."""

from __future__ import annotations

import pytest

from tests.docs.markdown import DOCS
from tests.docs.reader import Reader


@pytest.mark.parametrize(
    ("page", "least", "codes"),
    [
        ("django.md", {"written": 9, "run": 5, "looked": 5}, ("QS101",)),
        (
            "sqlalchemy.md",
            {"written": 5, "run": 4, "looked": 7},
            ("QS101", "QS501", "QS505"),
        ),
    ],
)
def test_tutorial_does_what_it_says(tmp_path, page, least, codes):
    """From an empty folder to a report, a budget that fails, and a page that is mended."""
    with Reader(tmp_path / "bookshop") as reader:
        reader.folder.mkdir()
        reader.follow(DOCS / "tutorial" / page)
        assert all(reader.done[what] >= times for what, times in least.items()), reader.done
        assert reader.done["reports"] == 2
        assert "GET /books/" in reader.report
        assert "QS101" not in reader.report
        listed = reader.run("queryscope list")
        assert all(code in listed for code in codes)
        assert (reader.folder / ".queryscope" / "test_books.html").exists()
