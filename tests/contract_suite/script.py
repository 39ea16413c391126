"""Runs every scenario in one script under ``queryscope run``: one Trace, a stage a scenario."""

from __future__ import annotations

from contextlib import suppress
from functools import partial

import queryscope
from tests.contract_suite.scenarios import Raised

PREFIX = "scenario "
each = map


def run(plan, project, scenarios):
    """Run the sync scenarios, each in its stage."""
    list(each(partial(_one, project), scenarios.on(plan.database, asynchronous=False)))


def _one(project, scenario):
    if project.stale:
        project.fill()
    project.stale = scenario.writes
    project.close()
    with suppress(Raised), queryscope.stage(PREFIX + scenario.name):
        for _ in scenario.run() or ():
            pass
