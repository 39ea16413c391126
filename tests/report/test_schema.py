"""The published schemas: real documents hold to them, and they leave nothing out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from queryscope.detectors.finding import Known
from queryscope.detectors.registry import Judged
from queryscope.policy import decisions
from queryscope.policy.stale import StaleIgnore
from queryscope.report import document, schema
from queryscope.report import json as report_json
from queryscope.report.collected import collect
from tests.builders import a_trace
from tests.report.pages import a_full_trace, poisoned, some_findings

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"
PUBLISHED = {
    "report.schema.json": document.ReportDocument,
    "findings.schema.json": document.FindingsDocument,
}
_KINDS = {
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "null": type(None),
    "array": list,
    "object": dict,
}


def faults(value, wanted, root, path="$"):
    """Yield what does not hold to a schema, and every name that the schema does not have."""
    if "$ref" in wanted:
        wanted = root["$defs"][wanted["$ref"].removeprefix("#/$defs/")]
    if "anyOf" in wanted:
        if all(list(faults(value, one, root, path)) for one in wanted["anyOf"]):
            yield f"{path}: {value!r} is none of {wanted['anyOf']}"
        return
    if "enum" in wanted:
        if value not in wanted["enum"]:
            yield f"{path}: {value!r} is not in {wanted['enum']}"
        return
    kind = wanted["type"]
    numeric = kind in ("integer", "number") and isinstance(value, bool)
    if numeric or not isinstance(value, _KINDS[kind]):
        yield f"{path}: {value!r} is no {kind}"
    elif kind == "array":
        for number, item in enumerate(value):
            yield from faults(item, wanted["items"], root, f"{path}[{number}]")
    elif kind == "object" and "additionalProperties" in wanted:
        for name, item in value.items():
            yield from faults(item, wanted["additionalProperties"], root, f"{path}.{name}")
    elif kind == "object":
        yield from (f"{path}: {name} is missing" for name in set(wanted["required"]) - set(value))
        for name, item in value.items():
            if name in wanted["properties"]:
                yield from faults(item, wanted["properties"][name], root, f"{path}.{name}")
            else:
                yield f"{path}: {name} is in no schema"


def some_collection(tmp_path, trace=None, findings=None):
    """Return a collection with an open, a known and an expired finding, and a stale ignore."""
    trace, findings = trace or a_full_trace(), findings or some_findings()
    policy = decisions.load(tmp_path)
    kept = policy.baseline.with_findings(findings[:1], expires=decisions.dt.date(2020, 1, 1))
    kept = kept.with_findings(findings[1:2], owner="ada")
    policy = decisions.replace(policy, baseline=kept)
    found = collect([Judged(trace, tuple(findings))], policy)
    return found._replace(stale=(StaleIgnore("/srv/app/a.py", 3, ("QS101",), "old", True),))


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_schema_is_that_of_the_code(name):
    """``make docs`` writes it from the types."""
    written = json.loads((REFERENCE / name).read_text(encoding="utf-8"))
    assert written == schema.schema_of(PUBLISHED[name])


@pytest.mark.parametrize("keep", [True, False])
@pytest.mark.parametrize("hostile", [False, True])
def test_report_holds_to_its_schema(keep, hostile):
    """With and without values, whatever was recorded: nothing is missing, nothing is left out."""
    trace, findings = a_full_trace(keep=keep), some_findings()
    if hostile:
        trace, findings = poisoned(trace), [poisoned(item) for item in findings]
    known = Known("comment", "app/views.py:3", "few rows")
    findings.append(decisions.replace(findings[0], known=known))
    written = json.loads(report_json.render(trace, findings))
    wanted = schema.schema_of(document.ReportDocument)
    assert list(faults(written, wanted, wanted)) == []


def test_empty_report_holds_to_its_schema():
    """A Trace in which nothing happened is one."""
    written = json.loads(report_json.render(a_trace(), []))
    wanted = schema.schema_of(document.ReportDocument)
    assert list(faults(written, wanted, wanted)) == []


def test_findings_hold_to_their_schema(tmp_path):
    """What ``queryscope check --format json`` writes."""
    collection = some_collection(tmp_path)
    written = json.loads(report_json.render_findings(collection))
    wanted = schema.schema_of(document.FindingsDocument)
    assert list(faults(written, wanted, wanted)) == []
    assert {item["expired"] for item in written["findings"]} == {"", "2020-01-01"}
    assert [bool(item["known"]) for item in written["findings"]] == [False, False, True]
    assert written["failed"] == 1  # the other open one is mild


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"schema_version": "1"}, "is no integer"),
        ({"extra": 1}, "extra is in no schema"),
        ({"findings": [{"code": 5}]}, "code: 5 is no string"),
        ({"schema": "other"}, "is not in ['queryscope.report']"),
    ],
)
def test_wrong_document_is_told(change, said):
    """The check of these tests does find what is wrong."""
    wanted = schema.schema_of(document.ReportDocument)
    written = {**json.loads(report_json.render(a_trace(), [])), **change}
    assert said in " ".join(faults(written, wanted, wanted))


def test_every_name_is_explained():
    """A schema that says only types explains nothing: findings and Traces have a sentence each."""
    parts = schema.schema_of(document.FindingsDocument)["$defs"]
    for name in ("Found", "Step", "FindingCost", "MendText", "KnownBy", "Stale"):
        bare = [
            key for key, value in parts[name]["properties"].items() if "description" not in value
        ]
        assert bare == [], name
