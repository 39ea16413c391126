"""SARIF 2.1.0: what the standard requires, and that code scanning shows the right line."""

from __future__ import annotations

import json
import re
from urllib.parse import unquote, urlsplit

import pytest

from queryscope.detectors.finding import Mend
from queryscope.detectors.registry import Judged, all_detectors
from queryscope.policy import decisions
from queryscope.report import sarif
from queryscope.report.collected import collect
from tests.builders import a_finding, a_frame, a_node, a_trace, an_origin
from tests.report.pages import poisoned, some_findings

REQUIRED = {
    # From https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json
    "log": {"version", "runs"},
    "run": {"tool"},
    "driver": {"name"},
    "rule": {"id"},
    "result": {"message"},
    "suppression": {"kind"},
}
ALLOWED = {
    "log": {"$schema", "version", "runs", "inlineExternalProperties", "properties"},
    "run": {"tool", "results", "originalUriBaseIds", "columnKind", "invocations", "properties"},
    "driver": {"name", "version", "rules", "informationUri", "properties"},
    "rule": {"id", "name", "shortDescription", "fullDescription", "help", "helpUri", "properties"},
    "result": {
        "ruleId", "ruleIndex", "level", "rank", "message", "locations", "partialFingerprints",
        "occurrenceCount", "properties", "suppressions", "relatedLocations",
    },
    "suppression": {"kind", "status", "justification", "properties", "guid", "location"},
    "location": {"id", "physicalLocation", "logicalLocations", "message", "properties"},
    "physicalLocation": {"artifactLocation", "region", "contextRegion", "address", "properties"},
    "artifactLocation": {"uri", "uriBaseId", "index", "description", "properties"},
    "region": {"startLine", "endLine", "startColumn", "endColumn", "snippet", "message"},
}  # fmt: skip
"""Names of the standard; SARIF's schema allows no others outside of ``properties``."""


def check(kind: str, value: dict) -> None:
    """Check the names of one object against the standard's."""
    assert REQUIRED.get(kind, set()) <= set(value) <= ALLOWED[kind], kind


def check_location(location: dict, bases: dict) -> None:
    """Check a location: its address is a URI, its lines count from 1."""
    check("location", location)
    physical = location["physicalLocation"]
    check("physicalLocation", physical)
    check("region", physical["region"])
    first = physical["region"]["startLine"]
    assert 1 <= first <= physical["region"].get("endLine", first)
    artifact = physical["artifactLocation"]
    check("artifactLocation", artifact)
    assert re.fullmatch(r"[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]+", artifact["uri"])
    if "uriBaseId" in artifact:
        assert not artifact["uri"].startswith("/")
        assert artifact["uriBaseId"] in bases
    for name in location.get("logicalLocations", ()):
        assert name["fullyQualifiedName"]


def checked(collection) -> dict:
    """Return the one run of a log that holds to the standard."""
    log = json.loads(sarif.render(collection))
    check("log", log)
    assert log["version"] == "2.1.0"
    (run,) = log["runs"]
    check("run", run)
    check("driver", run["tool"]["driver"])
    rules = run["tool"]["driver"]["rules"]
    assert len({rule["id"] for rule in rules}) == len(rules)
    for rule in rules:
        check("rule", rule)
    bases = run["originalUriBaseIds"]
    assert all(base["uri"].endswith("/") for base in bases.values())
    for result in run["results"]:
        check("result", result)
        assert result["message"]["text"]
        assert result["level"] in {"none", "note", "warning", "error"}
        assert 0 <= result["rank"] <= 100
        assert result["occurrenceCount"] >= 1
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        assert all(isinstance(text, str) for text in result["partialFingerprints"].values())
        for location in (*result["locations"], *result.get("relatedLocations", ())):
            check_location(location, bases)
        for suppression in result["suppressions"]:
            check("suppression", suppression)
            assert suppression["kind"] in {"inSource", "external"}
            assert suppression["status"] in {"accepted", "underReview", "rejected"}
    return run


def collected(tmp_path, *findings, policy=None):
    """Return a collection of one Trace's findings in a project."""
    policy = policy or decisions.load(tmp_path)
    return collect([Judged(a_trace(), findings)], policy)


