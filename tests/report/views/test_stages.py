"""The table of stages."""

from __future__ import annotations

from queryscope.report.view import report_of
from queryscope.report.views.stages import MAX_DEPTH
from tests.builders import a_stage, a_trace


def test_depth_is_the_number_of_stages_around():
    """A stage stands one deeper than the one that it is in; very deep ones are not indented."""
    stages = [a_stage(f"s{n}", parent=n - 1) for n in range(MAX_DEPTH + 3)]
    depths = [row.depth for row in report_of(a_trace(stages=stages), ()).stages]
    assert depths == [*range(MAX_DEPTH + 1), MAX_DEPTH, MAX_DEPTH]
