"""Log calls and outgoing HTTP requests on their way into a Recorder; full recording only.

Neither keeps a value of the user's: no text of a message, no path, query or credentials of a URL.
"""

from __future__ import annotations

from threading import get_ident
from typing import TYPE_CHECKING

from queryscope.trace.facts import OpenLogCall

if TYPE_CHECKING:
    from types import FrameType

    from queryscope.trace.recorder import Recorder

MAX_LOG_LINES = 500
"""Lines that log kept in one Trace; calls of more are counted."""
MAX_EXTERNAL_CALLS = 2_000
"""Outgoing requests kept in one Trace; more are counted."""
MAX_NAME_CHARS = 255
"""Length at which names of loggers and hosts are cut; a host's own limit is 253."""


def add_log_call(
    recorder: Recorder,
    file: str,
    line: int,
    logger: str,
    level: int,
    start_ns: int,
    end_ns: int,
    frame: FrameType,
) -> None:
    """Count one call of a line that logs.

    The chain of callers is looked at when the number of calls is a power of two: an item's turn of
    a loop comes the same way each time, and a walk costs as much as the call itself may.

    Args:
        recorder: The innermost Recorder.
        file: File of the line, as the logging module found it.
        line: Its number.
        logger: The logger's name.
        level: The level's number.
        start_ns: ``clock()`` before filters and handlers.
        end_ns: ``clock()`` after.
        frame: Where the walk outwards starts.
    """
    if recorder.closed:
        recorder.orphans += 1
        return
    lines = recorder.log_calls
    found = lines.get((file, line))
    if found is None:
        if len(lines) >= MAX_LOG_LINES:
            recorder.drop("log_calls", 1)
            return
        found = OpenLogCall(file, line, logger[:MAX_NAME_CHARS], level, start_ns)
        found = lines.setdefault((file, line), found)
    found.count += 1
    found.last_ns = start_ns
    found.duration_ns += end_ns - start_ns
    count = found.count
    if not count & (count - 1):
        site = recorder.site(frame)
        sites = found.sites
        sites.setdefault(site, 0)
        sites[site] += 1


def add_external_call(
    recorder: Recorder,
    host: str,
    start_ns: int,
    end_ns: int,
    stage: int,
    error: BaseException | None,
    frame: FrameType,
) -> None:
    """Append one outgoing request.

    Args:
        recorder: The innermost Recorder.
        host: The host asked.
        start_ns: ``clock()`` before it was sent.
        end_ns: ``clock()`` when the head of the response was there.
        stage: ``Scope.stage``.
        error: What it ended with instead.
        frame: Where the walk outwards starts.
    """
    if recorder.closed:
        recorder.orphans += 1
        return
    calls = recorder.external_calls
    if len(calls) >= MAX_EXTERNAL_CALLS:
        recorder.drop("external_calls", 1)
        return
    host = host.rpartition("@")[2][:MAX_NAME_CHARS].lower()
    name = None if error is None else type(error).__qualname__
    calls.append(
        (start_ns, end_ns - start_ns, host, name, stage, get_ident(), recorder.site(frame))
    )
