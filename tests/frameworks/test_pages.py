"""Pages of Django: Jinja2 templates, generic views, and a management command within a request."""

from __future__ import annotations

import pytest
from django.core.management import call_command

from queryscope.trace.events import TemplateNode
from tests.frameworks.conftest import SITE_FOLDER, TEMPLATES, Seen, everything, stands

FILE = SITE_FOLDER / "pages.py"


def test_jinja_template_is_the_origin(site):
    """A relation in a macro and one in a loop: each at its line of its file, the view to mend."""
    seen = site.get("/jinja/")
    assert set(seen.wanted) == {
        ("QS101", '.select_related("publisher")'),
        ("QS101", '.prefetch_related("genres")'),
    }
    joined, prefetched = (
        seen.wanted["QS101", write] for _, write in sorted(seen.wanted, reverse=True)
    )
    for finding, name, text in (
        (joined, "book.jinja.html", "book.publisher.name"),
        (prefetched, "books.jinja.html", "book.genres.all()"),
    ):
        node = finding.origin.first
        assert isinstance(node, TemplateNode)
        assert (node.engine, finding.count) == ("jinja2", 6)
        assert stands(node, TEMPLATES / "jinja2" / name, text)
        assert stands(finding.mend.at, FILE, "# by jinja")


def test_macro_is_asked_for_by_the_template_that_calls_it(site):
    """The chain goes from the macro to the template's line, then to the view's."""
    lazy = next(q for q in site.get("/jinja/").queries if q.operation == "lazy")
    macro, caller, *_, view = lazy.origin.steps
    assert stands(macro, TEMPLATES / "jinja2" / "book.jinja.html", "book.publisher.name")
    assert stands(caller, TEMPLATES / "jinja2" / "books.jinja.html", "line(book)")
    assert view.function == "jinja"


def test_jinja_template_is_a_stage(site):
    """Rendering with Jinja2 is a stage, as with Django's own templates."""
    seen = site.get("/jinja/repaired/")
    stages = {stage.name: stage.queries for stage in seen.trace.stages}
    assert stages["render books.jinja.html"] == 2
    assert seen.repeated == []


def test_generic_view_is_found_in_its_template(site):
    """The tag is the origin; the view's class, which has no queryset of its own, is to mend."""
    seen = site.get("/list/")
    (finding,) = seen.repeated
    assert (finding.code, finding.mend.write) == ("QS101", '.select_related("publisher")')
    assert finding.origin.first.source == "book.publisher.name"
    assert stands(finding.mend.at, FILE, "class BookList(")


@pytest.mark.parametrize("path", ["/list/repaired/", "/titles/"])
def test_generic_views_that_are_fine_are_silent(site, path):
    """With the relation in its queryset, or without one in its template."""
    seen = site.get(path)
    assert seen.trace.statements == 1
    assert seen.repeated == []


@pytest.fixture
def commands(site, settings):
    """The site with its commands, each recorded, as ``INSTALLED_APPS`` asks for."""
    settings.INSTALLED_APPS = [
        *settings.INSTALLED_APPS,
        "tests.frameworks.site",
        "queryscope.django",
    ]
    return site


def test_command_is_a_trace_with_its_finding(commands, capsys):
    """A management command is a script's Trace, named as it is called."""
    call_command("count_books")
    (judged,) = everything()
    assert (judged.trace.kind, judged.trace.name) == ("script", "manage.py count_books")
    assert judged.trace.statements == 7
    (finding,) = Seen(None, judged).repeated
    assert (finding.code, finding.count) == ("QS101", 6)
    assert stands(
        finding.origin.first, SITE_FOLDER / "management/commands/count_books.py", "# command"
    )
    assert capsys.readouterr().out == "3\n"


def test_command_in_a_request_is_nested(commands):
    """The request's Trace has the command's under it, and the view's own statement."""
    seen = commands.get("/command/")
    assert [child.name for child in seen.trace.children] == ["manage.py count_books"]
    assert stands(seen.trace.queries[-1].origin.first, FILE, "# after the command")
    assert len(seen.trace.queries) == 1
    assert [finding.code for finding in seen.repeated] == ["QS101"]
