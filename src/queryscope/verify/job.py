"""What a replay in a child process is told, and what it writes back, line by line."""

from __future__ import annotations

import base64
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from queryscope.verify.contract import Answer, Request, request_from_plain, request_to_plain
from queryscope.verify.parts import Clone
from queryscope.verify.proposal import Cost

if TYPE_CHECKING:
    from collections.abc import Mapping

STEP_LIMIT_S = 10.0
"""What an answer may take at least, before it counts as hanging."""
STEP_FACTOR = 10.0
"""And how many times as long as the slowest one that it is compared with."""
CLONE_LIMIT_S = 3.0
"""What the original may take at least on changed data; slower answers there are left out."""
TIME_OUT = "time-out"
"""``Answer.error`` of a request that took longer."""

Stage = Literal["boot", "actor", "original tree", "clone"]


class Step(NamedTuple):
    """One thing to do: put a clone's data in place, or ask.

    Attributes:
        load: Index into ``Job.clones``, None to ask.
        ask: Index into ``Job.requests``, None to load.
    """

    load: int | None = None
    ask: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What one child has to do.

    Attributes:
        tree: The copy that it runs.
        original: The user's tree, from which nothing may be imported.
        folder: Of the run: the only one where files may be written.
        app: ``module:callable``, with ``()`` a factory.
        host: The host name that requests are sent to.
        actors: Names to ``module:callable``.
        work: The data that the application works on.
        clones: What it is loaded from.
        requests: All requests.
        steps: What to do, in order.
        reversed_selects: Let SQLite answer unordered selects backwards.
        memory_limit_mib: Address space.
        cpu_limit_s: Processor time.
        step_limit_s: Longest time of one answer; None to measure it: on changed data an answer
            may take ``STEP_FACTOR`` times as long as the slowest on the data as it is.
        results: The file for the results.
    """

    tree: str
    original: str
    folder: str
    app: str
    host: str
    actors: Mapping[str, str]
    work: Clone
    clones: tuple[Clone, ...]
    requests: tuple[Request, ...]
    steps: tuple[Step, ...]
    reversed_selects: bool
    memory_limit_mib: int
    cpu_limit_s: int
    step_limit_s: float | None
    results: str

    def to_json(self) -> str:
        """Return it as text for the child."""
        plain = {name: getattr(self, name) for name in self.__dataclass_fields__}
        plain["actors"] = dict(self.actors)
        plain["requests"] = [request_to_plain(one, mask=False) for one in self.requests]
        return json.dumps(plain)

    @classmethod
    def from_json(cls, text: str) -> Job:
        """Return the job of a text."""
        plain = json.loads(text)
        plain["work"] = _clone(plain["work"])
        plain["clones"] = tuple(map(_clone, plain["clones"]))
        plain["requests"] = tuple(map(request_from_plain, plain["requests"]))
        plain["steps"] = tuple(Step(*step) for step in plain["steps"])
        return cls(**plain)


def _clone(plain: list[Any]) -> Clone:
    name, url, changed, skipped, at = plain
    return Clone(name, url, changed, tuple(skipped), at)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What came of one question.

    Attributes:
        step: Index into ``Job.steps``.
        answer: The answer.
        cost: What it cost.
        tables: Tables that its last statement read.
    """

    step: int
    answer: Answer
    cost: Cost
    tables: tuple[str, ...] = ()


class Failure(NamedTuple):
    """Why a child could not go on.

    Attributes:
        stage: Where.
        error: The first error, one or several lines.
    """

    stage: Stage
    error: str


def reply_to_line(reply: Reply) -> str:
    """Return a reply as a line, byte by byte."""
    plain = asdict(reply.answer)
    plain["body"] = base64.b64encode(reply.answer.body).decode("ascii")
    line = {"step": reply.step, "cost": reply.cost, "tables": reply.tables, "answer": plain}
    return json.dumps(line) + "\n"


def reply_from_plain(plain: dict[str, Any]) -> Reply:
    """Return the reply of a line's values."""
    answer = plain["answer"]
    return Reply(
        step=plain["step"],
        answer=Answer(
            status=answer["status"],
            headers=tuple((name, value) for name, value in answer["headers"]),
            body=base64.b64decode(answer["body"]),
            error=answer["error"],
            effects=tuple((name, value) for name, value in answer["effects"]),
        ),
        cost=Cost(*plain["cost"]),
        tables=tuple(plain["tables"]),
    )
