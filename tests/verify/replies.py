"""Runs made of words: what was answered to each question of a plan, and how long it took."""

from __future__ import annotations

from queryscope.verify.contract import Answer, Request
from queryscope.verify.job import Reply
from queryscope.verify.launch import Run
from queryscope.verify.parts import Clone
from queryscope.verify.plan import plan
from queryscope.verify.proposal import Cost

CLONES = (
    Clone("as is", "sqlite:///0"),
    Clone("other", "sqlite:///1", "changed"),
    Clone("last", "sqlite:///2", "changed"),
)


def a_plan(*recorded, variants=(), clones=CLONES):
    """Return the plan of requests to one endpoint."""
    return plan(
        {"GET /": [Request(target=one) for one in recorded or ("/",)]},
        {"GET /": [Request(target=one, variant=one) for one in variants]},
        clones,
    )


def a_run(asked, answers=None, *, ms=1.0, statements=1, **more):
    """Return a run over a plan: ``answers`` are bodies by step, ``same`` elsewhere."""
    found = answers or {}
    replies = {
        step: Reply(
            step=step,
            answer=Answer(status=200, body=found.get(step, b"same")),
            cost=Cost(statements, 1, 1, int(ms * 1e6), 1),
        )
        for step in asked.questions
    }
    told = {"failure": None, "hung": None, "ended": "", "duration_s": 1.0, "log": ""} | more
    return Run(replies=replies, **told)
