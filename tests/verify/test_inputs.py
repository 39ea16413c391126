"""Variants of requests, and what of them the source gives away."""

from __future__ import annotations

import json
from itertools import combinations

import pytest

from queryscope.verify.contract import Request
from queryscope.verify.hints import (
    added_keys,
    added_literals,
    headers_read,
    literals_of,
    parameters_read,
)
from queryscope.verify.inputs import variants
from queryscope.verify.pairwise import pairwise

FORM = (("Content-Type", "application/x-www-form-urlencoded"),)
JSON = (("Content-Type", "application/json"),)
DISCOVERY = (
    "/discovery?city=berlin&category=desk&min_capacity=2&max_capacity=20&max_price=49.5"
    "&addons=wifi,coffee&date=2026-03-03&lat=52.5&lng=13.4&sort=price&page=1&page_size=20&cache=true"
)


def varied(*recorded, limit=1_000, **more):
    """Return the variants of requests."""
    return variants(
        [one if isinstance(one, Request) else Request(target=one) for one in recorded],
        limit=limit,
        **more,
    )


def names(*recorded, **more):
    """Return what the variants are called."""
    return [request.variant for request in varied(*recorded, **more)]


def values(name, *recorded, **more):
    """Return what the variants have for a parameter of the query, None where it is absent."""
    rest = [pair for pair in Request(target=recorded[0]).pairs if pair[0] != name]
    return [
        dict(request.pairs).get(name)
        for request in varied(*recorded, **more)
        if [pair for pair in request.pairs if pair[0] != name] == rest
    ]


# -- what stays -------------------------------------------------------------------------------


def test_request_without_parameters_has_no_variants():
    """Nothing to vary, nobody else to ask."""
    assert varied("/health") == ()
    assert varied() == ()


def test_variants_are_the_same_each_time():
    """An answer can be asked for again, and no request comes twice or as it was recorded."""
    recorded = [Request(target=DISCOVERY), Request(target="/discovery?city=paris")]
    first = variants(recorded, literals=(0, "price", 5), headers=("X-Staff",), limit=400)
    assert first == variants(recorded, literals=(0, "price", 5), headers=("X-Staff",), limit=400)
    keys = [request.key for request in first]
    assert len(set(keys)) == len(keys)
    assert not {request.key for request in recorded} & set(keys)


def test_one_change_leaves_the_rest():
    """Other parameters, their order, the method and the headers stay as recorded."""
    recorded = Request(target="/a?x=1&y=b%20c&x=2&empty=", headers=(("X-A", "1"),))
    for request in varied(recorded):
        if request.variant.startswith("y=") and ", " not in request.variant:
            assert [pair for pair in request.pairs if pair[0] != "y"] == [
                ("x", "1"),
                ("x", "2"),
                ("empty", ""),
            ]
            assert request.headers == recorded.headers
            assert request.method == "GET"


def test_credentials_are_not_varied():
    """Who asks is the actor's affair, whatever headers the source reads."""
    read = ("Authorization", "Cookie", "X-CSRFToken")
    assert names("/health", headers=read) == []


def test_words_of_a_path_are_not_varied():
    """Only what differs between requests or looks like a key is a parameter of the path."""
    assert names("/items/list") == []
    assert any(name.startswith("path 2=") for name in names("/items/7"))
    assert any(name.startswith("path 2=") for name in names("/items/abc", "/items/def"))


def test_body_of_another_kind_is_left_alone():
    """A file, broken JSON, an empty body: sent as recorded."""
    for headers, body in (
        ((("Content-Type", "image/png"),), b"\x89PNG"),
        (JSON, b"{broken"),
        (JSON, b""),
        (JSON, b"7"),
    ):
        request = Request(method="POST", headers=headers, body=body)
        assert varied(request) == ()


def test_limit_is_kept():
    """Never more than asked for, and the most telling ones are among the first."""
    first = varied(DISCOVERY, limit=13)
    assert len(first) == 13
    assert {request.variant for request in first} == {
        f"no {name}" for name, _ in Request(target=DISCOVERY).pairs
    }


# -- what is varied ---------------------------------------------------------------------------


