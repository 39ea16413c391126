"""Counts the Recorders that went nowhere: whose Trace reached no sink and was not given up."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING
from weakref import ref

if TYPE_CHECKING:
    from queryscope.trace.recorder import Recorder


class Tally:
    """Knows each Recorder from its beginning until somebody answers for its Trace.

    What a signal handler raises may end a request between any two steps of ours, also after its
    Trace has ended and before that waits to be written: no ``finally`` stands around all of them.
    The death of the Recorder does, and it is noted in C, where nothing can be raised.

    There is no lock, for a signal handler's error could leave it taken. CPython runs handlers, and
    changes threads, only after a call, at the start of a function and where a loop jumps back:
    the steps that belong together below stand without any of these between them.
    """

    __slots__ = ("_begun", "_settled", "_under_way")

    def __init__(self) -> None:
        """Start with none."""
        self.clear()

    def clear(self) -> None:
        """Forget all: in a forked child those under way are the parent's to answer for."""
        self._begun = 0
        self._settled = 0
        self._under_way: dict[int, ref[Recorder]] = {}

    def begin(self, recorder: Recorder) -> None:
        """Answer for a new Recorder from now on."""
        under_way = self._under_way
        key = id(recorder)
        watch = ref(recorder, partial(under_way.pop, key))
        under_way[key] = watch
        self._begun += 1

    def settle(self, recorder: Recorder) -> None:
        """Note that somebody has this Recorder's Trace, nested ones included, or gave it up."""
        under_way = self._under_way
        key = id(recorder)
        if key in under_way:
            del under_way[key]
            self._settled += 1
        for inner in recorder.children:
            self.settle(inner)

    @property
    def begun(self) -> int:
        """Recorders begun so far."""
        return self._begun

    @property
    def lost(self) -> int:
        """Recorders that died without anybody who answered for them."""
        return self._begun - self._settled - len(self._under_way)
