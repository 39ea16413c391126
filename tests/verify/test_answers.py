"""Answers held beside the original's while they come in."""

from __future__ import annotations

from dataclasses import replace

import pytest

from queryscope.verify.answers import Answers
from queryscope.verify.bench import Pair
from queryscope.verify.contract import Answer
from queryscope.verify.job import TIME_OUT
from tests.verify.replies import a_plan, a_run

PLAN = a_plan("/", "/longer", variants=["/?x"])
"""Steps: load 0, ask 1-3; load 4, ask 5-7; load 8, ask 9-11; load 12, ask 13-14."""


def taken(answers, which, run, until=99):
    """Hand replies on until it is enough, and return the last step handed on."""
    for step, reply in run.replies.items():
        if answers.enough(which, reply) or step == until:
            return step
    return None


def original(**more):
    """Return the original's answers."""
    return Answers(PLAN, Pair(a_run(PLAN), a_run(PLAN, **more)))


def test_equal_answers_are_never_enough():
    """All of them are taken, and none differs."""
    answers = original()
    assert [taken(answers, which, a_run(PLAN)) for which in (0, 1)] == [None, None]
    assert (answers.different(), answers.seen) == ([], len(PLAN.questions))


def test_unstable_field_is_no_difference():
    """What the original itself does not keep counts by its pattern."""
    answers = original(answers={5: b"seem"})
    assert taken(answers, 0, a_run(PLAN, {5: b"asem"})) is None


def test_first_clone_that_differs_is_asked_to_its_end():
    """The smallest request may be the last one there."""
    answers = original()
    assert taken(answers, 0, a_run(PLAN, {6: b"x", 7: b"y", 9: b"z"})) == 7
    found = answers.different()
    assert [one.step for one in found] == [6, 7]
    assert (found[0].which, found[0].expected.body, found[0].got.body) == (0, b"same", b"x")
    assert answers.seen == 6


def test_request_without_answer_is_enough():
    """A patch that hangs does so for the next request, too."""
    answers = original()
    run = a_run(PLAN)
    hung = replace(run.replies[5], answer=Answer(status=0, error=TIME_OUT))
    assert taken(answers, 0, replace(run, replies={**run.replies, 5: hung})) == 5
    assert [one.step for one in answers.different()] == [5]


@pytest.mark.parametrize("first", [0, 1])
def test_it_does_not_matter_which_replay_is_ahead(first):
    """The one behind goes to the end of the clone on which the other differs, and no further."""
    answers = original()
    runs = [a_run(PLAN, {10: b"late"}), a_run(PLAN, {5: b"early"})]
    ended = {first: taken(answers, first, runs[first])}
    ended[1 - first] = taken(answers, 1 - first, runs[1 - first])
    assert [(one.which, one.step) for one in answers.different()] == [(1, 5)]
    assert ended == ({0: 11, 1: 7} if first == 0 else {0: 7, 1: 7})


def test_original_that_still_answers_so_holds():
    """One question, and the recorded ones."""
    answers = original()
    alone = PLAN.alone(6)
    assert answers.holds(6, 0, a_run(alone))
    assert not answers.holds(6, 0, a_run(alone, {1: b"new"}))
    assert not answers.holds(6, 0, a_run(alone, ended="exit code 1"))
    timed = PLAN.repeated(2)
    assert answers.hold_all(timed, [a_run(timed)])
    assert not answers.hold_all(timed, [a_run(timed, {2: b"new"})])


def test_plan_of_one_question_is_asked_on_its_own_data():
    """Clone and request are those of the whole plan."""
    clone, request, endpoint = PLAN.place(7)
    assert PLAN.alone(7).place(1) == (clone, request, endpoint)
    assert (clone.name, request.target) == ("other", "/?x")
    repeated = PLAN.repeated(3)
    assert [repeated.place(step)[1].target for step in repeated.measured] == ["/", "/longer"] * 3


def test_status_that_the_original_does_not_keep_is_not_judged():
    """Nobody knows what it should be."""
    second = a_run(PLAN)
    failed = replace(second.replies[5], answer=Answer(status=503))
    second = replace(second, replies={**second.replies, 5: failed})
    answers = Answers(PLAN, Pair(a_run(PLAN), second))
    assert taken(answers, 0, a_run(PLAN, {5: b"x"})) is None
