"""The walk from a statement outwards: who asked for it, what for, and the way to ask that again.

This is the hot path, as ``Recorder.add_query`` is: it runs while the application waits.
"""

from __future__ import annotations

import itertools
import sys
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from queryscope.trace import codes, guard
from queryscope.trace.codes import BOUNDARY, HANDED, JINJA, LIBRARY, NODE, NODE_STEP, USER, RawLabel

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType, FrameType

    from queryscope.trace.codes import Reader

_getframe = sys._getframe

MAIN_BOTTOMS = frozenset({"<module>", "_run_module_as_main"})
"""Functions in which the stack of a main thread begins."""
CALLED_ONCE = frozenset({"<listcomp>", "<setcomp>", "<dictcomp>"})
"""Functions of their own up to Python 3.11, each called where it is written and nowhere else: who
stands there again was called by the same instruction of the same function again."""
MAX_NODES = 5_000
"""Template nodes kept alive by one Recorder."""

Mark = tuple[int, "CodeType", int]
"""``(depth, code, instruction)`` of a frame that must stand there again."""

Way = tuple[
    str, tuple[Mark, ...] | None, int, "Reader | None", int, "CodeType | None", RawLabel | None
]
"""``(text, marks, chain, reader, depth, code, label)``: a statement's text as kept, and the way it
came, since the next one mostly comes the same way. The marks are the user's frames, but for those
that another one implies (``CALLED_ONCE``), and the boundary; None for a way that cannot be
followed. The reader takes the label from the frame at ``depth``, which must have this ``code``;
without a reader ``label`` is that of all that come this way. One tuple, so that a thread that sends
the same statement never sees half of it."""

NO_WAY: Way = ("", None, -1, None, 0, None, None)
NO_PARENT = (None, 0, None)
"""What a label says of the parent rows of a statement that has none."""
UNKNOWN_LABEL: RawLabel = (("", "", "", "", "", False, False, 0), None, 0, None)
"""The label of a statement whose ORM frame has a shape that we do not know."""

CAUSE: ContextVar[tuple[int, ...]] = ContextVar("queryscope_cause", default=())
"""The chain of who waits on the other side, where a library joins coroutines and threads."""
waiting: list[Callable[[codes.CodeTable], tuple[int, ...]]] = []
"""Asked for the chain of those who await what runs here, where its stack ends."""
beyond: list[Callable[[], FrameType | None]] = []
"""Asked for the frame that goes on where the stack of a greenlet ends, one for each adapter."""


