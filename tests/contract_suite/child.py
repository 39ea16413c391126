"""Runs every scenario in the ways of one plan, and writes the lines: one process a plan.

``python -m tests.contract_suite.child PLAN``
"""

from __future__ import annotations

import sys

from tests.contract_suite.plan import SETTINGS, Plan

plan = Plan.of(sys.argv[1])
if plan.ways == ("run",):
    from queryscope import runtime

    # Before the ORM comes in, which begins the script's Trace.
    runtime.configure({**SETTINGS, "store": True}, source="child", debug=False)
if plan.ways == ("greenlet",):
    from gevent import monkey

    monkey.patch_all()

import logging  # noqa: E402 - gevent patches before all else
import traceback  # noqa: E402 - as above
from functools import partial  # noqa: E402 - as above
from importlib import import_module  # noqa: E402 - as above

from queryscope import adapters, runtime  # noqa: E402 - as above
from queryscope.trace import guard  # noqa: E402 - as above

each = map
"""By another name, no loop of ours stands around the scenarios: what they write several times
over would be written in it."""


def main():
    """Run and write."""
    logging.disable(logging.CRITICAL)  # frameworks log what a scenario raises
    project = import_module(f"tests.contract_suite.on_{plan.orm}.project")
    project.begin(plan)
    scenarios = import_module(f"tests.contract_suite.on_{plan.orm}.scenarios").SCENARIOS
    project.make_tables()
    if plan.ways == ("run",):
        import_module("tests.contract_suite.script").run(plan, project, scenarios)
    else:
        runtime.configure(SETTINGS, source="child", debug=False)
        adapters.install()
        plan.write(dict(each(partial(_lines, project, scenarios), plan.ways)))
    project.end()


def _lines(project, scenarios, way):
    """Return a way and the lines of each scenario run in it."""
    from tests.contract_suite import ways

    side = ways.Side(project.close, project.aclose, project.dispose)
    chosen = scenarios.on(plan.database, asynchronous=way in ways.ASYNC)
    with ways.opened[way](side) as run:
        return way, dict(each(partial(_one, run, project), chosen))


def _one(run, project, scenario):
    """Run one scenario; return its name and its lines."""
    from tests.contract_suite.normal import lines_of

    if project.stale:
        project.fill()
    project.stale = scenario.writes
    project.close()
    before = set(_traces())
    guard.clear()
    try:
        run(scenario)
        made = [item for key, item in _traces().items() if key not in before]
        if len(made) != 1:
            return scenario.name, [f"{len(made)} Traces instead of one"]
        return scenario.name, lines_of(*made[0])
    except Exception:  # noqa: BLE001 - the test names it, and goes on
        project.stale = True
        return scenario.name, traceback.format_exc().splitlines()


def _traces():
    found = runtime.get()
    assert found.flush(30)
    return {item.trace.id: item for item in found.ring.newest()}


if __name__ == "__main__":
    main()
