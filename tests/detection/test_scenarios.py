"""Every scenario of the detection benchmark on SQLite with six rows: none is lost anew."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from benchmarks.detection import losses, runs
from benchmarks.detection.verdicts import verdicts
from queryscope.detectors.registry import all_detectors

ORMS = ("django", "sqlalchemy")
SIZE = 6
LISTED = {(loss.scenario, loss.what) for loss in losses.known() if loss.holds_with(SIZE)}


@pytest.fixture(scope="module")
def ran():
    """What the workers of both ORMs wrote, side by side."""
    with ThreadPoolExecutor(2) as pool:
        both = pool.map(lambda orm: runs.work(orm, "sqlite", [SIZE]), ORMS)
        return dict(zip(ORMS, both, strict=True))


@pytest.fixture(scope="module")
def judged(ran):
    """The verdicts of both, without those of codes that nobody detects yet."""
    return [
        item
        for orm in ORMS
        for item in verdicts(ran[orm])
        if item.scenario.code in all_detectors() or item.alarms or item.error
    ]


def lost(judged):
    """Return what is wrong, by scenario; what a code without a detector misses is not."""
    return {
        (item.scenario.key, what)
        for item in judged
        for what in item.losses
        if what != "missed" or item.scenario.code in all_detectors()
    }


def test_no_scenario_is_lost_that_is_not_listed(judged):
    """What was right stays right; a new loss is mended, or listed with its reason."""
    assert lost(judged) - LISTED == set()


def test_loss_that_was_mended_is_off_the_list(judged):
    """The list holds what is wrong today, and nothing else."""
    assert LISTED - lost(judged) == set()


def test_every_scenario_runs_and_its_twin_answers_alike(judged):
    """A scenario that raises, or is repaired into another answer, proves nothing."""
    assert [(item.scenario.key, item.error) for item in judged if item.error] == []


def test_losses_have_reasons_and_stand_once():
    """Each is a sentence; a list with two reasons for one thing is none."""
    every = losses.known()
    assert len({(loss.scenario, loss.what) for loss in every}) == len(every)
    assert [loss for loss in losses.known() if len(loss.reason.split()) < 5] == []


@pytest.mark.parametrize("orm", ORMS)
def test_dirty_scenarios_have_clean_ones_beside_them(ran, orm):
    """At least two clean cases for every three dirty ones."""
    kinds = [item.kind for item in ran[orm].scenarios.values()]
    assert 3 * sum(kind != "dirty" for kind in kinds) >= 2 * kinds.count("dirty") > 0


def test_every_code_that_has_a_detector_has_its_scenarios(ran):
    """One dirty, one repaired and two innocent ones; more than 250 in all."""
    every = [item for orm in ORMS for item in ran[orm].scenarios.values()]
    assert len(every) >= 250
    short = {
        code: kinds
        for code in all_detectors()
        if (kinds := [item.kind for item in every if item.code == code]).count("dirty") < 1
        or kinds.count("repaired") < 1
        or kinds.count("innocent") < 2
    }
    assert short == {}
