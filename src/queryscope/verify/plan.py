"""What is asked on which clone, in which order."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from queryscope.verify.job import Step

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from queryscope.verify.contract import Request
    from queryscope.verify.parts import Clone

VARIANTS_EVERYWHERE = 18
"""Variants of each endpoint that are asked on every clone: with the recorded requests they refused
what the whole list refused, in a tenth of its time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Requests, clones and the order of both.

    Attributes:
        clones: The first one is the data as it is.
        requests: Recorded ones and variants.
        endpoints: Of each request, the endpoint.
        steps: One process walks all of them: the same requests come again and again over other
            data, so that an answer that was kept from before is seen.
    """

    clones: tuple[Clone, ...]
    requests: tuple[Request, ...]
    endpoints: tuple[str, ...]
    steps: tuple[Step, ...]

    def place(self, step: int) -> tuple[Clone, Request, str]:
        """Return the clone, the request and the endpoint of a question."""
        asked = self.steps[step].ask
        assert asked is not None  # noqa: S101 - for the type checker
        load = self.steps[self.load_of(step)].load
        assert load is not None  # noqa: S101 - as above
        return self.clones[load], self.requests[asked], self.endpoints[asked]

    def load_of(self, step: int) -> int:
        """Return the step that put in place what a question is asked on."""
        return next(at for at in range(step, -1, -1) if self.steps[at].load is not None)

    def last_of(self, load: int) -> int:
        """Return the last question that is asked on what a step put in place."""
        after = (at for at in range(load + 1, len(self.steps)) if self.steps[at].load is not None)
        return next(after, len(self.steps)) - 1

    @property
    def unasked(self) -> Plan:
        """The plan that boots and asks nothing."""
        return replace(self, steps=(Step(load=0),))

    def alone(self, step: int) -> Plan:
        """Return the plan that asks one question of this one, on the same data."""
        return replace(self, steps=(self.steps[self.load_of(step)], self.steps[step]))

    def repeated(self, times: int) -> Plan:
        """Return the plan that asks what was recorded so often, on the data as it is."""
        asked = [self.steps[step] for step in self.measured]
        return replace(self, steps=(Step(load=0), *asked * times))

    @property
    def questions(self) -> tuple[int, ...]:
        """The steps that ask."""
        return tuple(at for at, step in enumerate(self.steps) if step.ask is not None)

    @property
    def measured(self) -> tuple[int, ...]:
        """The steps that ask what was recorded, on the data as it is, for the first time."""
        first = next(
            (at for at, step in enumerate(self.steps) if at and step.load is not None),
            len(self.steps),
        )
        return tuple(
            at
            for at, step in enumerate(self.steps[:first])
            if step.ask is not None and not self.requests[step.ask].variant
        )


def plan(
    recorded: Mapping[str, Sequence[Request]],
    variants: Mapping[str, Sequence[Request]],
    clones: Sequence[Clone],
    *,
    large: Collection[str] = (),
) -> Plan:
    """Return what to ask.

    Args:
        recorded: Endpoints to what was recorded of them.
        variants: Endpoints to their variants, the most telling first.
        clones: ``as is`` first.
        large: Names of clones on which the recorded requests alone are asked: each takes long.
    """
    requests: list[Request] = []
    endpoints: list[str] = []
    everywhere: list[int] = []
    again: list[int] = []
    known: set[str] = set()
    for endpoint, asked in recorded.items():
        more = variants.get(endpoint, ())
        few = _spread(len(more), VARIANTS_EVERYWHERE)
        for number, request in enumerate([*asked, *more]):
            if request.key in known:
                continue
            known.add(request.key)
            if number < len(asked):
                again.append(len(requests))
            if number < len(asked) or number - len(asked) in few:
                everywhere.append(len(requests))
            requests.append(request)
            endpoints.append(endpoint)
    steps = [Step(load=0), *(Step(ask=number) for number in range(len(requests)))]
    for clone in range(1, len(clones)):
        asked_here = again if clones[clone].name in large else everywhere
        steps += [Step(load=clone), *(Step(ask=number) for number in asked_here)]
    # Once more on the first data: what an answer kept from another clone comes out.
    steps += [Step(load=0), *(Step(ask=number) for number in again)]
    return Plan(
        clones=tuple(clones),
        requests=tuple(requests),
        endpoints=tuple(endpoints),
        steps=tuple(steps),
    )


def _spread(size: int, wanted: int) -> set[int]:
    """Return indexes spread evenly over a list, the first one always."""
    if size <= wanted:
        return set(range(size))
    return {number * size // wanted for number in range(wanted)}
