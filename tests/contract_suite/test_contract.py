"""Every scenario leaves the same Trace and the same findings in every way it can be run."""

from __future__ import annotations

import difflib
import subprocess

import pytest

from tests.contract_suite.differences import DIFFERENCES, blotted, own_text
from tests.contract_suite.on_sqlalchemy.scenarios import SCENARIOS
from tests.contract_suite.suite import GOLDEN, GROUPS, lines_by_way, reference

SHOWN_LINES = 30
WAYS = [
    pytest.param(group, way, id=f"{group.name}-{way}") for group in GROUPS for way in group.ways
]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """Give the lines of a group by way; its child process runs once, also where it fails."""
    done = {}

    def lines(group):
        if group not in done:
            try:
                done[group] = lines_by_way(group, tmp_path_factory.mktemp("contract"))
            except (AssertionError, subprocess.TimeoutExpired) as error:
                done[group] = error
        if isinstance(done[group], Exception):
            raise done[group]
        return done[group]

    return lines


@pytest.mark.parametrize(("group", "way"), WAYS)
def test_traces_are_those_of_the_reference(recorded, group, way):
    """Event by event, in order, findings included; what may differ stands in one table."""
    found = recorded(group)[way]
    assert len(found) >= (10 if "async" in way else 55)
    failed = {}
    for name, lines in found.items():
        wanted = reference(group.orm, name + own_text(group, way, name))
        before, after = blotted(wanted, group, way), blotted(lines, group, way)
        if before != after:
            failed[name] = list(difflib.unified_diff(before, after, "reference", way, lineterm=""))
    if failed:
        name, difference = next(iter(failed.items()))
        text = "\n".join(difference[:SHOWN_LINES])
        pytest.fail(f"{len(failed)} differ: {', '.join(failed)}\n{name}:\n{text}", pytrace=False)


def test_every_reference_is_of_a_scenario():
    """A text that no scenario has is a rest of one that is gone."""
    names = {path.name.partition(".")[0] for path in (GOLDEN / "sqlalchemy").glob("*.txt")}
    assert names == set(SCENARIOS)


def test_every_difference_is_one():
    """A text of its own that equals the common one, or is not there, is no difference."""
    for item in DIFFERENCES:
        for name in item.scenarios:
            own = reference(item.orm, f"{name}.{item.where[0]}")
            assert own, (item.reason, name)  # a text that is not there equals nothing
            assert own != reference(item.orm, name), (item.reason, name)
