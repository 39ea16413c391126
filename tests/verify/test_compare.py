"""Comparison of answers: what has to count as equal first, then every kind of difference."""

from __future__ import annotations

import json

import pytest

from queryscope.verify.bodies import body_of
from queryscope.verify.compare import MOST, differences, loose, spelled, table_of, unstable_paths
from queryscope.verify.contract import Answer
from queryscope.verify.patterns import pattern_of

JSON = "application/json"
HTML = "text/html; charset=utf-8"


def an_answer(body=b"", kind=JSON, *, status=200, headers=(), **more):
    """Return an answer; what is not bytes or text becomes JSON."""
    if isinstance(body, str):
        body = body.encode()
    elif not isinstance(body, bytes):
        body = json.dumps(body).encode()
    return Answer(status=status, headers=(("Content-Type", kind), *headers), body=body, **more)


def check_same(expected, got, kind=JSON, unstable=()):
    """Check that two bodies count as equal."""
    found = differences(an_answer(expected, kind), an_answer(got, kind), unstable=unstable)
    assert found == ()


def paths(expected, got, kind=JSON, unstable=()):
    """Return the paths where two bodies differ."""
    found = differences(an_answer(expected, kind), an_answer(got, kind), unstable=unstable)
    return [one.path for one in found]


# -- what counts as equal ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expected", "got"),
    [
        ('{"a":1,"b":2}', '{"b": 2, "a": 1}'),
        ('{"x":1e2}', '{"x":100.0}'),
        ('"\\u00e9"', '"é"'),
        ("[NaN]", "[NaN]"),
        ('{"huge":99999999999999999999999}', '{"huge": 99999999999999999999999}'),
        ("no json {", "no json {"),
    ],
)
def test_other_spelling_of_json_is_equal(expected, got):
    """Order of keys, white space and escapes are no part of what was said."""
    check_same(expected, got)


@pytest.mark.parametrize(
    ("expected", "got"),
    [
        ('<p class="a" id="b">x</p>', '<p id="b" class="a">x</p>'),
        ("<ul>\n  <li>x</li>\n</ul>", "<ul><li>x</li></ul>"),
        ("<ul><li>x<li>y</ul>", "<ul><li>x</li><li>y</li></ul>"),
        ("<p>one\n   two</p>", "<p>one two</p>"),
        ("<p>&eacute;</p>", "<p>é</p>"),
        ("<br>", "<br/>"),
    ],
)
def test_other_spelling_of_html_is_equal(expected, got):
    """White space between elements and the order of attributes change no page."""
    check_same(expected, got, HTML)


def test_transport_headers_are_not_compared():
    """The server's own headers and the length of a body that is compared anyway."""
    one = an_answer("{}", headers=(("Date", "now"), ("Server", "a"), ("Content-Length", "2")))
    other = an_answer("{} ", headers=(("date", "then"), ("content-length", "3")))
    assert differences(one, other) == ()


def test_order_of_headers_and_cookies_is_equal():
    """Names are compared without case, cookies each by its own."""
    one = an_answer(headers=(("X-A", "1"), ("Set-Cookie", "a=1; Path=/"), ("Set-Cookie", "b=2")))
    other = an_answer(headers=(("Set-Cookie", "b=2"), ("set-cookie", "a=1; path=/"), ("x-a", "1")))
    assert differences(one, other) == ()


def test_unstable_value_of_the_same_pattern_is_equal():
    """What differed between two runs of the original may differ again, in its pattern."""
    one = {"items": [{"token": "6f1c2a9e0b7d4c31"}], "at": "2026-03-02T10:00:00Z", "n": 3}
    two = {"items": [{"token": "8a1c2a9e0b7d4c00"}], "at": "2026-03-02T10:00:01Z", "n": 4}
    unstable = unstable_paths(an_answer(one), an_answer(two))
    assert unstable == {"body $.items[*].token", "body $.at", "body $.n"}
    three = {"items": [{"token": "0a1c2a9e0b7d4c77"}], "at": "2027-01-01T00:00:00Z", "n": 5}
    check_same(one, three, unstable=unstable)


