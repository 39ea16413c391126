"""Contracts as values and as files."""

from __future__ import annotations

import pytest

from queryscope.verify.contract import (
    MASK,
    Answer,
    Contract,
    ContractError,
    Data,
    Exchange,
    Request,
    from_json,
    to_json,
)

JSON = (("Content-Type", "application/json"),)


def a_contract(*exchanges, **more):
    """Return a contract with these exchanges."""
    return Contract(
        endpoint="GET /items/{id}", data=Data("shop.db", "ab12"), exchanges=exchanges, **more
    )


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        (JSON, b'{"one":1,"float":1.0,"none":null,"list":[true,"1"],"\xc3\xa9":1e+300}'),
        (JSON, b'{"huge":99999999999999999999999}'),
        (JSON, b'{"twice":1,"twice":2}'),
        (JSON, b"no json at all"),
        (JSON, b'"\xed\xa0\x80"'),
        (JSON, b'"\\ud800"'),
        ((("Content-Type", "text/html; charset=utf-8"),), "<p>Zürich</p>".encode()),
        ((("Content-Type", "image/png"),), b"\x89PNG\x00\xff"),
        ((), b""),
    ],
)
def test_answer_survives_its_file(headers, body):
    """What was answered comes back with its types, whatever the bytes."""
    request = Request(method="POST", target="/items?a=%00", headers=headers, body=body, actor="ann")
    answer = Answer(status=200, headers=headers, body=body, effects=(("mail", "1"),))
    contract = a_contract(Exchange(request, answer), unstable=("header date",))
    text = to_json(contract).encode().decode()
    assert from_json(text, source="file") == contract


def test_credentials_never_reach_the_file():
    """Tokens and cookies of both sides are masked, whatever their case."""
    request = Request(headers=(("authorization", "Token s3cret"), ("COOKIE", "id=s3cret")))
    answer = Answer(status=200, headers=(("Set-Cookie", "id=s3cret"),))
    text = to_json(a_contract(Exchange(request, answer)))
    assert "s3cret" not in text
    assert from_json(text, source="file").requests[0].header("Authorization") == MASK


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "is no JSON"),
        ("[]", "is no contract"),
        ('{"queryscope contract": 99}', "has form 99"),
        ('{"queryscope contract": 1}', "is damaged"),
        ('{"queryscope contract": 1, "endpoint": "", "data": 3}', "is damaged"),
    ],
)
def test_bad_file_is_named(text, reason):
    """What is no contract is said with the file's name."""
    with pytest.raises(ContractError, match=reason) as caught:
        from_json(text, source="contracts/items.json")
    assert "contracts/items.json" in str(caught.value)


def test_request_takes_another_query():
    """A variant has its own query, encoded, and says what is different."""
    request = Request(target="/find?q=a%20b&q=&n=1")
    assert request.pairs == (("q", "a b"), ("q", ""), ("n", "1"))
    other = request.with_pairs([("q", "\x00é&")], "q=odd")
    assert (other.target, other.variant) == ("/find?q=%00%C3%A9%26", "q=odd")
    assert request.with_pairs([], "no query").target == "/find"
    assert other.key != request.key


def test_request_with_broken_bytes_keeps_them():
    """Bytes that are no UTF-8 stay what they were."""
    request = Request(target="/find?q=%FF")
    assert request.with_pairs(request.pairs, "").target == "/find?q=%FF"
