"""Captured requests of the store as requests of contracts."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from queryscope.credentials import MASK
from queryscope.report.text import counted
from queryscope.verify.contract import request_from_plain
from queryscope.verify.openapi import Described

if TYPE_CHECKING:
    from collections.abc import Iterable

    from queryscope.store.captured import Captured
    from queryscope.verify.contract import Request


def described(found: Iterable[Captured], actor: str) -> Described:
    """Return requests by endpoint; those that had credentials are sent by an actor.

    Args:
        found: What the store holds.
        actor: Who sends them; without one they are left out, which is said.
    """
    requests: dict[str, list[Request]] = {}
    without: dict[str, int] = {}
    for endpoint, text in found:
        request = request_from_plain(json.loads(text))
        if any(value == MASK for _, value in request.headers):
            if not actor:
                without[endpoint] = without.get(endpoint, 0) + 1
                continue
            request = replace(request, actor=actor)
        requests.setdefault(endpoint, []).append(request)
    left_out = tuple(
        f"{counted(number, 'request')} of {endpoint} had credentials: name who sends such ones "
        "with --actor"
        for endpoint, number in without.items()
    )
    return Described(requests, left_out)