def test_unstable_order_is_compared_as_a_multiset():
    """A list that came in two orders may come in a third."""
    unstable = unstable_paths(an_answer(["a", "b", "b"]), an_answer(["b", "a", "b"]))
    assert unstable == {"body $ (order)"}
    check_same(["a", "b", "b"], ["b", "b", "a"], unstable=unstable)


def test_field_that_comes_and_goes_is_not_compared():
    """What the original itself sometimes leaves out may be left out."""
    unstable = unstable_paths(an_answer({"a": 1, "hint": "x"}), an_answer({"a": 1}))
    assert unstable == {"body $.hint (any)"}
    check_same({"a": 1}, {"a": 1, "hint": 7}, unstable=unstable)


def test_unstable_elements_match_in_any_order():
    """Within a list of unstable order, unstable fields count by pattern."""
    unstable = {"body $ (order)", "body $[*].token"}
    one = [{"id": 1, "token": "6f1c2a9e0b7d4c31"}, {"id": 2, "token": "7f1c2a9e0b7d4c31"}]
    two = [{"id": 2, "token": "8f1c2a9e0b7d4c31"}, {"id": 1, "token": "9f1c2a9e0b7d4c31"}]
    check_same(one, two, unstable=unstable)


def test_equal_answers_have_no_unstable_paths():
    """Nothing is excused that did not differ."""
    assert unstable_paths(an_answer({"a": [1]}), an_answer({"a": [1]})) == frozenset()


# -- what differs -----------------------------------------------------------------------------


VALUES = [None, False, True, 0, 1, 0.0, 1.0, -0.0, "", "0", "1", "null", [], {}, [None], {"a": 1}]


@pytest.mark.parametrize("first", range(len(VALUES)))
def test_each_value_differs_from_each_other(first):
    """1 is not 1.0 is not "1" is not true; null is not "" is not absent."""
    for second, value in enumerate(VALUES):
        one, other = {"x": VALUES[first]}, {"x": value}
        assert bool(paths(one, other)) == (first != second)
        assert bool(paths([VALUES[first]], [value])) == (first != second)
    assert paths({"x": VALUES[first]}, {}) == ["body $.x"]
    assert paths({}, {"x": VALUES[first]}) == ["body $.x"]


def test_difference_names_path_and_types():
    """A person sees where, and that only the type changed."""
    one = an_answer({"items": [{"price": 2.5}, {"price": 1.0}]})
    other = an_answer({"items": [{"price": 2.5}, {"price": "1.0"}]})
    (found,) = differences(one, other)
    assert found == ("body $.items[1].price", "1.0", '"1.0"')


def test_missing_element_is_named_without_its_successors():
    """One element less is said once, not as a change of every element after it."""
    found = differences(an_answer([1, 2, 3, 4, 5]), an_answer([1, 3, 4, 5]))
    assert found == (("body $", "5 elements", "4 elements"), ("body $[1]", "2", "(absent)"))


def test_duplicate_element_is_named():
    """What a join doubled stands there once more."""
    found = differences(an_answer([1, 2, 3]), an_answer([1, 2, 2, 3]))
    assert [one.path for one in found] == ["body $", "body $[1]"]
    assert found[1][1:] == ("(absent)", "2")


def test_other_order_is_a_difference():
    """The same elements in another order, named where the order first differs."""
    (found,) = differences(an_answer([{"id": 1}, {"id": 2}]), an_answer([{"id": 2}, {"id": 1}]))
    assert found == ("body $ (order)", '[0] {"id": 1}', '[0] {"id": 2}')


def test_multiset_still_counts_elements():
    """In a list of unstable order a lost, a changed and a doubled element are seen."""
    unstable = {"body $ (order)"}
    assert paths([1, 2, 2], [2, 1, 1], unstable=unstable) == ["body $[1]", "body $[1]"]
    assert paths([1, 2], [1], unstable=unstable)
    assert paths([1, 2], [1, 2, 2], unstable=unstable)


