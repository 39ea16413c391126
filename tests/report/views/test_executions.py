"""Single statements as columns."""

from __future__ import annotations

from queryscope.report.view import report_of
from tests.builders import a_query, a_stage, a_trace, some


def test_executions_are_columns_of_every_statement():
    """Each statement kept is in the columns, in the order of the Trace."""
    trace = a_trace(
        *some(4, parameters=lambda n: (n,), keep=True, rows=lambda n: n, stage=0),
        a_query("DELETE FROM t", rows=None, error="E: x", session=0, parameters=None),
        stages=[a_stage("view")],
    )
    columns = report_of(trace, ()).executions
    assert columns.rows == (0, 1, 2, 3, -1)
    assert columns.parameter_set == (0, 1, 2, 3, -1)
    assert columns.error == (-1, -1, -1, -1, 0)
    assert columns.stage == (0, 0, 0, 0, -1)
    assert columns.stages == ("view",)
    assert columns.session == (-1, -1, -1, -1, 0)
    assert dict(columns.values[columns.group[2]])[2] == "2"
