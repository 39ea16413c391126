"""The boot check: the command of production starts in a copy of the tree and answers once.

A patch can run in a plain process and not under the server: code that blocks before gevent has
patched the standard library, an import that only a worker makes, a setting that only it reads.
"""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from queryscope.verify.launch import (
    BOOT_LIMIT_S,
    POLL_S,
    ended_with_all,
    environment,
    first_error_of,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

ASK_LIMIT_S = 10.0
SERVER_ERROR = 500


def boot_error(
    command: Sequence[str],
    tree: Path,
    variables: Mapping[str, str],
    *,
    folder: Path,
    health: str,
    host: str,
    limit_s: float = BOOT_LIMIT_S,
) -> str:
    """Start an application by its own command, ask it once, end it; return what went wrong.

    Args:
        command: The command; ``{port}`` in it becomes a free port.
        tree: Where it starts.
        variables: The environment that it needs; nothing else of the user's is in it.
        folder: Of the run, for its log and its home.
        health: The path that is asked for.
        host: The name that the request is sent to.
        limit_s: Seconds until it must have answered.

    Returns:
        The first error of its whole log, or why it did not answer; ``""`` where it did, with
        another status than a server error.
    """
    port = _free_port()
    words = [word.replace("{port}", str(port)) for word in command]
    wanted = environment(folder, variables, hash_seed=0)
    # The server stands beside the interpreter, where both are in an environment of their own.
    wanted["PATH"] = os.pathsep.join([os.path.dirname(sys.executable), wanted["PATH"]])  # noqa: PTH120 - pathlib has no such text
    log = folder / "boot.log"
    with log.open("wb") as output, ended_with_all(folder) as children:
        try:
            process = subprocess.Popen(  # noqa: S603 - the project's own command
                words,
                cwd=tree,
                env=wanted,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            return f"{words[0]!r} cannot be started: {error.strerror}"
        children.append(process)
        trouble = _trouble(process, port, health, host, limit_s)
    if not trouble:
        return ""
    return first_error_of(log.read_text("utf-8", errors="replace")) or trouble


def _trouble(
    process: subprocess.Popen[bytes], port: int, health: str, host: str, limit_s: float
) -> str:
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        if process.poll() is not None:
            return f"it ended with exit code {process.returncode}"
        status = _status(port, health, host)
        if status is not None:
            return f"{health} was answered with {status}" if status >= SERVER_ERROR else ""
        time.sleep(POLL_S)
    return f"{health} was not answered within {limit_s:.0f} s"


def _status(port: int, health: str, host: str) -> int | None:
    """Return the status of the answer, None while nobody answers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=ASK_LIMIT_S)
    try:
        with suppress(OSError, http.client.HTTPException):
            connection.request("GET", health, headers={"Host": host})
            return connection.getresponse().status
    finally:
        connection.close()
    return None


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])