@pytest.mark.parametrize(
    "got", [None, 7, "short", "2026-03-02", "6f1c2a9e0b7d4c3", "zzzzzzzzzzzzzzzz", ""]
)
def test_unstable_value_of_another_pattern_differs(got):
    """A constant in place of a token is seen, and nothing in place of something."""
    assert paths({"t": "6f1c2a9e0b7d4c31"}, {"t": got}, unstable={"body $.t"}) == ["body $.t"]
    assert paths({"t": "6f1c2a9e0b7d4c31"}, {}, unstable={"body $.t"}) == ["body $.t"]


def test_unstable_value_without_a_pattern_keeps_its_type():
    """Texts of two patterns stay texts."""
    unstable = unstable_paths(an_answer({"t": "a word"}), an_answer({"t": "room 7"}))
    assert unstable == {"body $.t (type)"}
    check_same({"t": "a word"}, {"t": "anything"}, unstable=unstable)
    assert paths({"t": "a word"}, {"t": 7}, unstable=unstable) == ["body $.t"]


def test_status_is_never_excused():
    """A status that was unstable is still compared by value."""
    unstable = unstable_paths(an_answer(status=200), an_answer(status=503))
    assert unstable == {"status"}
    found = differences(an_answer(status=200), an_answer(status=500), unstable=unstable)
    assert found == (("status", "200", "500"),)


def test_headers_and_cookies_differ():
    """A header lost, another value of one, and a cookie's flag dropped."""
    one = an_answer(headers=(("Vary", "Cookie"), ("X-A", "1"), ("Set-Cookie", "id=7; HttpOnly")))
    other = an_answer(headers=(("X-A", "2"), ("Set-Cookie", "id=7")))
    assert [found.path for found in differences(one, other)] == [
        "header vary",
        "header x-a",
        "header set-cookie id.httponly",
    ]


def test_length_of_an_empty_answer_is_compared():
    """What HEAD says of the body is all that it says."""
    one = an_answer(headers=(("Content-Length", "10"),))
    other = an_answer(headers=(("Content-Length", "0"),))
    assert [found.path for found in differences(one, other)] == ["header content-length"]


def test_effects_and_errors_differ():
    """Rows written, mails and an exception in place of an answer."""
    one = an_answer(effects=(("mail", "1"), ("rows of booking", "+1")))
    other = Answer(status=0, error="ValueError: x", effects=(("rows of booking", "+2"),))
    found = differences(one, other)
    assert [difference.path for difference in found[:2]] == ["status", "error"]
    assert ("effect mail", '"1"', "(absent)") in found
    assert ("effect rows of booking", '"+1"', '"+2"') in found


@pytest.mark.parametrize(
    ("expected", "got", "path"),
    [
        ("<p>1.00</p>", "<p>1.0</p>", "body > p[1] > text()[1]"),
        ('<a href="/1">x</a>', '<a href="/2">x</a>', "body > a[1]@href"),
        ('<input disabled value="">', '<input value="">', "body > input[1]@disabled"),
        ("<ul><li>a<li>b</ul>", "<ul><li>a</ul>", "body > ul[1] > li[2]"),
        ("<b>x</b><i>y</i>", "<i>y</i><b>x</b>", "body > children"),
        ("<pre>a  b</pre>", "<pre>a b</pre>", "body > pre[1] > text()[1]"),
        ("<p>a</p>", "<div>a</div>", "body > p[1]"),
    ],
)
def test_page_differs_by_element(expected, got, path):
    """A difference of a page is named by the element that it is in."""
    assert paths(expected, got, HTML)[0] == path


def test_text_differs_by_line():
    """A download of lines names the line."""
    one, other = "id,price\n1,2.50\n2,1.00\n", "id,price\n1,2.5\n2,1.00\n"
    assert paths(one, other, "text/csv") == ["body[1]"]


def test_bytes_differ_by_size_and_digest():
    """What nobody can read is still compared."""
    assert paths(b"\x89PNG\x00", b"\x89PNG\x01", "image/png") == ["body.digest"]


def test_page_in_place_of_json_differs():
    """The kind of the body is the difference, not each of its lines."""
    one, other = an_answer({"a": 1}), an_answer("<p>a</p>", HTML)
    assert [found.path for found in differences(one, other)][:1] == ["body"]


