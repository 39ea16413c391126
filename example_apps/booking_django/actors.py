"""Who asks in contracts: each function returns the headers of somebody who is logged in."""

from __future__ import annotations


def caller() -> dict[str, str]:
    """An open account with a plan and day passes."""
    return {"Authorization": "Token token-1"}


def planless() -> dict[str, str]:
    """An open account without a plan."""
    return {"Authorization": "Token token-10"}


def closed() -> dict[str, str]:
    """An account that was closed."""
    return {"Authorization": "Token token-19"}
