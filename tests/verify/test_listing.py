"""Lists of requests and what is wrong with them."""

from __future__ import annotations

import json

import pytest

from queryscope.verify.listing import ListingError, by_endpoint, from_har, from_lines


def read(text):
    """Return the requests of a list, with one actor known."""
    return from_lines(text, source="urls.txt", actors={"ann"})


def test_lines_become_requests():
    """Method, target, actor and body; comments and empty lines are none."""
    found = read(
        '# all\n\n/items?q=ä%20b\nGET /items/7 as ann\nPOST https://x.y/items as ann {"a": 1}\n'
    )
    assert [(one.method, one.target, one.actor, one.body) for one in found] == [
        ("GET", "/items?q=%C3%A4%20b", "", b""),
        ("GET", "/items/7", "ann", b""),
        ("POST", "/items", "ann", b'{"a": 1}'),
    ]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("GET /a as bob", "no actor 'bob'"),
        ("FETCH /a", "FETCH is none of"),
        ("GET items", "must begin with a slash"),
        ("POST /a {oops", "body is no JSON"),
        ("GET /a b c d", "is no request"),
    ],
)
def test_bad_line_is_named(text, reason):
    """File, line and reason."""
    with pytest.raises(ListingError, match=reason) as caught:
        read(f"/fine\n{text}")
    assert "urls.txt, line 2" in str(caught.value)


def test_requests_are_sorted_by_endpoint():
    """Numbers and UUIDs are parameters; the same request counts once."""
    asked = read("/items/7\n/items/7\n/items/8/parts?x=1\n/me\n/items/9")
    assert {name: len(ones) for name, ones in by_endpoint(asked).items()} == {
        "GET /items/{id}": 2,
        "GET /items/{id}/parts": 1,
        "GET /me": 1,
    }
    assert list(by_endpoint(asked, wanted="GET /items/{item}/parts")) == ["GET /items/{item}/parts"]
    assert by_endpoint(asked, wanted="POST /me") == {}


def test_har_loses_credentials():
    """Cookies and tokens stay in the browser; the actor brings its own."""
    entry = {
        "request": {
            "method": "get",
            "url": "https://shop.example/items?a=1#top",
            "headers": [
                {"name": ":authority", "value": "x"},
                {"name": "Cookie", "value": "s3cret"},
                {"name": "Accept", "value": "text/html"},
            ],
        }
    }
    har = json.dumps({"log": {"entries": [entry]}})
    (request,) = from_har(har, source="x.har", actor="ann")
    assert (request.target, request.headers, request.actor) == (
        "/items?a=1",
        (("Accept", "text/html"),),
        "ann",
    )
    with pytest.raises(ListingError, match="no HAR file"):
        from_har("{}", source="x.har")
