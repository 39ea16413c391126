"""Traces as bytes: nothing is lost, other bytes are refused with a reason, the size is small."""

from __future__ import annotations

import random
import zlib
from dataclasses import fields, replace
from datetime import datetime, timezone, tzinfo
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from queryscope.errors import TraceFormatError
from queryscope.trace import codec, packing
from queryscope.trace import fields as written
from queryscope.trace.connections import Engine, Transaction
from queryscope.trace.events import Load, Query, Read, Trace
from queryscope.trace.values import from_plain, to_plain, without_values
from tests.builders import (
    a_checkout,
    a_frame,
    a_load,
    a_log_call,
    a_node,
    a_query,
    a_session,
    a_stage,
    a_trace,
    a_transaction,
    an_external_call,
    an_origin,
    some,
)
from tests.random_traces import HOSTILE, Dice

GOLD = Path(__file__).with_name("gold")


def the_gold_trace() -> Trace:
    """Return the Trace whose bytes in each format are kept; it never changes."""
    child = a_trace(a_query("SELECT 2", origin=an_origin(a_node(), 7)), id="inner", kind="block")
    trace = a_trace(
        a_query("SELECT * FROM library_book", rows=3, operation="iterate", model="library.Book"),
        *some(3, load=a_load(parent=5, parent_query=0), session=0, checkout=0, transaction=0),
        a_query(error="OperationalError: no such table", rows=None, created=a_frame(12), stage=0),
        a_query(parameters=(1, "ä", b"\0", 2**70, (None, 1.5)), keep=True, many=-1),
        sessions=[a_session(), a_session(closed_ns=None)],
        checkouts=[a_checkout(), a_checkout(got_ns=None, error="TimeoutError", holders=("a", "b"))],
        transactions=[a_transaction(outcome="rollback")],
        stages=[a_stage(), a_stage("inner", parent=0, kind="view")],
        attributes={"method": "GET", "path": "/books/"},
        dropped={"queries": 2},
        error="ValueError: x",
        process=4711,
    )
    # The digests of parameters are another module's work: here they are fixed.
    since_2: dict[str, Any] = {"values": None, "limit": None, "offset": None}
    queries = tuple(
        query._replace(parameters_key=f"{query.number:016x}", **since_2) for query in trace.queries
    )
    inner = tuple(query._replace(parameters_key="", **since_2) for query in child.queries)
    return replace(trace, queries=queries, children=(replace(child, queries=inner),))


def the_gold_trace_of_2() -> Trace:
    """Return the same with what format 2 has more."""
    trace = the_gold_trace()
    sent = ((), (0,), (0,), (3, 1), None, (1, 2, 3))
    queries = tuple(
        query._replace(values=values, limit=20 * query.number or None, offset=query.number)
        for query, values in zip(trace.queries, sent, strict=True)
    )
    return replace(
        trace,
        queries=queries,
        log_calls=(a_log_call(count=1_500, ways=2), a_log_call(1, level=10, is_own=False)),
        external_calls=(an_external_call(start_ns=3, error="TimeoutError"), an_external_call(1)),
    )


GOLD_TRACES = {1: the_gold_trace, 2: the_gold_trace_of_2}


def an_n_plus_one(times: int) -> Trace:
    """Return one list query and a load per row, with random times and random digests."""
    chance = random.Random(7)
    load = iter(range(times))
    queries = [
        a_query("SELECT id, title, publisher_id FROM library_book LIMIT 1000", rows=times),
        *some(
            times,
            parameters=lambda n: (n,),
            duration_ns=lambda _: int(chance.lognormvariate(12, 0.3)),
            load=lambda _: a_load(parent=next(load), parent_query=0),
            operation="lazy",
            session=0,
        ),
    ]
    start = 0
    for n, query in enumerate(queries):
        start += int(chance.lognormvariate(11.5, 0.3))
        queries[n] = query._replace(start_ns=start)
        start += query.duration_ns
    return a_trace(*queries, sessions=[a_session()])


@pytest.mark.parametrize("seed", range(60))
def test_random_trace_comes_back_equal(seed):
    """Whatever stands in a Trace, its bytes give an equal one, with the same types."""
    trace = Dice(seed).trace()
    back = codec.decode(codec.encode(trace))
    assert back == trace
    assert repr(back) == repr(trace)