def test_json_lines_are_values():
    """Each line of a stream is compared by its values."""
    kind = "application/x-ndjson"
    check_same('{"a":1,"b":2}\n', '{"b":2,"a":1}\n', kind)
    assert paths('{"a":1}\n{"a":2}\n', '{"a":1}\n{"a":2.0}\n', kind) == ["body $[1].a"]


# -- bounds -----------------------------------------------------------------------------------


def test_number_of_differences_is_bounded():
    """Ten thousand wrong fields are as wrong as fifty, and the table says how many it left out."""
    one = {f"k{n}": n for n in range(10_000)}
    other = {f"k{n}": n + 1 for n in range(10_000)}
    found = differences(an_answer(one), an_answer(other))
    assert len(found) == MOST
    assert table_of(found).splitlines()[-1] == "and 42 or more other places"


def test_table_is_aligned():
    """Path, expected and got stand under one another."""
    found = differences(an_answer({"count": 3, "x": 1}), an_answer({"count": 10, "x": None}))
    assert table_of(found).splitlines() == [
        "              expected  got",
        "body $.count  3         10",
        "body $.x      1         null",
    ]


def test_long_value_is_cut():
    """A value of a megabyte is shown by its beginning."""
    assert len(spelled("x" * 1_000_000)) == 80


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ("[" * 100_000, JSON),
        ("<b>" * 5_000, HTML),
        (b'{"a": "\xff"}', JSON),
        ("<p", HTML),
        ("x", "text/plain; charset=no-such"),
    ],
)
def test_hostile_body_is_compared(body, kind):
    """Too deep, cut off, of a charset that nobody knows: equal to itself, unlike another."""
    check_same(body, body, kind)
    assert paths(body, b"[1]" if kind == JSON else b"<i>y</i>", kind)


def test_body_is_read_as_its_type_says():
    """Text that happens to be JSON is text."""
    assert body_of(b"[1]", "text/plain").kind == "text"
    assert body_of(b"[1]", "application/problem+json").kind == "json"
    assert body_of(b"", JSON).kind == "empty"


def test_pattern_names_what_stands_where():
    """Random pieces are named, words are kept."""
    assert pattern_of("order 17 of 2026-03-02") == "text order <digits> of <date>"
    assert pattern_of("c0ffee00-0000-4000-8000-000000000000") == "text <uuid>"
    assert pattern_of("<Book object at 0x7f3a>") == "text <Book object at <address>>"
    assert pattern_of("Monday") == "text Monday"
    assert pattern_of(True) == "boolean"


# -- whether anything is left to compare ------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "second", "kind"),
    [
        ({"a": 1}, {"a": 1}, JSON),
        ({"a": 1, "at": "x1"}, {"a": 1, "at": "x2"}, JSON),
        ([], [], JSON),
        ({"tags": ["a", "b"], "n": 1}, {"tags": ["b", "a"], "n": 1}, JSON),
        ([{"id": 1, "at": "x1"}], [{"id": 1, "at": "x2"}], JSON),
        ("<p>one</p><p>x1</p>", "<p>one</p><p>x2</p>", HTML),
        ("as it was", "as it was", "text/plain"),
    ],
)
def test_answer_with_something_stable_is_not_loose(first, second, kind):
    """One field that holds is enough, and so is an answer without any."""
    assert loose(an_answer(first, kind), an_answer(second, kind)) == ""


@pytest.mark.parametrize(
    ("first", "second", "kind"),
    [
        ({"at": "x1"}, {"at": "x2"}, JSON),
        ([{"at": "x1"}, {"at": "x1"}], [{"at": "x2"}, {"at": "x3"}], JSON),
        ('"x1"', '"x2"', JSON),
        ("x1", "x2", "text/plain"),
        (b"\xff1", b"\xff2", "image/png"),
    ],
)
def test_body_without_a_stable_field_is_loose(first, second, kind):
    """Nothing is left but types and patterns."""
    assert loose(an_answer(first, kind), an_answer(second, kind)) == "No field of the body"


def test_status_that_changes_is_loose():
    """Such a request is left out altogether, so it cannot be all there is."""
    assert loose(an_answer({}), an_answer({}, status=500)) == "Not even the status"
    assert loose(an_answer({}), an_answer({}, error="E")) == "Not even the status"
