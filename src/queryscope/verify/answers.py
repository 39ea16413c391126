"""The original's answers, which of them count, and where others differ from them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from queryscope.verify import compare, healing
from queryscope.verify.job import TIME_OUT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from queryscope.verify.bench import Pair
    from queryscope.verify.contract import Answer, Difference
    from queryscope.verify.job import Reply
    from queryscope.verify.launch import Run
    from queryscope.verify.plan import Plan


class Different(NamedTuple):
    """An answer that is not the original's.

    Attributes:
        step: Of the plan.
        which: Of both runs, 0 or 1.
        expected: What the original answered there.
        got: What was answered instead.
        differences: Where they differ.
    """

    step: int
    which: int
    expected: Answer
    got: Answer
    differences: tuple[Difference, ...]


class Answers:
    """Both runs of the original over a plan, beside which the patched code's are held.

    Attributes:
        unstable: The steps that are judged, with what the original itself does not keep there.
    """

    def __init__(self, plan: Plan, original: Pair) -> None:
        """Find out what the original keeps."""
        self._plan, self._original = plan, original
        self.unstable = _unstable(plan, original)
        self._found: dict[tuple[int, int], Different] = {}
        self._until: int | None = None

    def difference(self, step: int, which: int, got: Answer) -> Different | None:
        """Return what of an answer is not as the original's, None where all is or none counts."""
        if step not in self.unstable:
            return None
        expected = self._original[which].replies[step].answer
        found = compare.differences(expected, got, unstable=self.unstable[step])
        return Different(step, which, expected, got, found) if found else None

    def enough(self, which: int, reply: Reply) -> bool:
        """Take a reply of the patched code, and tell whether that replay has shown enough.

        It has at the end of the first clone on which either differs: all of what is asked there is
        seen, so that the smallest request is the same one each time, whoever is ahead. A request
        that is not answered in time is enough by itself.
        """
        clone = self._plan.load_of(reply.step)
        if self._until is None or clone <= self._until:
            found = self.difference(reply.step, which, reply.answer)
            if found is not None:
                self._found[which, reply.step] = found
                self._until = clone
                if reply.answer.error == TIME_OUT:
                    return True  # every further request may take as long
        return self._until is not None and reply.step >= self._plan.last_of(self._until)

    @property
    def seen(self) -> int:
        """How many steps count that were compared, as far as it took."""
        if self._until is None:
            return len(self.unstable)
        return sum(self._plan.load_of(step) <= self._until for step in self.unstable)

    def different(self) -> list[Different]:
        """Return the replies taken that differ, the smallest request first."""
        found = [
            one
            for one in self._found.values()
            if self._until is not None and self._plan.load_of(one.step) <= self._until
        ]
        return sorted(found, key=lambda one: (_size(self._plan, one.step), one.step, one.which))

    def holds(self, step: int, which: int, run: Run) -> bool:
        """Tell whether the original, asked one question again, answers as before."""
        if not run.complete:
            return False
        (reply,) = run.replies.values()
        return self.difference(step, which, reply.answer) is None

    def hold_all(self, timed: Plan, runs: Sequence[Run]) -> bool:
        """Tell whether the original answers the recorded requests as before."""
        steps = {self._plan.place(step)[1].key: step for step in self._plan.measured}
        return all(
            self.difference(steps[timed.place(at)[1].key], 0, run.replies[at].answer) is None
            for run in runs
            for at in timed.measured[: len(steps)]
        )


def nothing_kept(plan: Plan, original: Pair) -> str:
    """Return why nothing of an endpoint's answers can be compared, ``""`` where something can.

    Without it a patch of an endpoint that never answers alike would be proved by its cost.
    """
    found: dict[str, str] = {}
    for step in plan.measured:
        _, request, endpoint = plan.place(step)
        answers = (run.replies[step].answer for run in original)
        why = compare.loose(*answers)
        if not why:
            found[endpoint] = ""
        elif endpoint not in found:
            found[endpoint] = f"{why} of {request} is the same in two runs of the original code"
    return next(filter(None, found.values()), "")


def _unstable(plan: Plan, original: Pair) -> dict[int, frozenset[str]]:
    broken = _broken_clones(plan, original)
    paths = {
        step: compare.unstable_paths(
            original.a.replies[step].answer, original.b.replies[step].answer
        )
        for step in plan.questions
    }
    # What differs on the data as it is may be equal elsewhere by chance: a time, a random id.
    always = frozenset(
        path
        for step in plan.questions
        if not plan.place(step)[0].changed
        for path in paths[step]
        if not path.endswith("(order)") and path not in compare.NEVER_EXCUSED
    )
    return {
        step: found | always
        for step, found in paths.items()
        if "status" not in found
        and plan.place(step)[0].name not in broken
        # How slow the original is on data that nobody has is no answer.
        and all(run.replies[step].answer.error != TIME_OUT for run in original)
    }


def _broken_clones(plan: Plan, original: Pair) -> set[str]:
    """Return the changed clones on which the original fails more often than not: no data of its."""
    found: dict[str, list[bool]] = {}
    for step in plan.questions:
        clone, request, _ = plan.place(step)
        if clone.changed and not request.variant:
            status = original.a.replies[step].answer.status
            found.setdefault(clone.name, []).append(healing.failed(status))
    return {name for name, ones in found.items() if sum(ones) * 2 > len(ones)}


def _size(plan: Plan, step: int) -> tuple[int, ...]:
    """Return what orders counterexamples: recorded data first, then the shortest request."""
    clone, request, _ = plan.place(step)
    return (
        bool(clone.changed),
        len(request.pairs),
        bool(request.variant),
        len(request.target) + len(request.body),
    )
