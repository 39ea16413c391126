"""Findings as bytes: nothing is lost, other bytes are refused with a reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from queryscope.detectors import codec
from queryscope.detectors.finding import Mend
from queryscope.errors import TraceFormatError
from queryscope.trace import packing
from tests.builders import a_finding, a_frame, a_node, an_origin
from tests.random_traces import Dice

GOLD = Path(__file__).with_name("gold")


def the_gold_findings():
    """Return the findings whose bytes in each format are kept; they never change."""
    return (
        a_finding(
            mend=Mend(a_frame(40), '.select_related("publisher")', "Add it to the queryset."),
            origin=an_origin(a_node(), 41),
            queries=(1, 2, 3),
            subject="library.Book.publisher",
            evidence={"parents": 12, "share": 0.5, "table": "library_publisher"},
        ),
        a_finding("QS501", name="connections-held", severity="critical", sessions=(0, 1)),
    )


@pytest.mark.parametrize("seed", range(30))
def test_random_findings_come_back_equal(seed):
    """Whatever stands in findings, their bytes give equal ones."""
    dice = Dice(seed)
    findings = dice.several(dice.finding)
    back = codec.decode(codec.encode(findings))
    assert back == findings
    assert [item.fingerprint for item in back] == [item.fingerprint for item in findings]


def test_every_format_is_still_read():
    """The bytes of each format ever written give the gold findings."""
    kept = sorted(GOLD.glob("findings-*.bin"))
    assert len(kept) == codec.VERSION, "keep the bytes of the new format, too"
    for path in kept:
        assert codec.decode(path.read_bytes()) == the_gold_findings()


def test_format_is_the_kept_one():
    """What is written expands to the kept bytes: a change of the format needs a new version."""
    kept = (GOLD / f"findings-{codec.VERSION}.bin").read_bytes()
    ours = codec.encode(the_gold_findings())
    assert packing.unpack(codec.ENVELOPE, ours) == packing.unpack(codec.ENVELOPE, kept)


def test_bytes_of_a_trace_are_refused():
    """Bytes of another kind of ours are not taken for findings."""
    with pytest.raises(TraceFormatError, match="are no list of findings"):
        codec.decode(packing.MAGIC + b"T\0\1")


@pytest.mark.parametrize("document", [1, [1], [{}], {"a": 1}, [{"code": 1}]])
def test_document_of_wrong_form_is_damaged(document):
    """Well-formed JSON that is no list of findings gives our error."""
    with pytest.raises(TraceFormatError, match="is damaged"):
        codec.decode(packing.pack(codec.ENVELOPE, document))
