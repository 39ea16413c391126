"""Django's admin: lists, forms with inlines, autocomplete and actions, with the admin's classes."""

from __future__ import annotations

import django
import pytest
from django.contrib.auth.models import User

from tests.django.library.models import Book
from tests.frameworks.conftest import SITE_FOLDER, stands

FILE = SITE_FOLDER / "administration.py"


@pytest.fixture
def admin(site):
    """The site with somebody logged in who may do everything."""
    # Without a password: hashing one takes longer than all the rest.
    site.client.force_login(User.objects.create(username="root", is_staff=True, is_superuser=True))
    return site


def test_columns_of_a_list_are_found_at_their_lines(admin):
    """Methods of ``list_display`` that ask for each row, and the admin class to mend."""
    found = admin.get("/dirty/library/book/").wanted
    assert set(found) == {
        ("QS101", '.select_related("publisher")'),
        ("QS103", '.annotate(reviews_count=Count("reviews"))'),
    }
    related, counted = sorted(found.values(), key=lambda finding: finding.code)
    assert stands(related.origin.first, FILE, "# column")
    assert stands(counted.origin.first, FILE, "# counted")
    for finding in (related, counted):
        assert (finding.count, finding.severity) == (6, "warning")
        assert stands(finding.mend.at, FILE, "class BookAdmin(")
    assert "see list_select_related or get_queryset()" in related.mend.how
    assert "list_select_related" not in counted.mend.how


def test_list_select_related_mends_the_list(admin):
    """What stays is the admin's own second count, which is worth no more than an info."""
    seen = admin.get("/repaired/library/book/")
    assert seen.wanted == {}
    assert seen.trace.statements == 5  # session, user, two counts, the rows
    (finding,) = seen.repeated
    assert finding.code == "QS201"
    assert "from library code" in finding.message
    assert "an option of RepairedBookAdmin" in finding.mend.how


def test_columns_by_name_are_found_at_the_admin_class(admin):
    """No line of the user's runs: a library's tag is the origin, behind it the admin class."""
    seen = admin.get("/plain/library/book/")
    # Since 6.1 Django joins a foreign key that may be null, too.
    editor = {("QS101", '.select_related("editor")')} if django.VERSION < (6, 1) else set()
    assert set(seen.wanted) == {("QS101", '.select_related("detail")'), *editor}
    for finding in seen.wanted.values():
        assert finding.origin.first.template == "admin/change_list.html"
        assert stands(finding.origin.frame, FILE, "class PlainBookAdmin(")
        assert stands(finding.mend.at, FILE, "class PlainBookAdmin(")


def test_model_without_an_admin_class_has_its_model(admin):
    """Registered without a class: the nearest thing of the user's is the model."""
    seen = admin.get("/dirty/library/author/")
    assert seen.trace.attributes["endpoint"].endswith(
        "library/models.py::tests.django.library.models::Author"
    )
    assert seen.wanted == {}


def test_rows_named_by_the_model_are_silent(admin):
    """``__str__`` that reads a column asks for nothing."""
    assert admin.get("/plain/library/bookdetail/").wanted == {}


def test_form_with_inlines(admin):
    """A form, its inlines and its choices want nothing done; equal choices are an info."""
    pk = Book.objects.first().pk
    seen = admin.get(f"/dirty/library/book/{pk}/change/")
    assert seen.answer.status_code == 200
    assert seen.trace.name == "GET /dirty/library/book/<path:object_id>/change/"
    assert seen.repeated == []
    inlines = admin.get(f"/inlines/library/book/{pk}/change/")
    assert inlines.wanted == {}
    assert {finding.code for finding in inlines.repeated} == {"QS201"}
    for finding in inlines.repeated:
        assert stands(finding.origin.frame, FILE, "class InlinesBookAdmin(")


def test_autocomplete_is_one_statement_and_a_count(admin):
    """A search for choices asks for a page of them."""
    seen = admin.get(
        "/repaired/autocomplete/?term=p&app_label=library&model_name=book&field_name=publisher"
    )
    assert len(seen.answer.json()["results"]) == 3
    assert [query.model for query in seen.queries[2:]] == ["library.Publisher"] * 2
    assert seen.repeated == []


def test_action_that_saves_one_by_one_is_found_at_its_line(admin):
    """An action's loop of writes, and the one that writes at once."""
    chosen = [book.pk for book in Book.objects.all()]
    seen = admin.post("/dirty/library/book/", {"action": "shout", "_selected_action": chosen})
    ((code, write),) = seen.wanted
    assert (code, write) == ("QS107", "Book.objects.bulk_update(objects, fields)")
    assert stands(seen.wanted[code, write].origin.first, FILE, "# action")
    mended = admin.post(
        "/dirty/library/book/", {"action": "shout_at_once", "_selected_action": chosen}
    )
    assert mended.answer.status_code == 302
    assert mended.wanted == {}
