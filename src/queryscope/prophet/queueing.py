"""The textbook's queue: M/M/c, requests at random and holding times without memory."""

from __future__ import annotations

import math
from typing import NamedTuple


class Waits(NamedTuple):
    """How long requests wait for connections, in seconds.

    Attributes:
        mean_s: On average, over all of them.
        p95_s: What one in twenty waits longer than.
        share: How many of them wait at all, from 0 to 1.
    """

    mean_s: float
    p95_s: float
    share: float


_TAIL = 0.05
"""One in twenty."""
ENDLESS = Waits(math.inf, math.inf, 1.0)
"""More comes than the pool can give: the queue grows for ever."""


def erlang_c(servers: int, load: float) -> float:
    """Return the probability that a request has to wait, Erlang's C.

    Args:
        servers: Connections, > 0.
        load: Arrivals a second times the connection-time of each, >= 0.

    Raises:
        ValueError: There are no servers, or the load is negative.

    Example:
        >>> round(erlang_c(5, 4.0), 4), erlang_c(5, 5.0)
        (0.5541, 1.0)
    """
    if servers <= 0 or load < 0:
        raise ValueError(f"no queue has {servers} servers and a load of {load}")
    if load >= servers:
        return 1.0
    # Erlang's B by its recursion, which never overflows, and C from it.
    blocked = 1.0
    for number in range(1, servers + 1):
        blocked = load * blocked / (number + load * blocked)
    return blocked / (1 - (load / servers) * (1 - blocked))


def textbook(rate: float, hold_s: float, servers: int) -> Waits:
    """Return the waits of M/M/c: mean C / (c mu - lambda), and an exponential tail.

    Args:
        rate: Arrivals a second.
        hold_s: Mean connection-time of each, in seconds.
        servers: Connections.

    Example:
        >>> round(textbook(160, 0.025, 5).mean_s, 5)
        0.01385
    """
    if hold_s <= 0:
        return Waits(0.0, 0.0, 0.0)
    load = rate * hold_s
    if load >= servers:
        return ENDLESS
    share = erlang_c(servers, load)
    spare = servers / hold_s - rate
    p95 = math.log(share / _TAIL) / spare if share > _TAIL else 0.0
    return Waits(share / spare, p95, share)
