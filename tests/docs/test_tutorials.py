"""The tutorials, done step by step in an empty folder, with real servers and real processes."""

from __future__ import annotations

from tests.docs.markdown import DOCS
from tests.docs.reader import Reader


def test_django_tutorial_does_what_it_says(tmp_path):
    """From an empty folder to a report, a budget that fails, and a page that is mended."""
    with Reader(tmp_path / "bookshop") as reader:
        reader.folder.mkdir()
        reader.follow(DOCS / "tutorial" / "django.md")
        assert reader.done["written"] >= 9
        assert reader.done["run"] >= 5
        assert reader.done["looked"] >= 5
        assert reader.done["reports"] == 2
        assert "GET /books/" in reader.report
        assert "QS101" not in reader.report
        assert "QS101" in reader.run("queryscope list")
        assert (reader.folder / ".queryscope" / "test_books.html").exists()


def test_sqlalchemy_tutorial_does_what_it_says(tmp_path):
    """From an empty folder to a report, a budget that fails, and an endpoint that is mended."""
    with Reader(tmp_path / "bookshop") as reader:
        reader.folder.mkdir()
        reader.follow(DOCS / "tutorial" / "sqlalchemy.md")
        assert reader.done["written"] >= 5
        assert reader.done["run"] >= 4
        assert reader.done["looked"] >= 7
        assert reader.done["reports"] == 2
        assert "GET /books/" in reader.report
        assert "QS101" not in reader.report
        listed = reader.run("queryscope list")
        assert all(code in listed for code in ("QS101", "QS501", "QS505"))
        assert (reader.folder / ".queryscope" / "test_books.html").exists()