class Walker:
    """Walks stacks, and keeps what it saw on the way.

    Attributes:
        full: Full recording.
        max_frames: Frames that are walked at most.
        table: What the code of each frame is.
        chains: A number for each chain of user frames and template nodes.
        nodes: The template nodes in them, by identity.
        labels: The static parts of labels, each once.
        label_failures: ORM frames of a shape that we do not know.
        ways: The way that each text came last.
        last: The way of the last statement.
    """

    __slots__ = (
        "chains",
        "full",
        "label_failures",
        "labels",
        "last",
        "max_frames",
        "next_chain",
        "nodes",
        "table",
        "ways",
    )

    def __init__(self, *, full: bool, max_frames: int) -> None:
        """Start without having seen anything."""
        self.full = full
        self.max_frames = max_frames
        self.table = codes.current()
        self.chains: dict[tuple[int, ...], int] = {}
        self.next_chain = itertools.count().__next__
        self.nodes: dict[int, Any] = {}
        self.labels: dict[RawLabel, RawLabel] = {}
        self.label_failures = 0
        self.ways: dict[Any, Way] = {}
        self.last = NO_WAY

    def walk(self, frame: FrameType | None) -> tuple[int, RawLabel | None]:
        """Walk outwards and return (index of the chain, label of the outermost ORM frame).

        The label is taken from the last known ORM frame before the first user frame: that is
        the ORM call the user made. A final source, such as a prefetch, is not overruled. All
        nodes of a template are read in full recording; in light recording only the innermost,
        since reading one frame's locals costs as much as ten frames.
        """
        chain, source, source_frame, _, _ = self._walk(frame, 0)
        site = self.number(chain)
        if source is None or source_frame is None:
            return site, None
        return site, self._label(source.read, source_frame)

    def site(self, frame: FrameType | None) -> int:
        """Walk outwards and return the index of the chain, without reading a label."""
        return self.number(self._walk(frame, 0)[0])

    def place(self, frame: FrameType | None) -> tuple[int, tuple[int, ...]]:
        """Walk outwards and return (index of the chain, the chain)."""
        chain = self._walk(frame, 0)[0]
        return self.number(chain), chain

    def number(self, chain: tuple[int, ...]) -> int:
        """Return the index of a chain, a new one for a new chain.

        Where two threads bring the same new chain at a time, one number is never used.
        """
        site = self.chains.get(chain)
        return self.chains.setdefault(chain, self.next_chain()) if site is None else site

    def _walk(
        self, frame: FrameType | None, depth: int
    ) -> tuple[tuple[int, ...], Any, FrameType | None, int, tuple[Mark, ...] | None]:
        """Walk outwards and return (chain, label source, its frame, the depth of that, marks).

        The marks are None when the way cannot be followed again: a template node stands in a
        frame's locals, which the same code at the same depth does not repeat, and what waits
        for a greenlet or a thread has no depth from here. A stack that ends early, as a
        greenlet's does, has no mark at its end: the same function may be called further in.
        """
        table = self.table
        get = table.kinds.get
        steps: list[int] = []
        marks: list[Mark] = []
        source: Any = None
        source_frame: FrameType | None = None
        source_depth = 0
        nodes = 0
        called_once = False
        far = False
        bottom = True
        code: CodeType | None = None
        for at in range(depth, depth + self.max_frames):
            if frame is None:
                frame = None if far else _frame_beyond()
                far = far or frame is not None
                if frame is None:
                    if cause := self._cause():
                        steps += cause
                        far = True
                    break
            code = frame.f_code
            kind = get(id(code))
            if kind is None:
                kind = table.classify(frame, code)
            if kind is LIBRARY:
                pass
            elif kind is USER or kind is JINJA:
                steps += (id(code), frame.f_lasti)
                if not called_once:
                    marks.append((at, code, frame.f_lasti))
                called_once = code.co_name in CALLED_ONCE
            elif kind is BOUNDARY:
                marks.append((at, code, frame.f_lasti))
                bottom = False
                break
            elif kind is HANDED:
                marks.append((at, code, frame.f_lasti))
                bottom = False
                cause = self._cause()
                # Without a step of its own it is known only by who waits for it.
                far = far or bool(cause) or not steps
                steps += cause
                break
            elif kind is NODE:
                if self.full or not nodes:
                    nodes += 1
                    node = frame.f_locals.get("self")
                    key = id(node)
                    if key not in self.nodes and len(self.nodes) < MAX_NODES:
                        self.nodes[key] = node
                    steps += (key, NODE_STEP)
            elif not steps and (source is None or not source.final):
                source = kind
                source_frame = frame
                source_depth = at
            frame = frame.f_back
        else:
            bottom = False
        if bottom and code is not None and code.co_name not in MAIN_BOTTOMS:
            far = True
        followed = None if nodes or far else tuple(marks) or None
        return tuple(steps), source, source_frame, source_depth, followed

    def _cause(self) -> tuple[int, ...]:
        """Return the chain of those who wait for what runs here."""
        found = CAUSE.get()
        for ask in waiting:
            found = (*ask(self.table), *found)
        return found

    def _explore(self, text: str, depth: FrameType | int | None) -> tuple[int, RawLabel | None]:
        """Walk from ``depth`` frames above the caller of ``add_query``; remember the way.

        From a frame it is walked each time: how deep that stands, nobody has said.
        """
        if type(depth) is not int:
            return self.walk(depth)  # type: ignore[arg-type] # not narrowed by type()
        # 0 is this frame, 1 add_query, 2 its caller. Marks count from add_query, which follows.
        try:
            start = _getframe(depth + 2)
        except ValueError as raised:  # a greenlet that was given the driver's own method to run
            if not guard.is_ours(raised):
                raise
            start = None
        chain, source, frame, at, marks = self._walk(start, depth + 1)
        site = self.number(chain)
        label = reader = code = None
        if source is not None and frame is not None:
            label = self._label(source.read, frame)
            reader = self._reader(source, label)
            code = frame.f_code
        self.last = self.ways[text] = (text, marks, site, reader, at, code, label)
        return site, label

    def _reader(self, source: Any, label: RawLabel) -> Reader | None:
        """Return what reads the next label of a way, None when it will be ``label`` again."""
        read: Reader = source.read
        if label is UNKNOWN_LABEL:
            return read
        follow = getattr(source, "follow", None)
        if follow is not None:
            following: Reader | None = follow(label, full=self.full)
            return following
        # Which row a statement is for differs from one to the next, and in full recording also
        # where it was made. A label that says nothing of either need not be read again.
        made = self.full and getattr(source, "made", True)
        return None if label[1:] == NO_PARENT and not made else read

    def _label(self, read: Reader, frame: FrameType, before: RawLabel | None = None) -> RawLabel:
        """Return the label that an ORM frame tells, with its static part interned.

        That of ``before``, the last label of the way, is: readers that follow give it again.
        """
        try:
            label = read(frame)
        except Exception as raised:
            # Another shape than we know, or the user's code: a property, a hash of a key.
            if not guard.is_ours(raised):
                raise
            label = None
        if label is None:
            self.label_failures += 1
            return UNKNOWN_LABEL
        if before is not None and label[0] is before[0]:
            return label
        static, parent, parents, parent_query = label
        kept = self.labels.setdefault(static, static)
        return label if kept is static else (kept, parent, parents, parent_query)


def _frame_beyond() -> FrameType | None:
    """Return where the stack goes on that ends here, None where it really ends."""
    for ask in beyond:
        frame = ask()
        if frame is not None:
            return frame
    return None


def unwalked(text: str) -> Way:
    """Return the way of a statement that has not been walked."""
    return text, *NO_WAY[1:]