def test_thirteen_parameters_take_some_hundred_requests():
    """One at a time, in pairs of four classes, and pages: more than 180, less than 500."""
    made = names(DISCOVERY, limit=10_000)
    alone = [name for name in made if ", " not in name]
    assert 180 < len(made) < 500
    assert len(alone) > 140
    assert len(made) - len(alone) > 30


@pytest.mark.parametrize(
    "wanted", ["", "0", "-1", "99999999999999999999", "\0", "Zoë_%", "null", "1.5", "7_0", "\u0667"]
)
def test_integer_is_given_edge_values(wanted):
    """What Python reads and SQL does not, and the other way round."""
    assert wanted in values("capacity", "/a?capacity=7")


def test_each_parameter_is_left_out_emptied_and_doubled():
    """Absent, empty and zero come first; a repeated one is there."""
    found = names("/a?x=5&y=b")
    assert found[:6] == ["no x", "no y", "x=", "y=", "x=0", "y=0"]
    assert "x twice" in found
    doubled = next(one for one in varied("/a?x=5&y=b") if one.variant == "x twice")
    assert doubled.pairs == (("x", "5"), ("x", "0"), ("y", "b"))


def test_values_follow_the_recorded_form():
    """A day gets days, a list its parts, a boolean its opposite, a number its neighbours."""
    assert {"2026-03-04", "2028-02-29", "2026-02-30"} <= set(values("d", "/a?d=2026-03-03"))
    assert {"a", "b,a", "a,b,a"} <= set(values("l", "/a?l=a,b"))
    assert "false" in values("f", "/a?f=true")
    assert {"8", "6", "7.0"} <= set(values("n", "/a?n=7"))
    assert {"BERLIN", "berli", "berlin "} <= set(values("t", "/a?t=berlin"))


def test_literals_of_the_source_are_tried():
    """A number that the source compares with, and one beside it; texts for texts."""
    assert {"20", "19", "21"} <= set(values("n", "/a?n=7", literals=(20, "price")))
    assert "price" not in values("n", "/a?n=7", literals=(20, "price"))
    assert {"price", "PRICE"} <= set(values("t", "/a?t=name", literals=(20, "price")))


def test_what_one_request_has_each_may_have():
    """Parameters and values of other recorded requests of the endpoint are tried."""
    found = names("/a?x=1", "/a?y=2")
    assert "y=0" in found
    assert "x=0" in found
    assert "3" in values("x", "/a?x=1&z=1", "/a?x=3")


def test_parameter_that_was_never_recorded_is_tried():
    """What the source reads is a parameter, recorded or not."""
    found = names("/a", parameters=("capacity",))
    assert "capacity=0" in found
    assert "capacity=" in found
    assert "no capacity" not in found


def test_pairs_meet_in_four_classes():
    """Every two parameters are absent, as recorded, zero and otherwise valid together."""
    seen = set()
    for request in varied("/a?x=5&y=7", limit=1_000):
        pairs = dict(request.pairs)
        seen.add((pairs.get("x"), pairs.get("y")))
    for one in (None, "5", "0", "6"):
        for other in (None, "7", "0", "8"):
            assert (one, other) in seen or (one, other) == ("5", "7")


def test_pages_are_walked_to_the_end():
    """Pages one after another, and small ones, so that a short list ends."""
    found = names("/a?page=2&page_size=20")
    assert "page=3" in found
    assert "page_size=2, page=5" in found
    assert "offset=4" in names("/a?offset=0&limit=10")


def test_path_is_varied():
    """A key in the path: zero, its neighbours, huge; what is special is encoded."""
    targets = [request.target for request in varied("/items/7/slots?x=1")]
    assert "/items/0/slots?x=1" in targets
    assert "/items/8/slots?x=1" in targets
    assert "/items/%00/slots?x=1" in targets
    assert not any(target.startswith("/items//") for target in targets)


def test_form_is_varied():
    """Fields of a form, in its body."""
    request = Request(method="POST", target="/a", headers=FORM, body=b"name=x&count=2")
    bodies = [one.body for one in varied(request)]
    assert b"name=x" in bodies
    assert b"name=x&count=0" in bodies
    assert b"name=&count=2" in bodies


