"""Requests from an OpenAPI schema: what it says by example, choice, default and bound."""

from __future__ import annotations

import enum
import json
from typing import Annotated

import pytest
from fastapi import Body, FastAPI, Header, Path, Query
from pydantic import BaseModel, Field

from queryscope.verify.listing import ListingError
from queryscope.verify.openapi import MOST, from_openapi


def a_schema(path="/items", *, method="get", more=None, **operation):
    """Return a schema of one operation."""
    paths = {path: {method: {"responses": {}, **operation}}}
    return {"openapi": "3.1.0", "info": {}, "paths": paths, **(more or {})}


def asked(schema, **more):
    """Return the targets that are asked for, by endpoint."""
    found = from_openapi(json.dumps(schema), source="schema", **more)
    return {name: [one.target for one in ones] for name, ones in found.requests.items()}


def left_out(schema):
    """Return why operations were left out."""
    return from_openapi(json.dumps(schema), source="schema").left_out


def a_parameter(name="a", place="query", **facts):
    """Return a parameter."""
    own = {key: facts.pop(key) for key in ("example", "examples", "required") if key in facts}
    return {"name": name, "in": place, "schema": facts, **own}


def test_optional_text_is_left_out():
    """Any text would be a guess: what needs none is asked without it."""
    assert asked(a_schema(parameters=[a_parameter(type="string")])) == {"GET /items": ["/items"]}


def test_required_text_without_an_example_leaves_the_operation_out():
    """In a path, a query or a body; the reason is said."""
    path = a_parameter("slug", "path", type="string", required=True)
    assert left_out(a_schema("/p/{slug}", parameters=[path])) == (
        "GET /p/{slug}: the schema has no example for its parameter slug",
    )
    content = {"application/json": {"schema": {"type": "string"}}}
    body = {"required": True, "content": content}
    assert left_out(a_schema(method="post", requestBody=body)) == (
        "POST /items: the schema has no example for its body",
    )


@pytest.mark.parametrize(
    ("facts", "values"),
    [
        ({"type": "integer"}, ["1"]),
        ({"type": "boolean"}, ["true"]),
        ({"type": "integer", "minimum": 1, "maximum": 100}, ["1", "100"]),
        ({"type": "integer", "exclusiveMinimum": 0, "exclusiveMaximum": 10}, ["1", "9"]),
        ({"type": "integer", "default": 20, "maximum": 50}, ["20", "50"]),
        ({"enum": ["open", "sold"]}, ["open", "sold"]),
        ({"example": 7, "type": "integer", "maximum": 9}, ["7", "9"]),
        (
            {"examples": {"one": {"value": 0}, "two": {"value": 5}}, "type": "integer"},
            ["0", "5", "1"],
        ),
        ({"anyOf": [{"type": "integer", "maximum": 3}, {"type": "null"}]}, ["3"]),
        ({"type": ["integer", "null"]}, ["1"]),
        ({"$ref": "#/components/schemas/Kind"}, ["a/b"]),
        ({"type": "string", "format": "date"}, ["2026-01-15"]),
    ],
)
def test_parameter_is_asked_with_each_of_its_values(facts, values):
    """One request without it, and one for each value."""
    known = {"components": {"schemas": {"Kind": {"const": "a/b"}}}}
    found = asked(a_schema(parameters=[a_parameter(**facts)], more=known))
    shown = [value.replace("/", "%2F") for value in values]
    assert found == {"GET /items": ["/items", *(f"/items?a={value}" for value in shown)]}


def test_values_stand_in_the_path_and_lists_are_repeated():
    """A slash in a value is no slash of the path; servers' prefixes come before it."""
    parameters = [
        a_parameter("name", "path", example="a/b c", required=True),
        a_parameter("tag", type="array", items={"enum": ["x"]}, example=["x", "y"]),
    ]
    more = {"servers": [{"url": "https://example.com/api/v1/"}]}
    assert asked(a_schema("/p/{name}", parameters=parameters, more=more)) == {
        "GET /api/v1/p/{name}": [
            "/api/v1/p/a%2Fb%20c",
            "/api/v1/p/a%2Fb%20c?tag=x&tag=y",
            "/api/v1/p/a%2Fb%20c?tag=x",
        ]
    }


