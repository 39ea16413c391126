"""The textbook's queue: Erlang's formulas against known values, and its edges."""

from __future__ import annotations

import math

import pytest

from queryscope.prophet.queueing import ENDLESS, Waits, erlang_c, textbook


@pytest.mark.parametrize(
    ("servers", "load", "share"),
    [(1, 0.5, 0.5), (2, 1.0, 1 / 3), (5, 4.0, 0.55411), (10, 8.0, 0.40918), (3, 0.0, 0.0)],
)
def test_erlang_c_is_that_of_the_tables(servers, load, share):
    """One server waits with its utilisation; the others are in every table."""
    assert erlang_c(servers, load) == pytest.approx(share, abs=1e-4)


def test_one_server_is_m_m_1():
    """Its mean wait is rho / (mu - lambda)."""
    found = textbook(50, 0.01, 1)
    assert found.mean_s == pytest.approx(0.5 / (100 - 50))
    assert found.p95_s == pytest.approx(math.log(0.5 / 0.05) / 50)


def test_more_than_the_pool_can_give_waits_for_ever():
    """At a load of all its connections the queue grows without end."""
    assert textbook(500, 0.01, 5) == ENDLESS
    assert erlang_c(5, 7.0) == 1.0


def test_rare_waits_have_no_95th_percentile():
    """Where one in a hundred waits, one in twenty does not."""
    found = textbook(10, 0.01, 5)
    assert (found.p95_s, found.share < 0.05) == (0.0, True)


def test_many_servers_do_not_overflow():
    """A power of a factorial would."""
    assert 0 < erlang_c(2_000, 1_990.0) < 1


def test_nothing_held_waits_for_nothing():
    """Requests that hold a connection for no time."""
    assert textbook(100, 0.0, 5) == Waits(0.0, 0.0, 0.0)


@pytest.mark.parametrize(("servers", "load"), [(0, 1.0), (-1, 1.0), (3, -0.1)])
def test_no_queue_is_an_error(servers, load):
    """There has to be a server."""
    with pytest.raises(ValueError, match="servers"):
        erlang_c(servers, load)