def test_every_field_is_written():
    """A field added to a fact without a column for it is found here."""
    for kind, columns in written.FACTS.values():
        apart = {"ending_ns"} if kind is Transaction else set()
        assert set(columns) | apart == set(kind._fields)
    assert set(written.ENGINE) == set(Engine._fields)
    own = {"start_ns", "parameters_key", "parameters", "load", "values", *written.WINDOW}
    assert set(written.QUERY) | own == set(Query._fields)
    assert set(written.KIND_OF_LOAD) | set(written.LOAD) == set(Load._fields)
    assert set(written.READ) | set(written.READ_SINCE) == set(Read._fields)
    own = {"error", "attributes", "dropped", "failures", "queries", "children", *written.FACTS}
    own |= {"reads", "unchanged", "engines", "answer"}
    assert set(written.PLAIN_FIELDS) | own == {field.name for field in fields(Trace)}


def test_empty_trace_comes_back():
    """A Trace without any facts is a Trace."""
    assert codec.decode(codec.encode(a_trace())) == a_trace()


def test_batch_loads_alike_all_come_back():
    """Loads without a parent that are equal in every fact are not folded into one."""
    trace = a_trace(*some(3, load=a_load(parent=None, batched=True)))
    assert codec.decode(codec.encode(trace)) == trace


def test_deep_nesting_comes_back():
    """Traces nested deeper than Python recurses are written and read."""
    trace = a_trace(id="0")
    for n in range(3_000):
        trace = a_trace(id=str(n + 1), children=(trace,))
    back = codec.decode(codec.encode(trace))
    depth = 0
    while back.children:
        (back,) = back.children
        depth += 1
    assert (depth, back.id) == (3_000, "0")


def test_n_plus_one_takes_twenty_bytes():
    """An N+1 of 1,000 statements, each with its own digest and times, takes <= 20 bytes each."""
    trace = an_n_plus_one(1_000)
    data = codec.encode(trace)
    assert codec.decode(data) == trace
    assert 13 <= len(data) / len(trace.queries) <= 20


def test_every_format_is_still_read():
    """The bytes of each format ever written give the gold Trace."""
    kept = sorted(GOLD.glob("trace-*.bin"))
    assert len(kept) == codec.ENVELOPE.version, "keep the bytes of the new format, too"
    for path in kept:
        gold = GOLD_TRACES[int(path.stem.rpartition("-")[2])]
        assert codec.decode(path.read_bytes()) == gold()


def test_format_is_the_kept_one():
    """What is written expands to the kept bytes: a change of the format needs a new version."""
    path = GOLD / f"trace-{codec.ENVELOPE.version}.bin"
    gold = GOLD_TRACES[codec.ENVELOPE.version]
    ours, kept = codec.encode(gold()), path.read_bytes()
    # Compared expanded: another zlib may compress otherwise.
    assert packing.unpack(codec.ENVELOPE, ours) == packing.unpack(codec.ENVELOPE, kept)


