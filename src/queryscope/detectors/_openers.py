"""Openers of sessions and connections in words, and the call that should be handed one."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from queryscope.detectors.finding import Mend
from queryscope.trace.events import Frame, TemplateNode
from queryscope.trace.loops import loop_at

if TYPE_CHECKING:
    from queryscope.trace.connections import Checkout
    from queryscope.trace.events import Origin, Trace

KINDS = {"request": "request", "task": "task", "block": "block", "script": "script", "test": "test"}


class Call(NamedTuple):
    """A call on the way to an opener: the line that makes it, and the function called."""

    at: Frame
    function: str


def place(step: Frame | TemplateNode | Origin | None) -> str:
    """Return ``folder/file.py:41`` for a position, ``an unknown line`` for none."""
    if step is not None and not isinstance(step, (Frame, TemplateNode)):
        step = step.first
    if step is None:
        return "an unknown line"
    if isinstance(step, TemplateNode):
        return f"{step.template}:{step.line}"
    return f"{'/'.join(step.file.replace(chr(92), '/').split('/')[-2:])}:{step.line}"


def opener_of(checkout: Checkout, trace: Trace) -> Origin:
    """Return where to mend a checkout: where its session was opened, else where it was asked for.

    A session asks for its connection at its first statement, and again after each commit.
    """
    if checkout.session is not None:
        opener = trace.sessions[checkout.session].opener
        if opener.first is not None:
            return opener
    return checkout.opener


def taken_as(checkout: Checkout, trace: Trace) -> str:
    """Return what the code has in its hands: a ``session`` of SQLAlchemy, or the ``connection``."""
    if checkout.session is None or trace.sessions[checkout.session].framework == "django":
        return "connection"
    return "session"


def bare(function: str) -> str:
    """Return a function's own name, without its class or enclosing function."""
    return function.rpartition(".")[2]


def step_in(outer: Origin, inner: Origin) -> Frame | None:
    """Return the line of ``inner`` that lies in the function in which ``outer`` began."""
    home = outer.frame
    if home is None:
        return None
    for step in inner.steps:
        if isinstance(step, Frame) and (step.file, step.function) == (home.file, home.function):
            return step
    return None


def call_towards(outer: Origin, inner: Origin) -> Call | None:
    """Return the call through which the function that opened ``outer`` got to ``inner``.

    Of the calls on that way it is the innermost in the file of ``outer``: the helper that is
    called there is what can be handed a session. None when ``inner`` was opened in that very
    function, or on another way.
    """
    home = outer.frame
    if home is None:
        return None
    frames = [step for step in inner.steps if isinstance(step, Frame)]
    called: Call | None = None
    for inside, step in pairwise(frames):
        if step.file == home.file and called is None:
            called = Call(step, bare(inside.function))
        if (step.file, step.function) == (home.file, home.function):
            return called
    return None


def share(outer: Origin, inner: Origin, what: str, *, later: bool = False) -> Mend | None:
    """Return how the opener of ``inner`` is spared: by what was opened at ``outer``.

    Args:
        outer: Opener of the session or connection to keep.
        inner: Opener of the one to spare.
        what: ``session`` or ``connection``.
        later: ``outer`` was opened after ``inner``, so it has to be opened sooner.
    """
    frames = [step for step in inner.steps if isinstance(step, Frame)]
    if not frames:
        return None
    if outer.first == inner.first:
        if len(frames) == 1 or _turns_here(outer, inner):
            return Mend(frames[0], what, f"Open the {what} once, before the loop, and reuse it.")
        return Mend(
            frames[1],
            what,
            f"Open one {what} in {bare(frames[1].function)}() and pass it into "
            f"{bare(frames[0].function)}(), which opens one at each call.",
        )
    opened = f"the {what} opened at {place(outer)}"
    call = call_towards(outer, inner)
    if call is None:
        return Mend(frames[0], what, f"Use {opened} here instead of opening another.")
    handed = f"Pass {opened}"
    if later:
        handed = f"Open the {what} of {place(outer)} before this call, pass it"
    return Mend(
        call.at,
        what,
        f"{handed} into {call.function}(), and use it at {place(inner)} instead of opening "
        "another.",
    )


def _turns_here(outer: Origin, inner: Origin) -> bool:
    """Tell whether one line opened both on one way, in a loop of its own function."""
    if outer.steps != inner.steps or outer.frame is None:
        return False
    loop = loop_at(outer.frame)
    return loop is not None and not loop.once


def milliseconds(duration_ns: int) -> float:
    """Return nanoseconds as milliseconds with one decimal, for evidence and messages."""
    return round(duration_ns / 1e6, 1)
