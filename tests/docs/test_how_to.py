"""The README and the how-to guides, followed in the application of a tutorial."""

from __future__ import annotations

import pytest

from tests import services
from tests.docs.markdown import DOCS, ROOT, blocks
from tests.docs.reader import Reader

REPORT = "## 2. The report"
SQLALCHEMY = ("sqlalchemy.md", "")
FLASK = ("sqlalchemy.md", "queryscope")
DJANGO = ("django.md", "MIDDLEWARE.insert")
DJANGO_ON = ("django.md", "")
GUIDES = {
    # page: (the tutorial that it goes on with, what its application is without), done at least
    "celery.md": (SQLALCHEMY, {"served": 1, "written": 1, "run": 2, "looked": 2, "checked": 2}),
    "deploy.md": (SQLALCHEMY, {"served": 4, "fetched": 4, "written": 2, "run": 4, "looked": 4}),
    "django-admin.md": (DJANGO_ON, {"written": 5, "run": 2, "looked": 2}),
    "django-rest-framework.md": (DJANGO_ON, {"served": 2, "fetched": 2, "written": 4, "looked": 2}),
    "fastapi.md": (SQLALCHEMY, {"served": 1, "fetched": 1, "written": 1, "looked": 2}),
    "flask.md": (FLASK, {"served": 4, "fetched": 2, "written": 4, "looked": 2}),
    "growth.md": (SQLALCHEMY, {"written": 3, "run": 4, "looked": 3, "checked": 1}),
    "graphql.md": (SQLALCHEMY, {"served": 1, "fetched": 2, "written": 1, "looked": 2}),
    "jinja2.md": (DJANGO_ON, {"served": 1, "fetched": 1, "written": 5, "looked": 1}),
    "legacy-code-base.md": (SQLALCHEMY, {"written": 6, "run": 12, "looked": 11}),
    "management-commands.md": (DJANGO, {"written": 3, "run": 2, "looked": 2}),
    "plans.md": (SQLALCHEMY, {"written": 3, "run": 4, "looked": 3}),
    "pytest-budgets.md": (SQLALCHEMY, {"written": 6, "run": 5, "looked": 4}),
    "run.md": (DJANGO, {"served": 1, "fetched": 1, "written": 1, "run": 2, "looked": 3}),
    "scripts-and-notebooks.md": (SQLALCHEMY, {"written": 3, "run": 3, "looked": 3}),
    "production.md": (SQLALCHEMY, {"checked": 3, "served": 1, "fetched": 1, "run": 1, "looked": 2}),
    "verify-a-patch.md": (SQLALCHEMY, {"written": 3, "run": 3, "looked": 3, "checked": 1}),
    "read-the-report.md": (SQLALCHEMY, {"served": 1, "fetched": 1, "run": 1, "looked": 2}),
}

SERVICES = {
    # page: the environment variable that says where the service is, which the page has on localhost
    "celery.md": lambda: ("CELERY_BROKER_URL", services.redis_url()),
}


def follow(page, tutorial, folder):
    """Follow a page in the application of a tutorial and return what was done how often."""
    name, without = tutorial
    with Reader(folder) as reader:
        reader.prepare(DOCS / "tutorial" / name, until=REPORT, leave_out=without)
        reader.follow(page)
    return reader.done


def test_every_guide_is_followed():
    """A new guide has to be named here, or nobody would follow it."""
    assert {page.name for page in (DOCS / "how-to").glob("*.md")} == set(GUIDES)


@pytest.mark.parametrize("name", sorted(GUIDES))
def test_guide_does_what_it_says(name, tmp_path, monkeypatch):
    """Each block of a guide runs, or is checked, and its outputs are as shown."""
    if name in SERVICES:
        monkeypatch.setenv(*SERVICES[name]())
    tutorial, least = GUIDES[name]
    page = DOCS / "how-to" / name
    done = follow(page, tutorial, tmp_path / "bookshop")
    assert {key: done[key] for key in least if done[key] < least[key]} == {}
    assert sum(done.values()) >= len(blocks(page.read_text(encoding="utf-8")))


def test_readme_does_what_it_says(tmp_path):
    """The first report, the script, the budget and the commands of the README are as shown."""
    done = follow(ROOT / "README.md", SQLALCHEMY, tmp_path / "bookshop")
    assert done["written"] >= 3
    assert done["run"] >= 3
    assert done["looked"] >= 3
    assert done["reports"] == 1
    assert done["checked"] >= 1
