"""What is asked for one patch: which requests, on which clones, at which moments."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from queryscope.verify import clocks, healing, hints, inputs
from queryscope.verify.clones.recipes import SMALLEST_SIZE
from queryscope.verify.contract import STRANGER
from queryscope.verify.plan import plan as planned

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from queryscope.verify.bench import Bench
    from queryscope.verify.contract import Request
    from queryscope.verify.parts import Literal
    from queryscope.verify.plan import Plan

VARIANTS = 200
"""Variants of each endpoint."""
LARGE = "more rows"
"""The name of the clone that has more rows than a number of the source begins so."""


def plan_for(
    bench: Bench,
    recorded: Mapping[str, Sequence[Request]],
    sources: Mapping[str, tuple[str, str]],
    limit: int = VARIANTS,
) -> Plan:
    """Return what is asked for a patch, and make the clones that it is asked on.

    Args:
        bench: Makes the clones, and heals those on which the original fails.
        recorded: Endpoints to their recorded requests.
        sources: The patched files, before and after.
        limit: Variants of each endpoint at most.

    Raises:
        BenchError: The data cannot be cloned.
    """
    touched = [text for pair in sources.values() for text in pair if text]
    before, after = zip(*sources.values(), strict=True) if sources else ((), ())
    added = hints.added_literals(before, after)
    literals = hints.literals_of(touched, first=added)
    # A clone with more rows than a number costs more than all others: for new numbers alone.
    telling = [one for one in literals if one in added or not _is_size(one)]
    clones = healing.heal(bench, recorded, bench.clones(telling))
    actors = ("", *bench.project.actors)
    keys = hints.added_keys(before, after)
    variants = variants_of(recorded, touched, literals, actors, limit, keys)
    moments = clocks.at_moments(clones[0], [one for one in literals if one in added])
    large = [clone.name for clone in clones if clone.name.startswith(LARGE)]
    large += [clone.name for clone in moments]
    return planned(recorded, variants, [*clones, *moments], large=large)


def strangers_of(requests: Sequence[Request]) -> tuple[Request, ...]:
    """Return the first request of each actor, sent with wrong credentials."""
    first = {request.actor: request for request in reversed(requests) if request.actor}
    return tuple(
        replace(request, actor=actor + STRANGER, variant=f"{actor}{STRANGER}")
        for actor, request in first.items()
    )


def variants_of(
    recorded: Mapping[str, Sequence[Request]],
    sources: Sequence[str],
    literals: Sequence[Literal],
    actors: Sequence[str],
    limit: int = VARIANTS,
    added: Sequence[str] = (),
) -> dict[str, tuple[Request, ...]]:
    """Return the variants of each endpoint; ``added`` names parameters that a patch may read."""
    headers = hints.headers_read(sources)
    names = dict.fromkeys([*added, *hints.parameters_read(sources)])
    return {
        endpoint: strangers_of(requests)
        + inputs.variants(
            requests,
            literals=literals,
            headers=headers,
            actors=actors,
            parameters=names,
            limit=limit,
        )
        for endpoint, requests in recorded.items()
    }


def _is_size(literal: Literal) -> bool:
    return not isinstance(literal, str) and literal >= SMALLEST_SIZE
