"""The verdict on one Proposal: checks in the order of what they cost, until one refuses."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from queryscope.verify import compare, cost, policy
from queryscope.verify.answers import Answers, nothing_kept
from queryscope.verify.asked import VARIANTS, plan_for
from queryscope.verify.bench import Pair
from queryscope.verify.checks import Checks
from queryscope.verify.confine import REFUSED
from queryscope.verify.contract import Answer
from queryscope.verify.job import TIME_OUT
from queryscope.verify.proposal import Constraint, Counterexample, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from queryscope.verify.answers import Different
    from queryscope.verify.bench import Bench
    from queryscope.verify.contract import Request
    from queryscope.verify.launch import Run
    from queryscope.verify.parts import Clone
    from queryscope.verify.plan import Plan
    from queryscope.verify.proposal import Machinery, Proposal

REDIRECTION = 300
NO_ANSWER = 0
ROUNDS = 5
"""How often the recorded requests are asked to see how long they take."""
TIMED_AGAIN = 2


class _Stale(Exception):  # noqa: N818 - a reason to ask again, no error
    """The original does not answer as it did when it was asked before."""


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
    variants: int = VARIANTS
    _checks: Checks = field(default_factory=Checks)

    def judge(self, proposal: Proposal) -> Verdict:
        """Return the Verdict on a Proposal.

        Raises:
            PatchError: It does not fit the source.
            BenchError: The data cannot be cloned.
        """
        self._checks = Checks()
        tree = self.bench.patched(proposal)
        self._checks.passed("applies", f"{proposal.title}, {', '.join(proposal.paths)}")
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
                return self._checks.refused(name, found.reason, found.constraint)
            self._checks.passed(name, passed)
        unbooted = self._unbooted(tree)
        if unbooted is not None:
            return unbooted
        plan = plan_for(self.bench, self.recorded, sources, self.variants)
        self.progress(f"asking {len(plan.questions)} times on {len(plan.clones)} clones, twice")
        done = len(self._checks)
        kept = self.bench.baselines.runs(self.bench.source, plan)
        runs = kept.read()
        if runs is not None:
            self.progress("the original was asked before: its answers are taken from then")
            try:
                return self._compared(plan, Pair(*runs), tree, kept=True)
            except _Stale:
                self.progress("the original answers otherwise by now: it is asked again")
                kept.forget()
                self._checks.back_to(done)
        unbooted = self._unbooted_child(plan, tree)
        if unbooted is not None:
            return unbooted
        original = self.bench.both(self.bench.original, plan, name="original")
        for run in original:
            trouble = self._trouble(plan, run)
            if trouble is not None:
                return trouble
        kept.write(original)
        return self._compared(plan, original, tree, kept=False)

    def _compared(self, plan: Plan, original: Pair, tree: Path, *, kept: bool) -> Verdict:
        """Return the Verdict by what the patched code answers and costs beside the original.

        Raises:
            _Stale: The original was asked before, and does not answer as then.
        """
        trouble = self._baseline_trouble(plan, original)
        if trouble is not None:
            return trouble
        answers = Answers(plan, original)
        limit_s = original.a.slowest_allowed_s
        runs = self.bench.both(
            tree, plan, name="patched", step_limit_s=limit_s, enough=answers.enough
        )
        for before, run in zip(original, runs, strict=True):
            stopped = self._stopped(plan, before, run)
            if stopped is not None:
                if kept:
                    self._ask_again(plan, answers, _left_open(plan, run) or plan.questions[0], 0)
                return stopped
        different = answers.different()
        if different:
            if kept:
                self._ask_again(plan, answers, different[0].step, different[0].which)
            refused = self._answered(plan, answers, different)
            # What it would cost belongs to the report, too.
            was, now = cost.told(plan, original), cost.told(plan, runs)
            return replace(refused, before=was, after=now) if was and now else refused
        self._count_answers(plan, answers)
        return self._cost(plan, original, runs, tree, answers if kept else None)

    def _ask_again(self, plan: Plan, answers: Answers, step: int, which: int) -> None:
        """Ask the original itself what the patched code answers otherwise, or not at all.

        Raises:
            _Stale: It does not answer as before.
        """
        name = f"again-{'ab'[which]}"
        run = self.bench.run(self.bench.original, plan.alone(step), name=name)
        if not answers.holds(step, which, run):
            raise _Stale

    # -- checks -------------------------------------------------------------------------------

    def _unbooted_child(self, plan: Plan, tree: Path) -> Verdict | None:
        """Return a Verdict where the patched code alone does not boot.

        That needs no baseline, which takes longest of all.
        """
        run = self.bench.run(tree, plan.unasked, name="boots-patched-a")
        if run.failure is None or run.failure.stage != "boot":
            return None
        original = self.bench.run(self.bench.original, plan.unasked, name="boots-original-a")
        return self._stopped(plan, original, run) if original.complete else None

    def _unbooted(self, tree: Path) -> Verdict | None:
        """Return a Verdict where the command of production does not boot, None where it does."""
        project = self.bench.project
        if not project.boot:
            return None
        command = " ".join(project.boot)
        self.progress(f"booting it: {command}")
        error = self.bench.boot_error(tree)
        if not error:
            self._checks.passed("boots", f"{command} answers {project.health}")
            return None
        own = self.bench.boot_error(self.bench.original)
        if own:
            what = f"The original code does not boot by {command}: {own}"
            return self._checks.inconclusive("boots", what, "not started")
        reason = f"It does not boot by {command}: {error}"
        return self._checks.refused("boots", reason, Constraint("boot", "", reason))

    def _trouble(self, plan: Plan, run: Run) -> Verdict | None:
        """Return a Verdict where the original itself cannot be replayed."""
        if run.failure is not None:
            machinery: Machinery = "not started" if run.failure.stage == "boot" else "crashed"
            what = f"The original code fails at {run.failure.stage}: {run.failure.error}"
            return self._checks.inconclusive("baseline", what, machinery)
        if run.hung is not None:
            what = f"The original code did not answer {plan.place(run.hung)[1]} in time"
            return self._checks.inconclusive("baseline", what, "timed out")
        if run.ended:
            what = f"The original code ended with {run.ended}"
            return self._checks.inconclusive("baseline", what, "crashed")
        for step, reply in run.replies.items():
            for name, value in reply.answer.effects:
                if name.startswith(REFUSED):
                    kind = name.removeprefix(REFUSED).strip()
                    what = (
                        f"The original code needs a {kind} that a replay may not use ({value}), "
                        f"for {plan.place(step)[1]}"
                    )
                    return self._checks.inconclusive("baseline", what)
        return None

    def _baseline_trouble(self, plan: Plan, original: Pair) -> Verdict | None:
        """Return a Verdict where the baseline proves nothing, None where it does."""
        answered = [original.a.replies[step].answer for step in plan.measured]
        if not answered:
            return self._checks.inconclusive("baseline", "There is no recorded request")
        good = sum(NO_ANSWER < one.status < REDIRECTION for one in answered)
        if not good:
            statuses = ", ".join(sorted({str(one.status) for one in answered}))
            return self._checks.inconclusive(
                "baseline",
                f"The original code answers all {len(answered)} recorded requests with errors or "
                f"redirects ({statuses}): that proves nothing. Is an actor missing",
            )
        loose = nothing_kept(plan, original)
        if loose:
            return self._checks.inconclusive("baseline", loose)
        self._checks.passed(
            "baseline", f"replayed twice; {good} of {len(answered)} recorded requests succeed"
        )
        return None

    def _stopped(self, plan: Plan, original: Run, run: Run) -> Verdict | None:
        """Return a refusal where the patched code did not come to the end of the plan."""
        if run.failure is not None and run.failure.stage == "boot":
            reason = f"It does not boot: {run.failure.error}"
            return self._checks.refused("boots", reason, Constraint("boot", "", reason))
        if run.failure is not None:
            return self._checks.inconclusive("replay", run.failure.error, "crashed")
        if run.hung is None and not run.ended:
            return None
        step = _left_open(plan, run)
        if step is None:
            return self._checks.inconclusive(
                "replay", f"The patched code ended with {run.ended}", "crashed"
            )
        clone, request, _ = plan.place(step)
        expected = original.replies[step].answer
        error = TIME_OUT if run.hung is not None else run.ended
        got = Answer(status=NO_ANSWER, error=error)
        took = original.replies[step].cost.duration_ns / 1e6
        how = "does not answer" if run.hung is not None else "ends the process"
        reason = f"It {how}: {request}, which the original answers in {took:.0f} ms"
        return self._checks.refused(
            f"answers on clone {clone.name!r}",
            reason,
            Constraint("answer", str(request), f"{request} must be answered."),
            Counterexample(
                request, _data(clone), expected, got, compare.differences(expected, got)
            ),
        )

    def _answered(self, plan: Plan, answers: Answers, different: list[Different]) -> Verdict:
        """Return a refusal with the smallest request that is answered differently."""
        step, _, expected, got, differences = different[0]
        clone, request, _ = plan.place(step)
        reason = (
            f"{len({one.step for one in different}):,} of {answers.seen:,} answers differ; the "
            f"smallest request is {request} on {clone.name!r}: {differences[0]}"
        )
        return self._checks.refused(
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

    def _count_answers(self, plan: Plan, answers: Answers) -> None:
        unstable = answers.unstable
        for clone in plan.clones:
            here = [step for step in plan.questions if plan.place(step)[0] == clone]
            kept = [step for step in here if step in unstable]
            shown = f"{len(kept)} of {len(here)} answers are equal field by field, twice"
            if clone.changed:
                shown += f"; {clone.changed.rstrip('.')}"
            if clone.skipped:
                shown += f"; {len(clone.skipped)} changes left out, as a constraint forbids them"
            self._checks.add(f"answers on clone {clone.name!r}", bool(kept) or None, shown)
        paths = sorted(frozenset[str]().union(*unstable.values()))
        if paths:
            self._checks.passed(
                "unstable", f"compared by type and pattern alone: {', '.join(paths)}"
            )

    def _cost(
        self, plan: Plan, original: Pair, patched: Pair, tree: Path, kept: Answers | None
    ) -> Verdict:
        """Return the Verdict by what both cost; ``kept`` are answers from before, still to hold."""
        timed = plan.repeated(ROUNDS)
        limit_s = original.a.slowest_allowed_s
        # At a time is quickest; where one side seems slower, it may be that it was in the way.
        runs = self.bench.beside(tree, timed, name="times", step_limit_s=limit_s)
        measured: list[tuple[Run, Run]] = []
        while True:
            before, after = runs
            if before.stopped:  # as the other side broke
                before = self.bench.run(self.bench.original, timed, name="original-times-a")
            if kept is not None and not (before.complete and kept.hold_all(timed, [before])):
                raise _Stale
            open_ = self._trouble(timed, before) or self._stopped(timed, before, after)
            if open_ is not None:
                return open_
            measured.append((before, after))
            times = cost.Times(timed, *zip(*measured, strict=True))
            found = cost.judge(plan, original.a, patched.a, times)
            if found.risen or not found.slower or len(measured) > TIMED_AGAIN:
                return self._costed(plan, found)
            runs = (
                self.bench.run(self.bench.original, timed, name="original-times-a"),
                self.bench.run(tree, timed, name="patched-times-a", step_limit_s=limit_s),
            )

    def _costed(self, plan: Plan, found: cost.Judged) -> Verdict:
        too_much = [*found.risen, *found.slower]
        if found.constraint is not None:
            reason = (
                f"The cost rises: {'; '.join(too_much)}"
                if too_much
                else "The answers are equal, and nothing costs less: statements, rows and sessions "
                "are what they were"
            )
            return self._checks.refused("cost", reason, found.constraint, costs=found)
        self._checks.passed("cost", "; ".join(found.fell))
        proofs = len(plan.questions) * 2
        reason = (
            f"{proofs:,} answers on {len(plan.clones)} clones are equal, and it costs less: "
            f"{found.fell[0]}"
        )
        return self._checks.proved(reason, found)


def _left_open(plan: Plan, run: Run) -> int | None:
    """Return the first question that a replay did not answer."""
    return next((at for at in plan.questions if at not in run.replies), None)


def _data(clone: Clone) -> str:
    return f"{clone.name}: {clone.changed}" if clone.changed else clone.name


def _where(changed: str) -> str:
    return f" (where {changed.rstrip('.')})" if changed else ""