def test_schema_that_names_itself_has_an_end():
    """A tree of categories, and a reference that leads in a circle."""
    node = {"type": "object", "properties": {"n": {"type": "integer"}, "up": {"$ref": "#/x"}}}
    body = {"content": {"application/json": {"schema": {"$ref": "#/x"}}}}
    schema = a_schema(method="post", requestBody=body, more={"x": node})
    (request,) = from_openapi(json.dumps(schema), source="s").requests["POST /items"]
    assert json.loads(request.body)["n"] == 1
    circle = a_schema(parameters=[a_parameter(**{"$ref": "#/y"})], more={"y": {"$ref": "#/y"}})
    assert asked(circle) == {"GET /items": ["/items"]}


def test_many_values_are_bounded():
    """An endpoint of many choices does not fill the contract."""
    many = a_parameter(enum=[f"v{n}" for n in range(100)])
    assert len(asked(a_schema(parameters=[many]))["GET /items"]) == MOST


def test_actor_sends_them_and_credentials_are_not_made_up():
    """Headers that hold credentials come from the actor alone."""
    key = a_parameter("X-Api-Key", "header", example="k", required=True)
    found = from_openapi(json.dumps(a_schema(parameters=[key])), source="s", actor="ann")
    (request,) = found.requests["GET /items"]
    assert (request.actor, request.headers) == ("ann", ())


def test_form_is_sent_as_one():
    """Dates and the like have a value of their format."""
    fields = {"day": {"type": "string", "format": "date"}, "size": {"type": "integer"}}
    media = {"schema": {"type": "object", "properties": fields}}
    body = {"content": {"application/x-www-form-urlencoded": media}}
    schema = json.dumps(a_schema(method="post", requestBody=body))
    (request,) = from_openapi(schema, source="s").requests["POST /items"]
    assert request.media_type == "application/x-www-form-urlencoded"
    assert request.body == b"day=2026-01-15&size=1"


class Status(enum.Enum):
    """Choices."""

    OPEN = "open"
    SOLD = "sold"


class Order(BaseModel):
    """A body."""

    item: int
    note: str = "none"
    size: int = Field(default=3, le=9)


def test_schema_of_fastapi_is_understood():
    """What a real application says of itself."""
    app = FastAPI()

    @app.get("/items/{item_id}")
    def item(
        item_id: Annotated[int, Path(ge=1)],
        status: Status | None = None,
        page: Annotated[int, Query(ge=1, le=50)] = 1,
        x_staff: Annotated[str | None, Header(examples=["yes"])] = None,
    ):
        return {}

    @app.post("/orders")
    def order(order: Annotated[Order, Body(examples=[{"item": 7}])]):
        return {}

    found = from_openapi(json.dumps(app.openapi()), source="openapi.json").requests
    assert [one.target for one in found["GET /items/{item_id}"]] == [
        "/items/1",
        "/items/1?status=open",
        "/items/1?status=sold",
        "/items/1?page=1",
        "/items/1?page=50",
    ]
    bodies = [json.loads(one.body) for one in found["POST /orders"]]
    assert bodies[0] == {"item": 7}
    assert found["POST /orders"][0].media_type == "application/json"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("openapi: 3.0.0", "is no JSON"),
        ('{"swagger": "2.0", "paths": {}}', "no OpenAPI schema of version 3"),
        ("[]", "no OpenAPI schema"),
        ('{"openapi": "3.0.0"}', "no 'paths'"),
    ],
)
def test_what_is_no_schema_is_said(text, reason):
    """YAML, an older version, anything else."""
    with pytest.raises(ListingError, match=reason):
        from_openapi(text, source="x.json")