@pytest.mark.parametrize("size", [0, 1, 250, 520, 1_000, 2_040, 5_000, 16_380, 40_000, 300_000])
def test_small_window_costs_no_room(size):
    """What is compressed in a window of its own size takes what zlib's largest takes."""
    dice = random.Random(size)
    document = "".join(
        f"{dice.choice(['library', 'book'])}_{dice.random():.4f} " for _ in range(99)
    )
    document = (document * (size // len(document) + 1))[:size]
    data = packing.pack(codec.ENVELOPE, document)
    assert packing.unpack(codec.ENVELOPE, data)[1] == document
    whole = len(zlib.compress(f'"{document}"'.encode(), 9))
    assert len(data) - packing.HEADER_BYTES <= whole * 1.02 + 2


def test_cut_bytes_are_refused_everywhere():
    """Bytes that end early are refused at every length."""
    data = codec.encode(the_gold_trace())
    for length in range(len(data)):
        with pytest.raises(TraceFormatError, match=f"cut short: it ends after {length} bytes"):
            codec.decode(data[:length])


def test_changed_bytes_are_refused():
    """A changed bit is refused with our error, or it is one of the few that change nothing."""
    data = codec.encode(the_gold_trace())
    refused = 0
    for place in range(len(data)):
        changed = bytearray(data)
        changed[place] ^= 0x20
        try:
            assert codec.decode(bytes(changed)) == the_gold_trace()
        except TraceFormatError:
            refused += 1
    assert refused >= 0.99 * len(data)


@pytest.mark.parametrize("data", [b"SQLite format 3\0", b"{}", b"\x1f\x8b\x08", b"\x8eQSF\0\1x"])
def test_foreign_bytes_are_named(data):
    """Bytes of something else are refused with how they begin."""
    with pytest.raises(TraceFormatError, match="are no Trace: they begin with") as caught:
        codec.decode(data)
    assert repr(data[:5]) in str(caught.value)


def test_newer_format_asks_to_update():
    """The next format is refused with both numbers and what to do."""
    data = bytearray(codec.encode(a_trace()))
    version = codec.ENVELOPE.version + 1
    data[5:7] = version.to_bytes(2, "big")
    with pytest.raises(TraceFormatError, match=f"has format {version}.*Update queryscope"):
        codec.decode(bytes(data))


def test_bomb_is_not_expanded(monkeypatch):
    """Bytes that expand beyond the limit are refused when the limit is reached."""
    monkeypatch.setattr(packing, "MAX_UNPACKED_BYTES", 2**20)
    bomb = packing.MAGIC + b"T\0\1" + zlib.compress(b" " * 2**22)
    with pytest.raises(TraceFormatError, match="expand to more than 1 MiB"):
        codec.decode(bomb)


def test_trace_too_large_is_not_written(monkeypatch):
    """What could not be read back is refused when it is written, with what to lower."""
    monkeypatch.setattr(packing, "MAX_UNPACKED_BYTES", 2**20)
    with pytest.raises(TraceFormatError, match=r"takes 2 MiB .* Lower max_queries"):
        codec.encode(a_trace(a_query("x" * 2**21)))


@pytest.mark.parametrize(
    "document",
    [
        [],
        {},
        "x",
        {"texts": [1]},
        {"texts": [], "frames": {"file": [0]}},
        {"texts": [], "frames": {}, "nodes": {}, "loads": {}, "origins": [[-1]], "traces": []},
        {"texts": [], "frames": {}, "nodes": {}, "loads": {}, "origins": [], "traces": []},
    ],
)
def test_document_of_wrong_form_is_damaged(document):
    """Well-formed JSON that is no Trace gives our error."""
    with pytest.raises(TraceFormatError, match="is damaged"):
        codec.decode(packing.pack(codec.ENVELOPE, document))


def test_deep_json_is_damaged():
    """JSON nested deeper than Python reads gives our error."""
    data = packing.MAGIC + b"T\0\1" + zlib.compress(b"[" * 200_000)
    with pytest.raises(TraceFormatError, match="is damaged"):
        codec.decode(data)


def test_fact_of_unknown_class_is_refused():
    """A fact that JSON cannot hold is refused when written, with its class."""
    with pytest.raises(TraceFormatError, match="object"):
        codec.encode(a_trace(a_query(rows=object())))


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_statement_comes_back(text):
    """No text of a statement breaks the envelope."""
    trace = a_trace(a_query(text, parameters=(text,), keep=True), name=text)
    assert codec.decode(codec.encode(trace)) == trace


def test_named_zone_becomes_its_offset():
    """A moment in a named time zone comes back as the same instant."""
    moment = datetime(2024, 7, 1, 12, tzinfo=ZoneInfo("Europe/Berlin"))
    back = from_plain(to_plain(moment))
    assert back == moment
    assert isinstance(back.tzinfo, timezone)


def test_broken_zone_is_left_out():
    """A tzinfo class of the user's that raises costs the zone, not the value."""

    class Broken(tzinfo):
        def utcoffset(self, when):
            raise RuntimeError("no zone")

    moment = datetime(2024, 7, 1, tzinfo=Broken())
    assert from_plain(to_plain(moment)) == moment.replace(tzinfo=None)


def test_integer_of_many_digits_comes_back():
    """An integer with more digits than Python reads in decimal comes back."""
    value = -(10**5_000)
    trace = a_trace(a_query(keep=True)._replace(parameters=(value,)))
    (back,) = codec.decode(codec.encode(trace)).queries
    assert back.parameters == (value,)


def test_unknown_class_gives_its_name():
    """A value of a class that we do not know is kept by its name, without its repr."""

    class Money:
        def __repr__(self):
            raise AssertionError("not ours to run")

    assert from_plain(to_plain((Money(),)))[0].endswith("Money>")


def test_values_go_on_request():
    """Without values no parameter and no quoted part of an error is left, nested Traces too."""
    secret = "joe@example.org"
    child = a_trace(a_query(parameters=(secret,), keep=True))
    trace = a_trace(
        a_query(parameters=(secret,), keep=True),
        a_query(error=f"IntegrityError: Key (email)=({secret}) already exists"),
        a_query(error=f"IntegrityError: (1062, \"Duplicate entry '{secret}' for key 'email'\")"),
        a_query(error=f'DataError: invalid input syntax for type integer: "{secret}"'),
        a_query(error="IntegrityError: UNIQUE constraint failed: user.email"),
        error=f"KeyError: '{secret}'",
        children=(child,),
    )
    bare = without_values(trace)
    assert secret not in repr(bare)
    assert bare.queries[4] == trace.queries[4]
    assert [q.parameters_key for q in bare.queries] == [q.parameters_key for q in trace.queries]
