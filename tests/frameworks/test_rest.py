"""Django REST framework: view sets, nested serializers, methods, pages, throttles, its pages."""

from __future__ import annotations

import pytest

from tests.django.library.models import Book
from tests.frameworks.conftest import SITE_FOLDER, stands

FILE = SITE_FOLDER / "rest.py"


@pytest.mark.parametrize("name", ["nested", "paged"])
def test_nested_serializers_are_found_at_the_view_set(site, name):
    """No line of the user's asks: the origin is the view set, the mend its queryset."""
    seen = site.get(f"/api/{name}/")
    rows = len(seen.answer.json() if name == "nested" else seen.answer.json()["results"])
    assert set(seen.wanted) == {
        ("QS101", '.select_related("publisher")'),
        ("QS101", '.prefetch_related("genres")'),
    }
    kind = {"nested": "class NestedViewSet(", "paged": "class PagedViewSet("}[name]
    for finding in seen.wanted.values():
        assert finding.count == rows
        assert stands(finding.origin.first, FILE, kind)
        # PagedViewSet has the queryset of the class that it is made from.
        assert stands(finding.mend.at, FILE, "# nested")


@pytest.mark.parametrize("name", ["nested-repaired", "paged-repaired", "stars-repaired", "links"])
def test_repaired_and_look_alikes_are_silent(site, name):
    """With their relations, with keys alone, or annotated: nothing is said, not even an info."""
    seen = site.get(f"/api/{name}/")
    assert seen.answer.status_code == 200
    assert seen.repeated == []
    assert len(seen.queries) <= 3


def test_method_is_found_at_its_line(site):
    """A serializer's method that counts is the origin; a dotted source has the view set's."""
    found = site.get("/api/stars/").wanted
    counted = found.pop(("QS103", '.annotate(reviews_count=Count("reviews"))'))
    dotted = found.pop(("QS101", '.select_related("editor")'))
    assert found == {}
    assert stands(counted.origin.first, FILE, "# method")
    assert stands(dotted.origin.first, FILE, "class StarsViewSet(")
    assert stands(counted.mend.at, FILE, "# stars")
    assert stands(dotted.mend.at, FILE, "# stars")


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/api/links/", "GET /api/links/"),
        ("/api/links/{pk}/", "GET /api/links/<pk>/"),
        ("/api/links/{pk}/similar/", "GET /api/links/<pk>/similar/"),
        ("/api/links/{pk}.json", "GET /api/links/<pk>.<format>/"),
    ],
)
def test_trace_is_named_as_people_write_the_route(site, path, name):
    """The router's regular expressions are no name for a route."""
    seen = site.get(path.format(pk=Book.objects.first().pk))
    assert seen.answer.status_code == 200
    assert seen.trace.name == name


def test_search_pages_and_order_are_the_requests(site):
    """What filters and the paginator ask is in the Trace, with the stage of the serializer."""
    seen = site.get("/api/paged-repaired/?search=p1&ordering=-title&page=1")
    assert seen.answer.json()["count"] == 2
    assert [query.operation for query in seen.queries] == ["count", "iterate", "prefetch"]
    assert "serialize ListSerializer" in [stage.name for stage in seen.trace.stages]
    assert seen.repeated == []


def test_throttles_in_the_database_are_no_finding(site):
    """A throttle asks its cache's table and writes it at each request: nobody can mend that."""
    seen = site.get("/api/throttled/")
    assert sum("frameworks_cache" in query.statement for query in seen.queries) > 4
    assert seen.repeated == []


def test_page_of_the_browsable_api(site):
    """Its page asks as its JSON does; what only its forms ask again is no more than an info."""
    html = {"accept": "text/html"}
    seen = site.get("/api/nested/", headers=html)
    assert b"<!DOCTYPE html>" in seen.answer.content
    assert set(seen.wanted) == set(site.get("/api/nested/").wanted)
    assert site.get("/api/nested-repaired/", headers=html).wanted == {}
    one = site.get(f"/api/nested/{Book.objects.first().pk}/", headers=html)
    assert one.wanted == {}
    for finding in one.repeated:
        assert stands(finding.origin.frame, FILE, "class NestedViewSet(")


def test_error_is_answered_and_noted(site):
    """What a view set raises is the Trace's error, what it refuses is none."""
    assert site.get("/api/links/0/").trace.error is None
    seen = site.post("/api/links/", {"title": "x"}, content_type="application/json")
    assert (seen.answer.status_code, seen.trace.attributes["status"]) == (400, "400")
    assert seen.trace.error is None
    broken = site.get("/api/broken/")
    assert (broken.answer.status_code, broken.trace.error) == (
        500,
        "RuntimeError: broken on purpose",
    )
