"""Django's requests at their edges: errors of middlewares, handled and not, sync and async."""

from __future__ import annotations

import pytest
from django.core.signals import got_request_exception
from django.http import HttpResponse
from django.test import Client

import queryscope
from queryscope.django.middleware import _template
from tests.django.library.models import Genre
from tests.frameworks.conftest import MIDDLEWARE


def raising(get_response):
    """Ask, then raise: a middleware of the user's."""

    def middleware(request):
        Genre.objects.count()
        raise RuntimeError("the middleware is broken")

    return middleware


class Answering:
    """A middleware of the user's that answers what a view raises."""

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        """Pass on."""
        return self.get_response(request)

    def process_exception(self, request, exception):
        """Answer."""
        return HttpResponse("answered", status=409)


HERE = f"{__name__}."


def test_error_of_a_middleware_is_noted(site, settings):
    """No view was reached: the Trace has the error that Django answers with status 500."""
    settings.MIDDLEWARE = [MIDDLEWARE, HERE + "raising"]
    seen = site.get("/titles/")
    assert (seen.answer.status_code, seen.trace.attributes["status"]) == (500, "500")
    assert seen.trace.error == "RuntimeError: the middleware is broken"
    assert seen.trace.statements == 1


def test_error_of_a_middleware_is_noted_under_asgi(open_site, settings):
    """The same where Django answers in another thread."""
    settings.MIDDLEWARE = [MIDDLEWARE, HERE + "raising"]
    seen = open_site.get_async("/titles/")
    assert seen.trace.error == "RuntimeError: the middleware is broken"


def test_error_that_another_middleware_answers_is_none(site, settings):
    """What the application handles by itself is no error of the request."""
    settings.MIDDLEWARE = [MIDDLEWARE, HERE + "Answering"]
    seen = site.get("/api/broken/")
    assert seen.answer.status_code == 409
    assert seen.trace.error is None


@pytest.mark.parametrize("path", ["/nowhere/", "/api/links/0/"])
def test_what_is_not_found_is_no_error(site, path):
    """Status 404 is an answer."""
    seen = site.get(path)
    assert (seen.answer.status_code, seen.trace.error) == (404, None)


@pytest.mark.parametrize(
    ("route", "written"),
    [
        ("books/<int:pk>/", "/books/<int:pk>/"),
        ("files(1)/", "/files(1)/"),
        ("", "/"),
        (r"^old/(?P<year>[0-9]{4})/$", "/old/<year>/"),
        (r"^old/(?P<day>(\d\d)-(\d\d))/(\w+)/\Z", "/old/<day>/<value>/"),
        (r"api/^[()]/(?P<key>[^/.)]+)\.(?P<format>[a-z0-9]+)/?$", "/api/[()]/<key>.<format>/"),
        (r"^broken/(?P<key>[^/]+", "/broken/<key>"),
    ],
)
def test_route_is_written_as_people_write_it(route, written):
    """Anchors and groups go; what ``path`` made, and what is no group, stays."""
    assert _template(route) == written


def test_uninstall_stops_listening(site):
    """Django's signal of errors has the receivers that it had."""
    queryscope.uninstall()
    before = list(got_request_exception.receivers)
    site.client = Client()
    site.get("/titles/")
    assert len(got_request_exception.receivers) == len(before) + 1
    queryscope.uninstall()
    assert got_request_exception.receivers == before
