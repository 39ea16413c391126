"""Openers of sessions and connections in words, and the call that should be handed one."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from queryscope.detectors.finding import Mend
from queryscope.trace.events import Frame, TemplateNode

if TYPE_CHECKING:
    from queryscope.trace.events import Checkout, Origin, Trace

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
    """Return the call, in the function that opened ``outer``, that led to ``inner``.

    Both chains start in the same function in two cases: the opener itself stands there, then
    nothing is called on the way; or it is one line reached again, then the call is one further out.
    """
    frames = [step for step in inner.steps if isinstance(step, Frame)]
    for index, step in enumerate(frames):
        home = outer.frame
        if home is None or (step.file, step.function) != (home.file, home.function):
            continue
        if index:
            return Call(step, bare(frames[index - 1].function))
        if step == home and len(frames) > 1:
            return Call(frames[1], bare(step.function))
        return None
    return None


def share(outer: Origin, inner: Origin, what: str) -> Mend | None:
    """Return how the opener of ``inner`` is spared: by what was opened at ``outer``.

    Args:
        outer: Opener of the session or connection to keep.
        inner: Opener of the one to spare.
        what: ``session`` or ``connection``.
    """
    if inner.frame is None:
        return None
    call = call_towards(outer, inner)
    if outer.first == inner.first:
        if call is None:
            return Mend(inner.frame, what, f"Open the {what} once, before the loop, and reuse it.")
        return Mend(
            call.at,
            what,
            f"Open one {what} in {bare(call.at.function)}() and pass it into {call.function}(), "
            f"which opens one at each call.",
        )
    if call is not None:
        return Mend(
            call.at,
            what,
            f"Pass the {what} opened at {place(outer)} into {call.function}(), and use it at "
            f"{place(inner)} instead of opening another.",
        )
    return Mend(
        inner.frame,
        what,
        f"Use the {what} opened at {place(outer)} here instead of opening another.",
    )


def milliseconds(duration_ns: int) -> float:
    """Return nanoseconds as milliseconds with one decimal, for evidence and messages."""
    return round(duration_ns / 1e6, 1)
