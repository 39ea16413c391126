"""QS512: all processes' pools together against what the server admits."""

from __future__ import annotations

import pytest

from queryscope.detectors.qs512_pool_larger_than_server import advice, wanted_connections
from tests.builders import a_checkout, a_trace
from tests.detectors.judging import said

KNOWN = {"pool_processes": 8, "server_max_connections": 100}


def found(*checkouts, kind="request", **chosen):
    """Return what QS512 says about a Trace."""
    return said(a_trace(checkouts=checkouts or [a_checkout(size=20)], kind=kind), "QS512", **chosen)


@pytest.mark.parametrize(
    "chosen",
    [{}, {"pool_processes": 8}, {"server_max_connections": 100}],
    ids=["neither", "no server", "no processes"],
)
def test_what_is_not_known_is_clean(chosen):
    """Nothing is guessed."""
    assert found(**chosen) == []


def test_pool_that_just_fits_is_clean():
    """Eight times twelve are 96, and eight times twelve and a half a hundred."""
    assert found(a_checkout(size=8, max_overflow=4), **KNOWN) == []
    assert found(a_checkout(size=10), pool_processes=10, server_max_connections=100) == []


@pytest.mark.parametrize("facts", [{"size": None}, {"size": 5, "max_overflow": -1}])
def test_pool_without_a_bound_is_clean(facts):
    """Its size says nothing."""
    assert found(a_checkout(**facts), **KNOWN) == []


@pytest.mark.parametrize("kind", ["test", "script"])
def test_tests_and_scripts_are_clean(kind):
    """They do not run eight at a time."""
    assert found(kind=kind, **KNOWN) == []


def test_pool_that_is_too_large_is_found():
    """Overflow counts; the advice says what would fit."""
    (finding,) = found(a_checkout(size=20, max_overflow=10), **KNOWN)
    assert finding.evidence["connections"] == 240
    assert finding.message == (
        "8 processes with 30 connections each of the pool default may open 240; the server "
        "admits 100."
    )
    assert "12 at most" in finding.mend.how


def test_each_pool_is_judged():
    """One of two is too large."""
    findings = found(
        a_checkout(size=5), a_checkout(size=50, pool="replica", pool_number=2), **KNOWN
    )
    assert [finding.subject for finding in findings] == ["replica"]


def test_more_processes_than_connections_need_a_pooler():
    """No size would do."""
    assert "pooler" in advice(200, 100)
    assert wanted_connections(200, None) is None