def test_result_has_place_rule_and_remedy(tmp_path):
    """A file of the project is relative to it; the line to mend is a related one."""
    file = str(tmp_path / "app" / "my views.py")
    mend = Mend(a_frame(38, file=file), '.select_related("publisher")', "Add it.")
    origin = an_origin(a_frame(41, file=file, end_line=43), a_frame(7, file="/srv/lib/tool.py"))
    finding = a_finding(severity="critical", origin=origin, mend=mend)
    run = checked(collected(tmp_path, finding))
    (result,) = run["results"]
    place = result["locations"][0]["physicalLocation"]
    assert place["artifactLocation"] == {"uri": "app/my%20views.py", "uriBaseId": "SRCROOT"}
    assert place["region"] == {"startLine": 41, "endLine": 43}
    assert (result["level"], result["ruleId"]) == ("error", "QS101")
    assert '.select_related("publisher")' in result["message"]["text"]
    related = [one["message"]["text"] for one in result["relatedLocations"]]
    assert related == ["to be edited", "called from"]
    elsewhere = result["relatedLocations"][1]["physicalLocation"]["artifactLocation"]
    assert elsewhere == {"uri": "file:///srv/lib/tool.py"}
    assert result["partialFingerprints"] == {"queryscope/v1": finding.fingerprint}
    base = urlsplit(run["originalUriBaseIds"]["SRCROOT"]["uri"])
    assert unquote(base.path) == f"{tmp_path}/"


@pytest.mark.parametrize(
    ("severity", "level"), [("critical", "error"), ("warning", "warning"), ("info", "note")]
)
def test_severity_is_the_level(tmp_path, severity, level):
    """As viewers of SARIF sort and colour."""
    run = checked(collected(tmp_path, a_finding(severity=severity)))
    assert run["results"][0]["level"] == level


def test_rules_are_those_that_spoke(tmp_path):
    """Each once, with the page of its code."""
    run = checked(collected(tmp_path, *(a_finding(code) for code in ("QS101", "QS502", "QS101"))))
    rules = run["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == ["QS101", "QS502"]
    assert rules[0]["name"] == all_detectors()["QS101"].NAME
    assert "## Use instead" in rules[0]["help"]["markdown"]


def test_known_findings_are_suppressed(tmp_path):
    """Code scanning shows them as dismissed, with the reason; an open one is not."""
    findings = a_finding(subject="one"), a_finding(subject="two")
    policy = decisions.load(tmp_path)
    kept = policy.baseline.with_findings(findings[:1], owner="ada", reason="old page")
    policy = decisions.replace(policy, baseline=kept)
    run = checked(collected(tmp_path, *findings, policy=policy))
    one_open, known = run["results"]
    assert one_open["suppressions"] == []
    (suppression,) = known["suppressions"]
    assert suppression["kind"] == "external"
    assert suppression["justification"] == "old page; owner: ada"


def test_finding_without_a_file_has_no_location(tmp_path):
    """A template without a file, or no line of the user's at all."""
    findings = (
        a_finding(origin=an_origin(a_node(file=None))),
        a_finding("QS503", origin=an_origin()._replace(steps=())),
    )
    run = checked(collected(tmp_path, *findings))
    assert [result["locations"] for result in run["results"]] == [[], []]


def test_nothing_found_is_a_log(tmp_path):
    """Code scanning closes its alerts by an empty list of results."""
    assert checked(collected(tmp_path))["results"] == []


def test_hostile_texts_stay_texts(tmp_path):
    """Whatever was recorded, the log is JSON in ASCII and its addresses are addresses."""
    findings = [poisoned(item) for item in some_findings()]
    codes = [finding.code for finding in some_findings()]
    fixed = [decisions.replace(f, code=code) for f, code in zip(findings, codes, strict=True)]
    text = sarif.render(collected(tmp_path, *fixed))
    assert text.isascii()
    checked(collected(tmp_path, *fixed))


def test_code_of_another_version_is_a_bare_rule(tmp_path):
    """A store may hold findings of a newer queryscope."""
    run = checked(collected(tmp_path, a_finding("QS999")))
    assert run["tool"]["driver"]["rules"] == [{"id": "QS999"}]
