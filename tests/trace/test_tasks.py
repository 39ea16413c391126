"""Who awaits an asyncio task: found through whatever asyncio puts between two tasks."""

from __future__ import annotations

import asyncio
import sys

import pytest

from queryscope.trace import codes, tasks
from queryscope.trace.codes import CodeTable
from queryscope.trace.recorder import Recorder


async def asked():
    """Return the functions of the chain that a statement would have here."""
    await asyncio.sleep(0)  # so that who awaits has got to it
    recorder = Recorder("block", "test")
    site = recorder.site(sys._getframe())
    chain = list(recorder.chains)[site]
    steps = [
        recorder.table.resolve(key, instruction)
        for key, instruction in zip(chain[::2], chain[1::2], strict=True)
    ]
    return [step.function.rpartition(".")[2] for step in steps if step.file == __file__]


async def awaited():
    """Await a task."""
    return await asyncio.create_task(asked())


async def gathered():
    """Gather coroutines."""
    return (await asyncio.gather(asyncio.sleep(0), asked()))[1]


async def gathered_twice():
    """Gather what gathers."""
    return (await asyncio.gather(gathered()))[0]


async def grouped():
    """Leave a group of tasks."""
    async with asyncio.TaskGroup() as group:
        task = group.create_task(asked())
    return task.result()


async def waited():
    """Wait for a set of tasks."""
    task = asyncio.create_task(asked())
    await asyncio.wait([task])
    return task.result()


async def timed():
    """Await with a time-out."""
    return await asyncio.wait_for(asked(), 5)


async def shielded():
    """Shield a coroutine."""
    return await asyncio.shield(asked())


async def alone():
    """Start a task and forget it."""
    found, done = [], asyncio.Event()

    async def background():
        found.extend(await asked())
        done.set()

    task = asyncio.create_task(background())
    await done.wait()
    await task
    return found


@pytest.fixture(autouse=True)
def followed():
    """Let walks go on with who awaits a task."""
    tasks.follow()


@pytest.mark.parametrize(
    "outer", [awaited, gathered, grouped, waited, timed, shielded], ids=lambda one: one.__name__
)
def test_chain_goes_on_with_who_awaits(outer):
    """After a task's own steps come those of the task that awaits it, and no caller of the loop."""
    assert asyncio.run(outer()) == ["asked", outer.__name__]


def test_chain_goes_on_through_several_tasks():
    """A task awaited by a task awaited by a task: each adds its steps, from the inside out."""
    assert asyncio.run(gathered_twice()) == ["asked", "gathered", "gathered_twice"]


def test_task_that_nobody_awaits_ends_the_chain():
    """A background task has its own steps alone."""
    assert asyncio.run(alone()) == ["asked", "background"]


def test_chain_ends_at_a_boundary_of_an_outer_task():
    """A boundary in the awaiting task ends the chain there."""

    async def boundary():
        return await gathered()

    codes.register(boundary, codes.BOUNDARY)
    try:
        assert asyncio.run(asyncio.wait_for(boundary(), 5)) == ["asked", "gathered"]
    finally:
        codes.unregister([boundary])


def test_outside_a_loop_nobody_awaits():
    """Without an event loop, or in one without a task, there is nobody to be found."""
    assert tasks.awaiting(CodeTable()) == ()

    async def main():
        loop, found = asyncio.get_running_loop(), []
        loop.call_soon(lambda: found.append(tasks.awaiting(CodeTable())))
        await asyncio.sleep(0)
        return found

    assert asyncio.run(main()) == [()]


def test_unknown_callbacks_are_left_alone():
    """A user's own callback on a task is neither called nor looked into."""

    class Callback:
        def __getattr__(self, name):
            raise AssertionError(name)

        def __call__(self, task):
            called.append(task)

    called = []

    async def main():
        task = asyncio.create_task(asked())
        task.add_done_callback(Callback())
        task.add_done_callback(called.append)
        return await task

    assert asyncio.run(main()) == ["asked", "main"]
    assert len(called) == 2
