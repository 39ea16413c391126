"""Requests of every kind, interrupted at every place of ours: one process for a way and a database.

The requests are the scenarios of the contract suite, and more in ``swept_more`` that pass the
hooks which those do not. ``sweep`` says what a place is.
"""

# A child speaks to its test by printing, and stands whatever an interrupted ORM raises.
# ruff: noqa: T201

from __future__ import annotations

import faulthandler
import gc
import logging
import os
import random
import sys
import threading
import time
from collections import defaultdict
from importlib import import_module
from itertools import zip_longest

from queryscope import adapters, runtime
from queryscope.trace import codes, guard
from queryscope.trace.scope import ACTIVE
from queryscope.trace.walk import CAUSE
from tests.contract_suite import ways
from tests.contract_suite.plan import SETTINGS, Plan
from tests.contract_suite.scenarios import Scenario
from tests.faults.facts import facts_of
from tests.faults.sweep import AlarmError, HardAlarmError, Sweep, swept, watch_threads

FEWEST = 10
"""Places that are tried on a busy machine, too, though the time is up."""
SAMPLED = 25
"""Scenarios that are taken where time is short."""
HANGS_S = 90
"""Seconds after which an interrupted request and the next one are said to hang."""
KEPT = 20
"""Traces at the ring's end that are looked at: more than one interruption makes."""
ROUNDS = 3
"""Requests until what an interruption left is gone."""


class Harm(Exception):  # noqa: N818 - it is what was found
    """What an interruption has done that it must not do."""


class Subject:
    """Scenarios that are run in one way.

    Attributes:
        scenarios: Those that can be run so.
    """

    def __init__(self, plan, run, project, scenarios, clean):
        """Take what the way made."""
        self._run = run
        self._project = project
        self._stale = True
        self._asynchronous = plan.ways[0] in ways.ASYNC
        found = scenarios.on(plan.database, asynchronous=self._asynchronous)
        self.scenarios = [scenario for scenario in found if scenario is not PROBE]
        self._clean = clean

    def begin(self, scenario):
        """Have everything as it is before the first request."""
        if self._stale:
            self._project.fill()
        self._stale = scenario.writes
        self._project.close()

    def run(self, scenario):
        """Run a scenario."""
        self._run(scenario)

    def facts(self, scenario):
        """Run a scenario that nobody interrupts; return the facts of its Trace."""
        self.begin(scenario)
        self.run(scenario)
        # From another thread: this one may hold a lock that it never gives back.
        flushed = []
        waits = threading.Thread(
            target=lambda: flushed.append(runtime.get().flush(20)), daemon=True
        )
        waits.start()
        waits.join(25)
        if flushed != [True]:
            raise Harm("the writer is stuck")
        facts = facts_of(runtime.get().ring.newest(1)[0].trace)
        if scenario.writes:  # the numbers of new rows go on from those of an interrupted request
            facts["queries"] = [(query[0], *query[2:]) for query in facts["queries"]]
        facts["queries"].sort(key=repr)  # SQLAlchemy flushes what is in a set
        # On a busy machine a stage in which nothing was asked for is not too brief to be kept.
        facts["stages"] = [stage for stage in facts["stages"] if stage[1] == "named" or stage[3]]
        facts["counts"][1].pop("traces", None)  # what Count is for
        return facts

    def is_left(self):
        """Tell whether what runs next would begin inside what was interrupted."""
        if not self._asynchronous:
            return _is_inside()
        inside.clear()
        self.run(PROBE)
        # Where a coroutine that nobody finished is collected, asgiref's ``SyncToAsync`` sets every
        # variable as it was in there, the user's and ours: here, too, where no request runs.
        ACTIVE.set(None)
        CAUSE.set(())
        return inside != [False]

    def clean(self):
        """Throw away what an interruption has left in the ORM's own objects."""
        gc.collect()
        self._clean()
        gc.collect()


inside = []


async def probe():
    """Note whether the request around this one has begun inside another."""
    scope = ACTIVE.get()
    inside.append(scope.recorder.outer is not None or CAUSE.get() != ())


PROBE = Scenario(probe, asynchronous=True)


def _is_inside():
    return ACTIVE.get() is not None or CAUSE.get() != ()


codes.register(Subject.run, codes.BOUNDARY)


