"""Verifications of a few words for what shows them: one proved, one refused, hostile ones."""

from __future__ import annotations

import json

from queryscope.verify import compare
from queryscope.verify.contract import Answer, Request
from queryscope.verify.proposal import (
    Check,
    Constraint,
    Cost,
    Counterexample,
    Edit,
    Proposal,
    Verdict,
)
from tests.builders import MS
from tests.report.pages import HOSTILE, poisoned

OLD = "def listed():\n    return [one.maker.name for one in Item.objects.all()]\n"
NEW = OLD.replace(".all()", '.select_related("maker")')
BEFORE = Cost(31, 40, 3, 120 * MS, 100 * MS, 2, 1, 30)
AFTER = Cost(1, 40, 1, 10 * MS, 8 * MS, 2, 0, 0)
JSON = (("Content-Type", "application/json"), ("Set-Cookie", "session=secret-of-ann"))


def a_proposal(*edits, origin="patch fix.diff"):
    """Return a change of one file, unless told otherwise."""
    edits = edits or (Edit("app/views.py", OLD, NEW, 41, "0" * 64),)
    return Proposal(title="1 edit in 1 file", edits=edits, origin=origin)


def proved(**facts):
    """Return a verdict with two endpoints."""
    values = {
        "outcome": "proved",
        "machinery": "completed",
        "reason": "740 answers on 16 clones are equal, and it costs less",
        "checks": (
            Check("applies", True, "1 edit in 1 file"),
            Check("answers on clone 'as is'", True, "25 of 25 answers are equal"),
            Check("answers on clone 'empty'", None, "0 of 25 answers are equal; empty: no rows"),
        ),
        "before": (("GET /items", BEFORE), ("GET /me", Cost(1, 1, 1, 2 * MS, 0))),
        "after": (("GET /items", AFTER), ("GET /me", Cost(1, 1, 1, 2 * MS + 1, 0))),
    }
    return Verdict(**values | facts)


def an_answer(values, **facts):
    """Return an answer of JSON."""
    return Answer(status=200, headers=JSON, body=json.dumps(values).encode(), **facts)


def refused(
    expected=({"name": "thing", "stock": 0},), got=({"name": "thing", "stock": None},), **facts
):
    """Return a verdict with a counterexample."""
    answers = an_answer(expected), an_answer(got, effects=(("mail to ann", "Sold out"),))
    request = Request(
        method="POST",
        target="/items?stock=0",
        headers=(("Authorization", "Bearer secret-of-ann"), ("Accept", "*/*")),
        body=b'{"a": 1}',
        actor="ann",
        variant="stock=0",
    )
    values = {
        "outcome": "refused",
        "machinery": "completed",
        "reason": "3 of 25 answers differ",
        "checks": (Check("answers on clone 'as is'", False, "3 of 25 answers differ"),),
        "constraint": Constraint("answer", "body", "POST /items must keep body as it is."),
        "counterexample": Counterexample(request, "as is", *answers, compare.differences(*answers)),
    }
    return Verdict(**values | facts)


def hostile():
    """Return a verdict and a change in which every recorded string is hostile."""
    verdict = refused()
    found = verdict.counterexample
    return (
        refused(
            reason=HOSTILE,
            checks=poisoned(verdict.checks),
            constraint=poisoned(verdict.constraint),
            before=((HOSTILE, BEFORE),),
            after=((HOSTILE, AFTER),),
            counterexample=poisoned(found)._replace(
                expected=an_answer({HOSTILE: HOSTILE}),
                got=poisoned(found.got),
                differences=poisoned(found.differences),
            ),
        ),
        a_proposal(*(poisoned(edit) for edit in a_proposal().edits), origin=HOSTILE),
    )
