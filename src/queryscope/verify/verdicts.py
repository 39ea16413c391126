"""Verdicts as JSON values and back: the ledger's lines and the report for programs."""

from __future__ import annotations

from typing import Any

from queryscope.verify.contract import (
    Difference,
    answer_from_plain,
    answer_to_plain,
    request_from_plain,
    request_to_plain,
)
from queryscope.verify.proposal import Check, Constraint, Cost, Counterexample, Verdict


def to_plain(verdict: Verdict) -> dict[str, Any]:
    """Return a Verdict as JSON values; credentials are masked."""
    found = verdict.counterexample
    return {
        "outcome": verdict.outcome,
        "machinery": verdict.machinery,
        "reason": verdict.reason,
        "checks": [check._asdict() for check in verdict.checks],
        "before": {endpoint: cost._asdict() for endpoint, cost in verdict.before},
        "after": {endpoint: cost._asdict() for endpoint, cost in verdict.after},
        "counterexample": None
        if found is None
        else {
            "request": request_to_plain(found.request),
            "clone": found.clone,
            "expected": answer_to_plain(found.expected),
            "got": answer_to_plain(found.got),
            "differences": [one._asdict() for one in found.differences],
        },
        "constraint": None if verdict.constraint is None else verdict.constraint._asdict(),
    }


def from_plain(plain: dict[str, Any]) -> Verdict:
    """Return the Verdict of JSON values."""
    found = plain["counterexample"]
    return Verdict(
        outcome=plain["outcome"],
        machinery=plain["machinery"],
        reason=plain["reason"],
        checks=tuple(Check(**one) for one in plain["checks"]),
        before=tuple((name, Cost(**cost)) for name, cost in plain["before"].items()),
        after=tuple((name, Cost(**cost)) for name, cost in plain["after"].items()),
        counterexample=None
        if found is None
        else Counterexample(
            request=request_from_plain(found["request"]),
            clone=found["clone"],
            expected=answer_from_plain(found["expected"]),
            got=answer_from_plain(found["got"]),
            differences=tuple(Difference(**one) for one in found["differences"]),
        ),
        constraint=None if plain["constraint"] is None else Constraint(**plain["constraint"]),
    )