def sweep_all(plan_text, seed, limit_s):
    """Interrupt requests at places chosen by chance, each once; all must come out and harm none.

    By chance what is raised is an ``Exception`` or not; which request is at a place, too.

    Args:
        plan_text: A ``Plan`` of one way.
        seed: Of the random numbers.
        limit_s: Seconds after which it is enough, with some of the scenarios; 0: when every place
            of all of them was tried.
    """
    plan = Plan.of(plan_text)
    print("seed", seed, file=sys.stderr)
    logging.disable(logging.CRITICAL)
    threading.excepthook = lambda _: None  # an interrupted thread says so, as without us
    watch_threads()
    project = import_module(f"tests.contract_suite.on_{plan.orm}.project")
    project.begin(plan)
    scenarios = import_module(f"tests.contract_suite.on_{plan.orm}.scenarios").SCENARIOS
    more = import_module(f"tests.faults.swept_more.on_{plan.orm}")
    more.prepare(plan)
    scenarios |= {**more.SCENARIOS, PROBE.name: PROBE}
    project.make_tables()
    runtime.configure(SETTINGS, source="child", debug=False)
    adapters.install()
    side = ways.Side(project.close, project.aclose, project.dispose)
    with ways.opened[plan.ways[0]](side) as run:
        subject = Subject(plan, run, project, scenarios, more.clean)
        tries, places = _swept(subject, random.Random(seed), limit_s)
    print(tries, "of", places, "places", file=sys.stderr)
    print(guard.failures())
    print("enough" if tries >= min(places, FEWEST) else f"only {tries}")
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)  # a driver's thread may wait for a connection that an interruption left open


def _swept(subject, rng, limit_s):
    """Try the places; return how many were tried, and how many there are."""
    before, passes = {}, defaultdict(list)
    scenarios = subject.scenarios
    if limit_s:
        scenarios = rng.sample(scenarios, min(SAMPLED, len(scenarios)))
    for scenario in scenarios:
        subject.facts(scenario)
        before[scenario.name] = subject.facts(scenario)
        counting = Sweep()
        subject.begin(scenario)
        swept(counting, subject.run, scenario)
        for place, number in counting.passed.items():
            passes[place].append((scenario, number))
    # An interrupted session leaves a cycle, so that garbage is collected after each: without all
    # that was there before.
    gc.collect()
    gc.freeze()
    tries = 0
    deadline = time.monotonic() + limit_s if limit_s else float("inf")
    for place in rng.sample(sorted(passes), len(passes)):
        if time.monotonic() > deadline and tries >= FEWEST:
            break
        scenario, number = rng.choice(passes[place])
        kind = rng.choice((AlarmError, HardAlarmError))
        print(f"{scenario.name}, {place.function}, {kind.__name__}", file=sys.stderr, flush=True)
        faulthandler.dump_traceback_later(HANGS_S, exit=True)
        sweep = Sweep(place, rng.randint(1, number), kind)
        if _tried(subject, sweep, scenario, before[scenario.name]):
            tries += 1
    return tries, len(passes)


def _tried(subject, sweep, scenario, before):
    """Interrupt one request; tell whether it came to the place.

    Raises:
        Harm: What was raised did not come out, or something is not as before.
    """
    subject.begin(scenario)
    count = Count()
    raised = swept(sweep, subject.run, scenario)
    if sweep.where is None:  # not every run of a request passes it
        subject.facts(scenario)
        return False
    where = f"{scenario.name}, interrupted in {sweep.where}"
    if not sweep.came_out(raised):
        raise Harm(f"lost: {where}: {raised!r}")
    del raised
    sweep.forget()
    if subject.is_left():
        raise Harm(f"what runs next is in what was interrupted: {where}")
    subject.clean()
    try:
        after = subject.facts(scenario)
    except BaseException as error:
        raise Harm(f"the next request fails: {where}") from error
    for _ in range(ROUNDS):  # what a loop or a driver's thread still held goes with the next one
        if count.is_even():
            break
        subject.clean()
        subject.facts(scenario)
    count.check(where)
    if after != before:
        raise Harm(difference(where, before, after))
    return True


def difference(where, before, after):
    """Return what the facts of two Traces differ in, the first of each kind."""
    lines = [f"{where}:"]
    for name in before:
        if before[name] != after[name]:
            one, other = before[name], after[name]
            if isinstance(one, list):
                pairs = zip_longest(one, other)
                one, other = next(pair for pair in pairs if pair[0] != pair[1])
            lines += [name, f"  before {one}", f"  after  {other}"]
    return "\n".join(lines)[:8000]


class Count:
    """Where the Traces of some requests went: one that began is in the ring, or counted as lost."""

    def __init__(self):
        """Start now."""
        self._force = runtime.get()
        self._force.flush(20)
        self._begun = self._force.tally.begun
        self._lost = self._force.lost
        self._known = {trace.id for trace in self._traces()}

    def _traces(self):
        traces = [judged.trace for judged in self._force.ring.newest(KEPT)]
        for trace in traces:
            traces += trace.children
        return traces

    def is_even(self):
        """Tell whether each is in the ring or counted, and a later Trace says what was lost."""
        begun, recorded, lost, told = self._counted()
        return begun == recorded + lost and told == lost

    def check(self, where):
        """See where they are.

        Args:
            where: What to say of an error.

        Raises:
            Harm: One is not there, and not counted; or no later Trace says that it was lost.
        """
        if not self.is_even():
            begun, recorded, lost, told = self._counted()
            raise Harm(f"{begun} begun, {recorded} recorded, {lost} counted, {told} told: {where}")

    def _counted(self):
        begun = self._force.tally.begun - self._begun
        lost = self._force.lost - self._lost
        new = [trace for trace in self._traces() if trace.id not in self._known]
        return begun, len(new), lost, sum(trace.dropped.get("traces", 0) for trace in new)