def test_json_is_varied_with_types():
    """Keys left out, null, zero, texts for numbers and numbers for texts, empty lists."""
    body = {"name": "x", "qty": 2, "deep": {"on": True}, "list": [1, 2]}
    request = Request(method="POST", headers=JSON, body=json.dumps(body).encode())
    found = {one.variant: json.loads(one.body) for one in varied(request)}
    assert "qty" not in found["no body $.qty"]
    assert found["body $.qty=null"]["qty"] is None
    assert found["body $.qty=0"]["qty"] == 0
    assert found['body $.qty="2"']["qty"] == "2"
    assert found["body $.qty=3"] == body | {"qty": 3}
    assert found["body $.deep.on=false"]["deep"] == {"on": False}
    assert found["body $.list=[]"]["list"] == []
    assert found["body $.list=[2, 1]"]["list"] == [2, 1]
    assert found["body $.list[0]=0"]["list"] == [0, 2]
    assert json.loads(request.body) == body


def test_header_that_the_source_reads_is_varied():
    """Recorded or not, it is sent, and left out where it was recorded."""
    made = varied("/a", headers=("X-Staff",), literals=("yes",))
    assert {"0", "1", "yes", "true"} <= {one.header("X-Staff") for one in made}
    recorded = Request(target="/a", headers=(("x-staff", "1"),))
    assert "no header X-Staff" in names(recorded, headers=("X-Staff",))
    for request in varied(recorded, headers=("X-Staff",)):
        for _, value in request.headers:
            value.encode("latin-1")
            assert "\0" not in value


def test_other_actors_and_nobody_ask_first():
    """Each request is made by everybody else, and without credentials."""
    recorded = Request(target="/a?x=1", actor="ann")
    found = varied(recorded, actors=("ann", "bob"))
    assert [(one.actor, one.variant) for one in found[:2]] == [
        ("bob", "as bob"),
        ("", "as nobody"),
    ]
    assert {one.actor for one in found[2:]} == {"ann"}


@pytest.mark.parametrize("sizes", [[4] * 13, [2, 3], [4, 1, 2, 4], [5] * 6])
def test_pairwise_covers_every_pair(sizes):
    """Every two classes of every two parameters meet, in far fewer than all combinations."""
    made = pairwise(sizes, 1_000)
    for one, other in combinations(range(len(sizes)), 2):
        met = {(combination[one], combination[other]) for combination in made}
        assert len(met) == sizes[one] * sizes[other]
    assert len(made) <= 45
    assert pairwise(sizes, 3) == made[:3]


def test_long_value_is_named_shortly():
    """The name of a variant fits on a line, whatever is sent."""
    assert max(map(len, names(DISCOVERY))) < 400
    assert "x=xxxxxxxx… (300 characters)" in names("/a?x=b")


# -- what the source gives away ---------------------------------------------------------------


@pytest.mark.parametrize(
    "source",
    [
        "x = 'a message that nobody compares with'",
        "def f():\n    '''A docstring.'''\n    log('text')",
        "if x:\n    pass",
        "x is None and y is True",
        "broken (",
        "",
    ],
)
def test_source_that_compares_nothing_has_no_literals(source):
    """Messages, docstrings, truth and what does not parse give nothing."""
    assert literals_of([source]) == ()


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        ("if x == 'draft': pass", "draft"),
        ("if 3 < x: pass", 3),
        ("if x in ('a', 'b'): pass", "b"),
        ("Item.objects.filter(status='open', pages__gte=7)", 7),
        ("q.filter(Item.status == 'open')", "open"),
        ("q.limit(100)", 100),
        ("kept[:50]", 50),
        ("size = min(whole(x) or 20, 100)", 20),
        ("size = min(whole(x) or 20, 100)", 100),
        ("if pk >= 10**6: pass", 1_000_000),
        ("TTL = 5 * 60\nif age > TTL: pass", 300),
        ("KINDS = {'price': 1}\nif sort in KINDS: pass", "price"),
        ("match x:\n    case 'late': pass", "late"),
        ("if x == -1: pass", -1),
        ("if price > 2.5: pass", 2.5),
        ("name.startswith('Z')", "Z"),
    ],
)
def test_literal_is_found(source, wanted):
    """What is compared, bounded or filtered by, folded where it is arithmetic."""
    found = literals_of([source])
    assert wanted in found
    assert type(found[found.index(wanted)]) is type(wanted)


