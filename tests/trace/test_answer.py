"""What is kept of an answer: digests, and nothing where it is not known to the end."""

from __future__ import annotations

import pytest

from queryscope.trace.answer import MAX_ANSWER_BYTES, OpenAnswer

KEY = b"tests"
LENGTH = ("Content-Length", "5")


def answer(*chunks, status="200", headers=(LENGTH,), key=KEY, **environ):
    """Return what is kept of an answer of some chunks."""
    found = OpenAnswer({"PATH_INFO": "/books/", "QUERY_STRING": "page=2", **environ})
    found.begin(status, headers)
    for chunk in chunks:
        found.add(chunk)
    return found.frozen(key)


@pytest.mark.parametrize(
    "found",
    [
        answer(b"hello", status="404"),
        answer(b"hello", status="304"),
        answer(b"hello", headers=()),
        answer(b"hell"),
        answer(b"hello", b"!"),
        answer(b"hello", headers=[("Content-Length", "five")]),
        answer(b"hello", HTTP_RANGE="bytes=0-4"),
        answer(headers=[("Content-Length", str(MAX_ANSWER_BYTES + 1))]),
        answer(b"x" * (MAX_ANSWER_BYTES + 1), headers=()),
        OpenAnswer({}).frozen(KEY),
    ],
    ids=[
        "missing", "not modified", "streamed", "cut", "longer", "no number", "range", "large",
        "large stream", "never begun",
    ],
)  # fmt: skip
def test_answer_that_is_not_known_to_its_end_is_none(found):
    """Of a part nobody can tell whether the rest is equal."""
    assert found is None


def test_equal_answers_have_equal_digests():
    """However the body was cut into chunks."""
    one, other = answer(b"hello"), answer(b"he", b"llo")
    assert one == other
    assert (one.size_bytes, len(one.said), len(one.asked)) == (5, 16, 16)


@pytest.mark.parametrize(
    ("other", "same"),
    [
        (answer(b"Hello"), "asked"),
        (answer(b"hello", headers=[LENGTH, ("Content-Type", "text/html")]), "asked"),
        (answer(b"hello", QUERY_STRING="page=3"), "said"),
        (answer(b"hello", PATH_INFO="/book/"), "said"),
    ],
    ids=["body", "type", "query", "path"],
)
def test_what_differs_is_told(other, same):
    """The request's digest, and the answer's."""
    one = answer(b"hello")
    differs = {"asked": "said", "said": "asked"}[same]
    assert getattr(one, same) == getattr(other, same)
    assert getattr(one, differs) != getattr(other, differs)


def test_digests_are_keyed():
    """Nobody can try paths against them without the project's key."""
    one, other = answer(b"hello"), answer(b"hello", key=b"another")
    assert one.asked != other.asked
    assert one.said != other.said


def test_headers_about_caches_are_kept():
    """Those, cut short, and whether there was a cookie or an authorization."""
    headers = [LENGTH, ("cache-control", "private"), ("VARY", "Cookie"), ("Set-Cookie", "a=secret")]
    found = answer(b"hello", headers=headers, HTTP_COOKIE="session=secret")
    assert (found.cache, found.vary) == ("private", "Cookie")
    assert (found.sets_cookie, found.credentials) == (True, True)
    assert "secret" not in repr(found)
    assert len(answer(b"hello", headers=[LENGTH, ("Vary", "x" * 900)]).vary) == 200
    assert answer(b"hello", HTTP_AUTHORIZATION="Bearer x").credentials
    assert not answer(b"hello").credentials


def test_body_that_is_there_as_a_whole_needs_no_length():
    """A list of chunks, or Django's own content."""
    found = OpenAnswer({})
    found.begin("200", ())
    found.add(b"hello")
    found.whole()
    assert found.frozen(KEY).size_bytes == 5
