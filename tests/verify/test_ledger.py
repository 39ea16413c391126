"""The ledger survives what happens to programs that write it."""

from __future__ import annotations

import pytest

from queryscope.errors import StoreError
from queryscope.verify.contract import Answer, Difference, Request
from queryscope.verify.ledger import Attempt, Ledger
from queryscope.verify.proposal import (
    Check,
    Constraint,
    Cost,
    Counterexample,
    Edit,
    Proposal,
    Verdict,
)

ATTEMPT = Attempt("key", "tree", "data", "requests")
PROPOSAL = Proposal(title="one edit", edits=(Edit("a.py", "x", "y", 1, "00"),), origin="patch p")
REFUSED = Verdict(
    outcome="refused",
    machinery="completed",
    reason="an answer differs",
    checks=(Check("applies", True, "it does"), Check("answers", None, "none")),
    before=(("GET /", Cost(3, 4, 1, 5, 6)),),
    after=(("GET /", Cost(1, 4, 1, 5, 6)),),
    counterexample=Counterexample(
        Request(target="/?capacity=0", variant="capacity=0"),
        "as is",
        Answer(status=200, body=b"a"),
        Answer(status=500, error="KeyError: 1"),
        (Difference("status", "200", "500"),),
    ),
    constraint=Constraint("answer", "status", "Keep the status."),
)


def test_verdict_comes_back(tmp_path):
    """All of it, for the same attempt and no other."""
    ledger = Ledger(tmp_path / "deep" / "ledger.jsonl")
    assert ledger.verdict(ATTEMPT) is None
    ledger.begin(ATTEMPT, PROPOSAL)
    assert ledger.verdict(ATTEMPT) is None
    ledger.end(ATTEMPT, REFUSED)
    assert Ledger(ledger.path).verdict(ATTEMPT) == REFUSED
    assert ledger.verdict(ATTEMPT._replace(tree="other")) is None


def test_attempt_whose_machinery_failed_is_made_again(tmp_path):
    """A time-out of the verifier says nothing about the patch."""
    ledger = Ledger(tmp_path / "ledger.jsonl")
    crashed = Verdict(outcome="inconclusive", machinery="crashed", reason="no room")
    ledger.end(ATTEMPT, crashed)
    assert ledger.verdict(ATTEMPT) is None


def test_cut_off_line_is_passed_over(tmp_path):
    """A kill while a line is written costs that line alone."""
    ledger = Ledger(tmp_path / "ledger.jsonl")
    ledger.end(ATTEMPT, REFUSED)
    whole = ledger.path.read_bytes()
    for length in (1, len(whole) // 2, len(whole) - 1):
        ledger.path.write_bytes(whole + whole[:length])
        assert ledger.verdict(ATTEMPT) == REFUSED
        ledger.end(ATTEMPT._replace(data="new"), REFUSED)
        assert ledger.verdict(ATTEMPT._replace(data="new")) == REFUSED


def test_lessons_are_counted(tmp_path):
    """The same one taught twice is seen."""
    ledger = Ledger(tmp_path / "ledger.jsonl")
    for data in ("one", "two"):
        ledger.end(ATTEMPT._replace(data=data), REFUSED)
    assert ledger.constraints() == {REFUSED.constraint: 2}


def test_unwritable_ledger_is_named(tmp_path):
    """A file where the folder should be is said."""
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(StoreError, match="ledger"):
        Ledger(tmp_path / "file" / "ledger.jsonl").begin(ATTEMPT, PROPOSAL)
