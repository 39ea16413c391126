"""Recorded traffic with plans and schemas: what the detectors that need them are given."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from queryscope.detectors.registry import in_force
from queryscope.detectors.traffic import mode_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from queryscope.plans.study import Study


@dataclass(frozen=True, eq=False)
class Planned:
    """What databases say of recorded Traces.

    Attributes:
        study: Plans, schemas and indexes tried.
        chosen: Thresholds that the user set, by name.
    """

    study: Study
    chosen: Mapping[str, float] = field(default_factory=dict)

    def threshold(self, name: str) -> float:
        """Return the value in force of a threshold, for the mode that most Traces have."""
        return in_force(name, self.chosen, mode_of(self.study.traces))
