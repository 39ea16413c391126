"""Raises in the middle of our frames, at one place after another, as a signal handler would."""

from __future__ import annotations

import opcode
import sys
import threading
from collections import Counter
from multiprocessing import pool
from typing import NamedTuple

OWN_THREADS = "queryscope"
"""How the names of our own threads begin: no request waits for what they do."""
LOST = frozenset({"__del__"})
"""What is raised while these run goes nowhere: Python itself writes it to standard error."""

DYING = frozenset({"weakref", "_weakrefset"})
"""Modules whose functions run where an object dies, whoever's frame that is."""


class AlarmError(Exception):
    """An error that comes at any moment."""


class HardAlarmError(BaseException):
    """One that nobody catches."""


class Place(NamedTuple):
    """Where Python looks for signals: an instruction of a function.

    Attributes:
        file: The function's file.
        function: Its qualified name.
        line: Its first line, which tells functions of one name apart.
        offset: Of the instruction.
    """

    file: str
    function: str
    line: int
    offset: int


class Sweep:
    """Raises where one place is passed for the n-th time; without a place it counts all of them.

    Python looks after a call of C code, at the start of a function and where a loop jumps back.
    Places are in frames of queryscope, and in those of the standard library that they call.

    Attributes:
        passed: How often each Place was passed.
        where: Where it raised, as text; None before.
        raised: What it raised.
    """

    def __init__(self, place=None, number=1, kind=AlarmError):
        """Choose the Place, which of its passes, and what is raised there."""
        self.passed = Counter()
        self.where = None
        self.raised = None
        self._place = place
        self._number = number
        self._kind = kind
        self._caller = None
        self._before = {}

    def trace(self, frame, event, argument):
        """Trace one frame."""
        if event == "call":
            self._before.pop(frame.f_back, None)  # CALL has begun a frame of Python's
            if self.where is not None or not (_is_ours(frame) or _is_called_by_us(frame)):
                return None
            frame.f_trace_opcodes = True
            frame.f_trace_lines = False
            return self.trace
        if event != "opcode":
            self._before.pop(frame, None)
            return self.trace
        if self.where is None and _looks(self._before.get(frame)):
            self._pass(frame)
        self._before[frame] = opcode.opname[frame.f_code.co_code[frame.f_lasti]]
        return self.trace

    def _pass(self, frame):
        code = frame.f_code
        place = Place(code.co_filename, code.co_qualname, code.co_firstlineno, frame.f_lasti)
        if self._place is not None and place != self._place:
            return
        if not _can_be_interrupted(frame, self._kind):
            return
        self.passed[place] += 1
        if self._place is not None and self.passed[place] == self._number:
            self.where = f"{place.function} at {frame.f_lineno}"
            self._caller = _caller(frame)
            self.raised = self._kind("alarm")
            raise self.raised

    def came_out(self, got):
        """Tell whether what was raised left our frames, as itself, for the code that called us.

        Args:
            got: What came out of all in the end; gevent and codecs make tracebacks anew.
        """
        if (
            self._caller is None
            or got is self.raised
            or getattr(got, "__cause__", 0) is self.raised
        ):
            return True
        traceback = self.raised.__traceback__
        while traceback is not None and traceback.tb_frame is not self._caller:
            traceback = traceback.tb_next
        return traceback is not None

    def forget(self):
        """Keep no frame, and nothing of what it has, alive."""
        self._before.clear()
        self._caller = None
        if self.raised is not None:
            self.raised.__traceback__ = self.raised.__context__ = self.raised.__cause__ = None


def _looks(operation):
    return operation is not None and operation.startswith(("CALL", "RESUME", "JUMP_BACKWARD"))


def _top(frame):
    return (frame.f_globals.get("__name__") or "").partition(".")[0]


def _is_ours(frame):
    return frame is not None and _top(frame) == "queryscope"


def _is_called_by_us(frame):
    """Tell whether a frame is Python's own that we call.

    Not where an object died in our frame, nor where we hand on the user's call.
    """
    top = _top(frame)
    if top not in sys.stdlib_module_names or not _is_ours(frame.f_back):
        return False
    original = frame.f_back.f_locals.get("original")
    return top not in DYING and getattr(original, "__code__", None) is not frame.f_code


def _caller(frame):
    """Return the frame that called us, None where nobody is there."""
    while frame is not None and (_is_ours(frame) or _is_called_by_us(frame)):
        frame = frame.f_back
    return frame


def _can_be_interrupted(frame, kind):
    """Tell whether somebody could throw here, and somebody else would get it."""
    if threading.current_thread().name.startswith(OWN_THREADS):
        return False
    function = frame.f_code.co_qualname
    while frame is not None and (_is_ours(frame) or _is_called_by_us(frame)):
        if frame.f_code.co_name in LOST:
            return False
        frame = frame.f_back
    if frame is None or frame.f_code.co_name == "_bootstrap":
        return False  # a thread that has not begun is known to nobody who could throw into it
    if _is_main():
        return True
    # Threads of the standard library die of what is no Exception, and a ThreadPool's own of all
    # but what the user's function raises. Who waits then waits for ever, with us or without.
    own = frame.f_code.co_filename == pool.__file__
    return issubclass(kind, Exception) and (not own or function.startswith("Carried"))


def _is_main():
    here = threading.current_thread()  # under gevent a dummy stands for each greenlet
    return here is threading.main_thread() or isinstance(here, threading._DummyThread)


_sweep = None


def _dispatch(frame, event, argument):
    """Trace for the Sweep under way: threads keep the function that they began with."""
    return None if _sweep is None else _sweep.trace(frame, event, argument)


def watch_threads():
    """Let a Sweep see the threads that are started from now on, too."""
    threading.settrace(_dispatch)


def swept(sweep, work, *arguments):
    """Call ``work`` under a Sweep; return what it raised, or None."""
    global _sweep
    before = sys.gettrace()
    _sweep = sweep
    sys.settrace(_dispatch)
    try:
        work(*arguments)
    except BaseException as error:  # noqa: BLE001 - it is looked at by who asked
        return error
    finally:
        sys.settrace(before)
        _sweep = None
    return None
