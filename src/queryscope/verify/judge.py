"""The verdict on one Proposal: checks in the order of what they cost, until one refuses."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from queryscope.verify import bench as benches
from queryscope.verify import clocks, compare, cost, healing, hints, policy
from queryscope.verify.clones.recipes import SMALLEST_SIZE
from queryscope.verify.confine import REFUSED
from queryscope.verify.contract import Answer
from queryscope.verify.job import STEP_FACTOR, STEP_LIMIT_S, TIME_OUT
from queryscope.verify.plan import plan as planned
from queryscope.verify.proposal import Check, Constraint, Counterexample, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from queryscope.verify.bench import Bench, Pair
    from queryscope.verify.contract import Request
    from queryscope.verify.launch import Run
    from queryscope.verify.parts import Clone, Literal
    from queryscope.verify.plan import Plan
    from queryscope.verify.proposal import Machinery, Outcome, Proposal

REDIRECTION = 300
NO_ANSWER = 0
LARGE = "more rows"
"""The name of the clone that has more rows than a number of the source begins so."""


@dataclass(slots=True)
class Judge:
    """One bench, and the verdicts on it.

    Attributes:
        bench: Copies and clones.
        recorded: Endpoints to their recorded requests.
        progress: Told what is being done, one line each.
        variants: Of each endpoint at most.
    """

    bench: Bench
    recorded: Mapping[str, Sequence[Request]]
    progress: Callable[[str], None]
    variants: int = benches.VARIANTS
    _checks: list[Check] = field(default_factory=list)

    def judge(self, proposal: Proposal) -> Verdict:
        """Return the Verdict on a Proposal.

        Raises:
            PatchError: It does not fit the source.
            BenchError: The data cannot be cloned.
        """
        self._checks = []
        tree = self.bench.patched(proposal)
        self._passed("applies", f"{proposal.title}, {', '.join(proposal.paths)}")
        sources = policy.sources_of(proposal, self.bench.original)
        for name, found, passed in (
            ("compiles", policy.broken(sources), "every patched file is Python"),
            (
                "policy",
                policy.refusal(sources, self.bench.project),
                "it reads no clock and no environment anew, and keeps nothing between requests",
            ),
        ):
            if found is not None:
                return self._refused(name, found.reason, found.constraint)
            self._passed(name, passed)
        unbooted = self._unbooted(tree)
        if unbooted is not None:
            return unbooted
        texts = [text for pair in sources.values() for text in pair if text]
        plan = self._plan(sources, texts)
        self.progress(
            f"asking {len(plan.questions)} times on {len(plan.clones)} clones, four times over"
        )
        first = self.bench.run(self.bench.original, plan, name="original-a")
        trouble = self._trouble(plan, first)
        if trouble is not None:
            return trouble
        # What does not boot or hangs needs no second baseline to be refused.
        limit_s = step_limit_s(first)
        runs = [self.bench.run(tree, plan, name="patched-a", step_limit_s=limit_s)]
        stopped = self._stopped(plan, first, runs[0])
        if stopped is not None:
            return stopped
        second = self.bench.run(self.bench.original, plan, name="original-b")
        original = benches.Pair(first, second)
        trouble = self._trouble(plan, second) or self._baseline_trouble(plan, original)
        if trouble is not None:
            return trouble
        refused = self._answers(plan, original, runs)
        if refused is not None:
            return refused
        runs.append(self.bench.run(tree, plan, name="patched-b", step_limit_s=limit_s))
        refused = self._stopped(plan, second, runs[1]) or self._answers(plan, original, runs)
        if refused is not None:
            return refused
        self._count_answers(plan, original)
        return self._cost(plan, original, benches.Pair(*runs))

    # -- checks -------------------------------------------------------------------------------

    def _unbooted(self, tree: Path) -> Verdict | None:
        """Return a Verdict where the command of production does not boot, None where it does."""
        project = self.bench.project
        if not project.boot:
            return None
        command = " ".join(project.boot)
        self.progress(f"booting it: {command}")
        error = self.bench.boot_error(tree)
        if not error:
            self._passed("boots", f"{command} answers {project.health}")
            return None
        own = self.bench.boot_error(self.bench.original)
        if own:
            what = f"The original code does not boot by {command}: {own}"
            return self._inconclusive("boots", what, "not started")
        reason = f"It does not boot by {command}: {error}"
        return self._refused("boots", reason, Constraint("boot", "", reason))

    def _plan(self, sources: Mapping[str, tuple[str, str]], touched: list[str]) -> Plan:
        before, after = zip(*sources.values(), strict=True) if sources else ((), ())
        added = hints.added_literals(before, after)
        literals = hints.literals_of(touched, first=added)
        # A clone with more rows than a number costs more than all others: for new numbers alone.
        telling = [one for one in literals if one in added or not _is_size(one)]
        clones = healing.heal(self.bench, self.recorded, self.bench.clones(telling))
        actors = ("", *self.bench.project.actors)
        keys = hints.added_keys(before, after)
        variants = benches.variants_of(
            self.recorded, touched, literals, actors, self.variants, keys
        )
        moments = clocks.at_moments(clones[0], [one for one in literals if one in added])
        large = [clone.name for clone in clones if clone.name.startswith(LARGE)]
        large += [clone.name for clone in moments]
        return planned(self.recorded, variants, [*clones, *moments], large=large)

    def _trouble(self, plan: Plan, run: Run) -> Verdict | None:
        """Return a Verdict where the original itself cannot be replayed."""
        if run.failure is not None:
            machinery: Machinery = "not started" if run.failure.stage == "boot" else "crashed"
            what = f"The original code fails at {run.failure.stage}: {run.failure.error}"
            return self._inconclusive("baseline", what, machinery)
        if run.hung is not None:
            what = f"The original code did not answer {plan.place(run.hung)[1]} in time"
            return self._inconclusive("baseline", what, "timed out")
        if run.ended:
            what = f"The original code ended with {run.ended}"
            return self._inconclusive("baseline", what, "crashed")
        for step, reply in run.replies.items():
            for name, value in reply.answer.effects:
                if name.startswith(REFUSED):
                    kind = name.removeprefix(REFUSED).strip()
                    what = (
                        f"The original code needs a {kind} that a replay may not use ({value}), "
                        f"for {plan.place(step)[1]}"
                    )
                    return self._inconclusive("baseline", what)
        return None

    def _baseline_trouble(self, plan: Plan, original: Pair) -> Verdict | None:
        """Return a Verdict where the baseline proves nothing, None where it does."""
        answered = [original.a.replies[step].answer for step in plan.measured]
        if not answered:
            return self._inconclusive("baseline", "There is no recorded request")
        good = sum(NO_ANSWER < one.status < REDIRECTION for one in answered)
        if not good:
            statuses = ", ".join(sorted({str(one.status) for one in answered}))
            return self._inconclusive(
                "baseline",
                f"The original code answers all {len(answered)} recorded requests with errors or "
                f"redirects ({statuses}): that proves nothing. Is an actor missing",
            )
        loose = self._loose(plan, original)
        if loose:
            return self._inconclusive("baseline", loose)
        self._passed(
            "baseline", f"replayed twice; {good} of {len(answered)} recorded requests succeed"
        )
        return None

    def _loose(self, plan: Plan, original: Pair) -> str:
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

    def _stopped(self, plan: Plan, original: Run, run: Run) -> Verdict | None:
        """Return a refusal where the patched code did not come to the end of the plan."""
        if run.failure is not None and run.failure.stage == "boot":
            reason = f"It does not boot: {run.failure.error}"
            return self._refused("boots", reason, Constraint("boot", "", reason))
        if run.failure is not None:
            return self._inconclusive("replay", run.failure.error, "crashed")
        if run.hung is None and not run.ended:
            return None
        step = run.hung
        if step is None:
            step = next((at for at in plan.questions if at not in run.replies), None)
        if step is None:
            return self._inconclusive(
                "replay", f"The patched code ended with {run.ended}", "crashed"
            )
        clone, request, _ = plan.place(step)
        expected = original.replies[step].answer
        error = TIME_OUT if run.hung is not None else run.ended
        got = Answer(status=NO_ANSWER, error=error)
        took = original.replies[step].cost.duration_ns / 1e6
        how = "does not answer" if run.hung is not None else "ends the process"
        reason = f"It {how}: {request}, which the original answers in {took:.0f} ms"
        return self._refused(
            f"answers on clone {clone.name!r}",
            reason,
            Constraint("answer", str(request), f"{request} must be answered."),
            Counterexample(
                request, _data(clone), expected, got, compare.differences(expected, got)
            ),
        )

    def _answers(self, plan: Plan, original: Pair, runs: list[Run]) -> Verdict | None:
        """Return a refusal with the smallest request that is answered differently."""
        unstable = self._unstable(plan, original)
        found: list[tuple[tuple[int, ...], int, Run, Run]] = []
        for before, after in zip(original, runs, strict=False):
            for step in plan.questions:
                if step not in unstable:
                    continue  # the original itself does not know its status
                expected, got = before.replies[step].answer, after.replies[step].answer
                if compare.differences(expected, got, unstable=unstable[step]):
                    found.append((_size(plan, step), step, before, after))
        if not found:
            return None
        found.sort(key=lambda one: one[:2])
        _, step, before, after = found[0]
        clone, request, _ = plan.place(step)
        expected, got = before.replies[step].answer, after.replies[step].answer
        differences = compare.differences(expected, got, unstable=unstable[step])
        steps = {one[1] for one in found}
        reason = (
            f"{len(steps):,} of {len(unstable):,} answers differ; the smallest request is "
            f"{request} on {clone.name!r}: {differences[0]}"
        )
        return self._refused(
            f"answers on clone {clone.name!r}",
            reason,
            Constraint(
                "answer",
                differences[0].path,
                f"{request} must keep {differences[0].path} as it is: {differences[0].expected}, "
                f"not {differences[0].got}{_where(clone.changed)}.",
            ),
            Counterexample(request, _data(clone), expected, got, differences),
        )

    def _unstable(self, plan: Plan, original: Pair) -> dict[int, frozenset[str]]:
        """Return the steps that are judged, with what the original itself does not keep there."""
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

    def _count_answers(self, plan: Plan, original: Pair) -> None:
        unstable = self._unstable(plan, original)
        for clone in plan.clones:
            here = [step for step in plan.questions if plan.place(step)[0] == clone]
            kept = [step for step in here if step in unstable]
            shown = f"{len(kept)} of {len(here)} answers are equal field by field, twice"
            if clone.changed:
                shown += f"; {clone.changed.rstrip('.')}"
            if clone.skipped:
                shown += f"; {len(clone.skipped)} changes left out, as a constraint forbids them"
            self._checks.append(
                Check(f"answers on clone {clone.name!r}", bool(kept) or None, shown)
            )
        paths = sorted(frozenset[str]().union(*unstable.values()))
        if paths:
            self._passed("unstable", f"compared by type and pattern alone: {', '.join(paths)}")

    def _cost(self, plan: Plan, original: Pair, patched: Pair) -> Verdict:
        found = cost.judge(plan, original, patched)
        if found.constraint is not None:
            reason = (
                f"The cost rises: {'; '.join(found.risen)}"
                if found.risen
                else "The answers are equal, and nothing costs less: statements, rows and sessions "
                "are what they were"
            )
            verdict = self._refused("cost", reason, found.constraint)
        else:
            self._passed("cost", "; ".join(found.fell))
            proofs = len(plan.questions) * 2
            reason = (
                f"{proofs:,} answers on {len(plan.clones)} clones are equal, and it costs less: "
                f"{found.fell[0]}"
            )
            verdict = self._verdict("proved", reason)
        return Verdict(
            outcome=verdict.outcome,
            machinery=verdict.machinery,
            reason=verdict.reason,
            checks=verdict.checks,
            before=found.before,
            after=found.after,
            constraint=verdict.constraint,
        )

    # -- verdicts -----------------------------------------------------------------------------

    def _passed(self, name: str, detail: str) -> None:
        self._checks.append(Check(name, True, detail))  # noqa: FBT003 - the field is called passed

    def _refused(
        self,
        name: str,
        reason: str,
        constraint: Constraint,
        counterexample: Counterexample | None = None,
    ) -> Verdict:
        self._checks.append(Check(name, False, reason))  # noqa: FBT003 - as above
        return self._verdict(
            "refused", reason, constraint=constraint, counterexample=counterexample
        )

    def _inconclusive(self, name: str, reason: str, machinery: Machinery = "completed") -> Verdict:
        self._checks.append(Check(name, None, reason))
        return self._verdict("inconclusive", reason, machinery)

    def _verdict(
        self,
        outcome: Outcome,
        reason: str,
        machinery: Machinery = "completed",
        *,
        constraint: Constraint | None = None,
        counterexample: Counterexample | None = None,
    ) -> Verdict:
        return Verdict(
            outcome=outcome,
            machinery=machinery,
            reason=reason,
            checks=tuple(self._checks),
            constraint=constraint,
            counterexample=counterexample,
        )


def step_limit_s(original: Run) -> float:
    """Return how long the patched code may take for one request."""
    slowest = max((reply.cost.duration_ns for reply in original.replies.values()), default=0)
    return max(STEP_LIMIT_S, STEP_FACTOR * slowest / 1e9)


def _is_size(literal: Literal) -> bool:
    return not isinstance(literal, str) and literal >= SMALLEST_SIZE


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


def _data(clone: Clone) -> str:
    return f"{clone.name}: {clone.changed}" if clone.changed else clone.name


def _where(changed: str) -> str:
    return f" (where {changed.rstrip('.')})" if changed else ""
