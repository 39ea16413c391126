"""What the tests of the HTML pages share: hostile Traces, and a parser that takes a page apart."""

from __future__ import annotations

import dataclasses
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

from queryscope.detectors.finding import Cost, Finding, Mend
from queryscope.trace.guard import Failure
from tests.builders import (
    MS,
    a_checkout,
    a_finding,
    a_frame,
    a_load,
    a_node,
    a_query,
    a_session,
    a_stage,
    a_trace,
    a_transaction,
    an_origin,
    some,
)

if TYPE_CHECKING:
    from queryscope.trace.events import Trace

HOSTILE = (
    "</script></style></title></textarea><img src=x onerror=alert(1)>"
    "'\"`<!--<b id=evil>]]>\x00\x1b[31m\u202egnp.exe\u2066\ud800\udcff{{7*7}}&lt;\u2028\r\n\t--"
)
KEPT = {"severity", "confidence", "kind", "mode", "recording", "relation"}
"""Fields with values of ours only: no recorded string gets there."""


def poisoned(value: Any) -> Any:
    """Return a fact with every recorded string in it, however deep, made hostile."""
    if isinstance(value, str):
        return HOSTILE
    if isinstance(value, dict):
        return {f"{name}{HOSTILE}": poisoned(item) for name, item in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        pairs = zip(value._fields, value, strict=True)
        return type(value)(*(item if name in KEPT else poisoned(item) for name, item in pairs))
    if isinstance(value, tuple):
        return tuple(poisoned(item) for item in value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        changes = {
            item.name: poisoned(getattr(value, item.name))
            for item in dataclasses.fields(value)
            if item.name not in KEPT
        }
        return dataclasses.replace(value, **changes)
    return value


def a_full_trace(*, keep: bool = True, **facts: Any) -> Trace:
    """Return a Trace that has at least one of everything, a nested Trace among it."""
    origin = an_origin(a_node(), a_frame(), a_frame(12, function="middleware"))
    queries = [
        a_query("BEGIN", parameters=(), checkout=0, session=0, transaction=0, rows=0),
        *some(
            5,
            parameters=lambda n: (n, f"value {n}"),
            keep=keep,
            checkout=0,
            session=0,
            transaction=0,
            stage=1,
            origin=origin,
            operation="lazy",
            model="library.Publisher",
            load=a_load(parent=3),
            created=a_frame(38),
        ),
        a_query(
            "INSERT INTO log (line) VALUES ('from the text')",
            parameters=(),
            checkout=0,
            session=0,
            stage=0,
            error="IntegrityError: Key (line)=('from the text') exists\nDETAIL: secret",
        ),
    ]
    return a_trace(
        *queries,
        sessions=[a_session(closed_ns=None), a_session(opened_ns=2 * MS)],
        checkouts=[
            a_checkout(asked_ns=MS, waited_ns=MS, connect_ns=MS, holders=("GET /x: idle",)),
            a_checkout(got_ns=None, returned_ns=None, connection=None, error="TimeoutError: 30"),
            a_checkout(connection=9, returned_ns=None),
        ],
        transactions=[a_transaction(savepoints=2)],
        stages=[a_stage("request", kind="middleware"), a_stage("slots", parent=0)],
        attributes={"method": "GET", "status": "500", "path": "/books/"},
        error="ValueError: broken",
        orphans=1,
        dropped={"queries": 3, "query_ns": MS, "statement_tails": 1, "stages": 2},
        unlabelled=2,
        failures=(Failure("django.execute", "KeyError: x", 2),),
        w3c_trace_id="4bf92f3577b34da6",
        children=(a_trace(*some(2, keep=keep), id="inner", name="GET /inner/"),),
        **facts,
    )


def some_findings() -> list[Finding]:
    """Return findings of the Trace above: with a mend, without, and of the nested Trace."""
    return [
        a_finding(
            queries=(1, 2, 3, 4, 5),
            mend=Mend(a_frame(38), '.select_related("publisher")', "Join the publishers."),
            evidence={"parents": 5, "relation": "forward", "share": 0.25},
            origin=an_origin(a_node(), a_frame()),
            subject="Book.publisher",
        ),
        a_finding(
            "QS503",
            name="leaked-connection",
            severity="critical",
            message="A connection was not returned.",
            count=1,
            cost=Cost(connection_ns=7 * MS),
            checkouts=(2,),
            sessions=(0,),
        ),
        a_finding("QS201", severity="info", name="duplicate-select", trace_id="inner", count=2),
    ]


VOID = {"meta", "link", "input", "br", "img", "rect", "line"}


class Page(HTMLParser):
    """The elements of a page, with their attributes and their text."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.unbalanced: list[str] = []
        self.text = ""
        self.raw: dict[str, list[str]] = {"script": [], "style": []}
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        """Note an element."""
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag in self.raw:
            self.raw[tag].append("")

    def handle_startendtag(self, tag, attrs):
        """Note an element that ends itself."""
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        """Check that what ends is what was open."""
        if tag in VOID and tag not in self.open:
            return
        if not self.open or self.open.pop() != tag:
            self.unbalanced.append(tag)

    def handle_data(self, data):
        """Keep the text, that of scripts and styles apart."""
        if self.open and self.open[-1] in self.raw:
            self.raw[self.open[-1]][-1] += data
        else:
            self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        """Return the attributes of every element of a name."""
        return [attributes for name, attributes in self.elements if name == tag]

    def with_class(self, name: str) -> list[dict[str, str | None]]:
        """Return the attributes of every element that has a class."""
        return [a for _, a in self.elements if name in (a.get("class") or "").split()]
