"""The checks of one verification as they are made, and the Verdict that ends them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from queryscope.verify.proposal import Check, Verdict

if TYPE_CHECKING:
    from queryscope.verify.cost import Judged
    from queryscope.verify.proposal import Constraint, Counterexample, Machinery


class Checks:
    """What was checked so far, in order."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._made: list[Check] = []

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._made)

    def back_to(self, number: int) -> None:
        """Forget all but the first ones: they are made again."""
        del self._made[number:]

    def add(self, name: str, passed: bool | None, detail: str) -> None:  # noqa: FBT001 - as in Check
        """Add one; None where it could not be made."""
        self._made.append(Check(name, passed, detail))

    def passed(self, name: str, detail: str) -> None:
        """Add one that passed."""
        self.add(name, True, detail)  # noqa: FBT003 - the field is called passed

    def proved(self, reason: str, costs: Judged) -> Verdict:
        """Return the Verdict where every check passed."""
        return Verdict(
            outcome="proved",
            machinery="completed",
            reason=reason,
            checks=tuple(self._made),
            before=costs.before,
            after=costs.after,
        )

    def refused(
        self,
        name: str,
        reason: str,
        constraint: Constraint,
        counterexample: Counterexample | None = None,
        costs: Judged | None = None,
    ) -> Verdict:
        """Return the Verdict of a check that did not pass, with what it teaches."""
        self.add(name, False, reason)  # noqa: FBT003 - as above
        return Verdict(
            outcome="refused",
            machinery="completed",
            reason=reason,
            checks=tuple(self._made),
            before=costs.before if costs else (),
            after=costs.after if costs else (),
            constraint=constraint,
            counterexample=counterexample,
        )

    def inconclusive(self, name: str, reason: str, machinery: Machinery = "completed") -> Verdict:
        """Return the Verdict where a check could not be made."""
        self.add(name, None, reason)
        return Verdict(
            outcome="inconclusive", machinery=machinery, reason=reason, checks=tuple(self._made)
        )