def test_compared_literals_come_first():
    """Numbers that stand elsewhere come behind those that something is compared with."""
    found = literals_of(["f(7)\nif x == 3: pass", "if y == 'a': pass"])
    assert found == (3, "a", 7)


@pytest.mark.parametrize(
    ("after", "added"),
    [
        ("f(20)\nkept[:20]", {20}),
        ("f(20)\nkept[:10]", {10}),
        ("f(20)", set()),
        ("g(1)", {1}),
        ("f(20)\nif x == 'a': pass", {"a"}),
    ],
)
def test_literal_that_stands_once_more_is_added(after, added):
    """A bound that a patch adds tells, also where its number stands elsewhere already."""
    assert added_literals(["f(20)"], [after]) == added


@pytest.mark.parametrize(
    ("after", "added"),
    [
        ("asked.get('q')\nif asked.get('page') == '0': pass", ("page",)),
        ("asked.get('q')\nother['q']", ("q",)),
        ("asked.get('q')", ()),
        ("pass", ()),
    ],
)
def test_key_that_a_patch_looks_up_is_added(after, added):
    """In a mapping of any name: it may hold the parameters."""
    assert added_keys(["asked.get('q')"], [after]) == added


def test_added_literals_come_first():
    """There is room for so many alone."""
    assert literals_of(["f(7)\nif x == 3: pass\nkept[:5]"], first={5}) == (5, 3, 7)


def test_hostile_arithmetic_is_not_computed():
    """A power that would fill the memory is no literal."""
    assert max(literals_of(["x == 9**9**9"])) == 9**9
    assert set(literals_of([f"x == {'-' * 5_000}1"])) <= {1, -1}  # older Pythons do not parse it


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        ("request.headers.get('x-staff')", ("X-Staff",)),
        ("request.headers['X-Staff']", ("X-Staff",)),
        ("request.META.get('HTTP_X_STAFF', '')", ("X-Staff",)),
        ("environ['HTTP_X_STAFF']", ("X-Staff",)),
        ("'X-Staff' in request.headers", ("X-Staff",)),
        ("def view(x_staff: str = Header('')): pass", ("X-Staff",)),
        ("def view(*, staff: Annotated[str, Header(alias='X-Staff')]): pass", ("X-Staff",)),
        ("request.user_agent.string", ("User-Agent",)),
        ("request.META['REMOTE_ADDR']", ()),
        ("settings['x-staff']", ()),
        ("broken (", ()),
    ],
)
def test_header_read_is_found(source, wanted):
    """As Django, Flask and FastAPI read headers."""
    assert headers_read([source, source]) == wanted


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        ("request.GET.get('capacity')", ("capacity",)),
        ("request.args['capacity']", ("capacity",)),
        ("query = request.query_params\nquery.get('a')\nquery.get('b')", ("a", "b")),
        ("settings.get('a')", ()),
        ("broken (", ()),
    ],
)
def test_parameter_read_is_found(source, wanted):
    """Names that are looked up in a query."""
    assert parameters_read([source]) == wanted


def test_recorded_parameters_come_before_others():
    """What a client sends is emptied and zeroed before what only the source reads."""
    recorded = Request(target="/discovery?city=berlin&min_capacity=40")
    found = variants([recorded], parameters=["sort", "page_size", "date"], limit=7)
    targets = [one.target for one in found]
    assert "/discovery?city=berlin&min_capacity=0" in targets
    assert not any("sort" in one for one in targets)


def test_wildcard_of_like_is_asked_early():
    """A search that was pushed into LIKE finds everything by it, whatever words the source has."""
    words = [f"word {number}" for number in range(12)]
    recorded = [Request(target="/products?word=thing&page=2"), Request(target="/products?tag=red")]
    found = variants(recorded, literals=words, parameters=["word", "tag", "page"], limit=20)
    assert "/products?word=%25&page=2" in [one.target for one in found]
