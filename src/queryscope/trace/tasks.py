"""Who awaits an asyncio task: the user's lines on the other side of ``gather`` and its like.

A task's stack ends in the event loop. ``asyncio.gather(Book.objects.aget(pk=1), ...)`` makes tasks
of coroutines that have no line of the user's at all; the line is that of the task which awaits
them. Each future knows whom to wake, so the way there is read from its callbacks. Where asyncio
keeps them in another way than we know, the chain ends with the task.
"""

from __future__ import annotations

import asyncio
from asyncio.events import Handle
from functools import partial
from types import (
    AsyncGeneratorType,
    BuiltinMethodType,
    CoroutineType,
    FunctionType,
    GeneratorType,
    MethodType,
)
from typing import TYPE_CHECKING, Any

from queryscope.trace import codes, walk

if TYPE_CHECKING:
    from types import FrameType

    from queryscope.trace.codes import CodeTable

MAX_TASKS = 10
"""Tasks awaiting one another that are followed."""
MAX_FUTURES = 4
"""Futures between a task and the one that awaits it: ``gather`` has one, ``wait`` too."""
MAX_CALLBACKS = 20
MAX_COROUTINES = 100


def awaiting(table: CodeTable) -> tuple[int, ...]:
    """Return the user's steps in the tasks that await the current one, the nearest first."""
    loop = asyncio._get_running_loop()
    task: Any = None if loop is None else asyncio.current_task(loop)
    steps: list[int] = []
    for _ in range(MAX_TASKS):
        if task is None:
            break
        task = _awaiter(task, MAX_FUTURES)
        if task is None:
            break
        for frame in reversed(_frames(task.get_coro())):
            code = frame.f_code
            kind = table.kinds.get(id(code))
            if kind is None:
                kind = table.classify(frame, code)
            if kind == codes.USER:
                steps += (id(code), frame.f_lasti)
            elif kind == codes.BOUNDARY:
                return tuple(steps)
    return tuple(steps)


def _awaiter(future: Any, depth: int) -> Any:
    """Return the task that a future's end will wake, None when it is not to be seen."""
    for entry in (getattr(future, "_callbacks", None) or ())[:MAX_CALLBACKS]:
        callback = entry[0]
        kind = type(callback)
        if kind is BuiltinMethodType or kind is MethodType:
            owner = callback.__self__
            if type(owner) is asyncio.TaskGroup:
                owner = owner._parent_task  # type: ignore[attr-defined]  # private
            if isinstance(owner, asyncio.Task):
                return owner
        elif depth and (kind is FunctionType or kind is partial):
            for value in _held(callback):
                if isinstance(value, asyncio.Future) and value is not future:
                    found = _awaiter(value, depth - 1)
                    if found is not None:
                        return found
    return None


def _held(callback: Any) -> list[Any]:
    """Return what a callback of asyncio's own has at hand: the future that it will end."""
    if type(callback) is partial:
        return list(callback.args)
    if callback.__module__ not in ("asyncio.tasks", "asyncio.futures"):
        return []
    held = []
    for cell in callback.__closure__ or ():
        try:
            held.append(cell.cell_contents)
        except ValueError:  # a variable without a value
            continue
    return held


def _frames(coroutine: Any) -> list[FrameType]:
    """Return the frames of a coroutine that stands still, the outermost first."""
    frames: list[FrameType] = []
    for _ in range(MAX_COROUTINES):
        kind = type(coroutine)
        if kind is CoroutineType:
            frame, coroutine = coroutine.cr_frame, coroutine.cr_await
        elif kind is GeneratorType:
            frame, coroutine = coroutine.gi_frame, coroutine.gi_yieldfrom
        elif kind is AsyncGeneratorType:
            frame, coroutine = coroutine.ag_frame, coroutine.ag_await
        else:
            break
        if frame is not None:
            frames.append(frame)
    return frames


def follow() -> None:
    """Let walks go on with who awaits a task; nothing of asyncio's is changed."""
    if awaiting not in walk.waiting:
        # Below this function stands what runs the loop, which asked for nothing.
        codes.register(Handle._run, codes.HANDED)
        walk.waiting.append(awaiting)
