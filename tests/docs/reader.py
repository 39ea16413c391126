"""A reader who does what a page says, in a folder: writes its files, runs its commands, looks.

A fenced block says in its first line what it is:

- ``python title=app.py``: the content of a file; with ``append`` more of it. A server that runs is
  started again, as its reloader would.
- ``sh``: commands, run one after the other by a shell; with ``fails`` the last one ends with an
  error. ``python -m venv``, ``activate`` and ``pip install`` are not run: what they would install
  must be there already. Of ``make`` the target must exist. ``curl`` is done by hand.
- ``sh server``: a command that goes on; the reader waits until its port answers, or, where it has
  none, as a Celery worker, until it says that it is ready.
- ``text``: what the last command printed, or, with ``server``, what the server prints, and a link
  to a report in it is followed. Lines must be there, with ``unordered`` in any order; times,
  dates, ids, shares and ports may differ, and so does what stands for ``...``.
- ``python``, ``toml``, ``ini``, ``json`` without a file: its syntax is checked, and every setting
  in a ``QUERYSCOPE = {...}``.

Anything else is an error: no block of a page goes unread.
"""

from __future__ import annotations

import ast
import configparser
import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
import tomllib
import urllib.error
import urllib.request
from collections import Counter
from importlib import metadata
from pathlib import Path
from typing import Self

from packaging.requirements import InvalidRequirement, Requirement

from queryscope.detectors import registry
from queryscope.settings import Settings
from tests.docs.markdown import ROOT, Block, blocks
from tests.serving import free_port

PORTS = ("8000", "5000")
"""Ports in the pages, each replaced by a free one."""
COMMAND_TIMEOUT_S = 120
PATIENCE_S = 30

_HARD_TO_SAY = (
    # (what differs from run to run, what stands for it)
    (re.compile(r"\b[0-9a-f]{12}\b"), "<id>"),
    (re.compile(r"\b\d{4}-\d\d-\d\d \d\d:\d\d:\d\d( UTC)?"), "<moment>"),
    (re.compile(r"\b\d[\d,.]* (ns|us|µs|ms|s|min)\b"), "<time>"),
    (re.compile(r"^=* ?(\d+ (?:passed|failed)) in \d[\d.]*s( =+)?$"), r"\1"),
    (re.compile(r"\b\d[\d.]* %"), "<share>"),
    (re.compile(r"\b(127\.0\.0\.1|localhost):\d+"), "<server>"),
    (re.compile(r"[█▓▒░]{2,}"), "<bar>"),
    (re.compile(r"[=_─-]{4,}"), "<line>"),
    (re.compile(r"\s+"), " "),
)
_REPORT_LINK = re.compile(r"http://\S+/__queryscope__/[0-9a-f]+")


def loosely(text: str) -> list[str]:
    """Return the lines of an output, with what differs from run to run taken out."""
    found = []
    for line in text.splitlines():
        for pattern, name in _HARD_TO_SAY:
            line = pattern.sub(name, line)  # noqa: PLW2901 - each pattern sees what the last left
        if line.strip():
            found.append(line.strip())
    return found


def missing(expected: str, output: str, *, ordered: bool = True) -> str:
    """Return the first line that an output should have and has not, ``""`` if it has all."""
    lines = loosely(output)
    there = iter(lines)
    for wanted in loosely(expected):
        if wanted in ("...", "…"):
            continue
        if not ordered:
            there = iter(lines)
        pattern = ".*".join(re.escape(part.strip()) for part in wanted.split("..."))
        for line in there:
            if re.fullmatch(pattern, line):
                break
        else:
            return wanted
    return ""


class Reader:
    """Follows pages in a folder; ``done`` counts what was done by its kind.

    Use it as a context manager: at its end the server is stopped.
    """

    def __init__(self, folder: Path) -> None:
        """Start in an empty folder, or in one that another reader left."""
        self.folder = folder
        self.done: Counter[str] = Counter()
        self.output = ""
        self.report = ""
        self._log = folder.parent / f"{folder.name}-server.log"
        self._seen = 0
        self._server: subprocess.Popen | None = None
        self._server_command = ""
        self._ports = {port: str(free_port()) for port in PORTS}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def follow(self, page: Path) -> None:
        """Do what every block of a page says, in order.

        Raises:
            AssertionError: A command failed, an output is not as the page has it, or a block says
                nothing that can be done.
        """
        for block in blocks(page.read_text(encoding="utf-8")):
            try:
                self.do(block)
            except (AssertionError, SyntaxError, ValueError) as error:
                where = f"{page.name}, the block of line {block.line}"
                raise AssertionError(f"{where}: {error}") from error

    def prepare(self, page: Path, *, until: str, leave_out: str = "") -> None:
        """Write the files of a page's beginning and run what fills them, without looking.

        Args:
            page: The page.
            until: The heading before which to stop.
            leave_out: Lines with this text are not written.
        """
        text, found, _ = page.read_text(encoding="utf-8").partition(f"\n{until}\n")
        assert found, f"{page.name} has no {until}"
        self.folder.mkdir(exist_ok=True)
        for block in blocks(text):
            if leave_out and leave_out in block.text:
                lines = block.text.splitlines(keepends=True)
                kept = "".join(line for line in lines if leave_out not in line)
                self.do(block._replace(text=kept))
            elif block.title or (block.language == "sh" and block.text.startswith("python ")):
                self.do(block)
        self.done.clear()

    def do(self, block: Block) -> None:
        """Do what one block says."""
        if block.title:
            self._write(block)
        elif block.language == "sh" and "server" in block.words:
            self.start(block.text.strip())
        elif block.language == "sh":
            self._commands(block)
        elif block.language == "text":
            self._look(block)
        else:
            self._check_syntax(block)

    # -- files and commands ------------------------------------------------------------------

    def _write(self, block: Block) -> None:
        path = self.folder / block.title
        assert path.resolve().is_relative_to(self.folder.resolve()), f"{block.title} is elsewhere"
        path.parent.mkdir(parents=True, exist_ok=True)
        if block.language == "python":
            compile(block.text, block.title, "exec")
        if "append" in block.words:
            assert path.exists(), f"{block.title} is not there to be added to"
            with path.open("a", encoding="utf-8") as file:
                file.write(block.text)
        else:
            path.write_text(block.text, encoding="utf-8")
        self.done["written"] += 1
        if self._server is not None:
            self.stop()
            self.start(self._server_command)

    def _commands(self, block: Block) -> None:
        lines = []
        for line in block.text.replace("\\\n", " ").splitlines():
            command = line.partition(" #")[0].strip()
            if command.startswith(("python -m venv ", ". .venv/", "pip install ")):
                if command.startswith("pip install "):
                    check_installed(shlex.split(command)[2:])
                self.done["installed"] += 1
            elif command.startswith("make "):
                check_target(command.split()[1])
                self.done["targets"] += 1
            elif command.startswith("curl "):
                self.output = self._fetched(command)
                self.done["fetched"] += 1
            elif command and not command.startswith("#"):
                lines.append(line)
        if lines:
            self.run("\n".join(lines), fails="fails" in block.words)

    def run(self, commands: str, *, fails: bool = False) -> str:
        """Run commands by a shell, one after the other, and return what they printed."""
        done = subprocess.run(
            ["bash", "-e", "-c", self._ported(commands)],
            cwd=self.folder,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            timeout=COMMAND_TIMEOUT_S,
            check=False,
        )
        self.output = done.stdout
        assert bool(done.returncode) == fails, (
            f"{commands}\nended with {done.returncode}:\n{done.stdout}"
        )
        self.done["run"] += 1
        return done.stdout

    def _fetched(self, command: str) -> str:
        address = next(word for word in shlex.split(command) if word.startswith("http"))
        return fetched(self._ported(address))

    def _ported(self, text: str) -> str:
        for port, free in self._ports.items():
            text = re.sub(rf"\b{port}\b", free, text)
        return text

    # -- the server --------------------------------------------------------------------------

    def start(self, command: str) -> None:
        """Start a server and wait until it answers."""
        self.stop()
        ported = self._ported(command)
        port = next((free for free in self._ports.values() if free in ported), "")
        self._server_command = command
        self._seen = self._log.stat().st_size if self._log.exists() else 0
        with self._log.open("ab") as log:
            self._server = subprocess.Popen(
                ["bash", "-c", f"exec {ported}"],
                cwd=self.folder,
                env=environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        deadline = time.monotonic() + PATIENCE_S
        while not (_listens(int(port)) if port else " ready." in self.server_output):
            assert self._server.poll() is None, f"{command} ended:\n{self.server_output}"
            assert time.monotonic() < deadline, f"{command} does not answer:\n{self.server_output}"
            time.sleep(0.1)
        self.done["served"] += 1

    def stop(self) -> None:
        """Stop the server, with the processes that it started."""
        server, self._server = self._server, None
        if server is None:
            return
        os.killpg(server.pid, signal.SIGTERM)
        try:
            server.wait(5)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait(5)

    @property
    def server_output(self) -> str:
        """What the server has printed since it was started last."""
        with self._log.open("rb") as log:
            log.seek(self._seen)
            return log.read().decode("utf-8", "replace")

    def _look(self, block: Block) -> None:
        if "server" in block.words:
            deadline = time.monotonic() + PATIENCE_S
            while absent := missing(block.text, self.server_output):
                if time.monotonic() > deadline:
                    break
                time.sleep(0.1)
            shown = self.server_output
            if not absent:
                self._open_report()
        else:
            absent = missing(block.text, self.output, ordered="unordered" not in block.words)
            shown = self.output
        assert not absent, f"should show\n  {absent}\nbut shows\n{shown}"
        assert loosely(block.text), "expects nothing"
        self.done["looked"] += 1

    def _open_report(self) -> None:
        """Follow the last link to a report that the server has printed, if it printed any."""
        found = _REPORT_LINK.findall(self.server_output)
        if found:
            page = fetched(found[-1])
            assert "<!doctype html>" in page, f"{found[-1]} is no page: {page[:200]}"
            self.report = page
            self.done["reports"] += 1

    # -- what is not run ---------------------------------------------------------------------

    def _check_syntax(self, block: Block) -> None:
        if block.language == "python":
            check_settings(ast.parse(block.text))
            compile(block.text, "block", "exec")
        elif block.language == "toml":
            tomllib.loads(block.text)
        elif block.language == "ini":
            configparser.ConfigParser().read_string(block.text)
        elif block.language == "json":
            json.loads(block.text)
        else:
            raise AssertionError(f"nobody can do {block.language!r} {block.words}")
        self.done["checked"] += 1


def fetched(address: str) -> str:
    """Return what a server answers."""
    try:
        with urllib.request.urlopen(address, timeout=PATIENCE_S) as answer:
            return answer.read().decode("utf-8", "replace")
    except urllib.error.HTTPError as error:
        with error:
            text = error.read().decode("utf-8", "replace")
        raise AssertionError(f"{address} answered {error.code}: {text[-2_000:]}") from None


def check_settings(tree: ast.Module) -> None:
    """Check every literal ``QUERYSCOPE = {...}`` of a module as the middleware would."""
    for node in ast.walk(tree):
        named = isinstance(node, ast.Assign) and any(
            isinstance(target, ast.Name) and target.id == "QUERYSCOPE" for target in node.targets
        )
        if named:
            Settings.from_mapping(
                ast.literal_eval(node.value),
                source="QUERYSCOPE",
                thresholds=registry.threshold_names(),
            )


def check_installed(words: list[str]) -> None:
    """Check that what a ``pip install`` names is installed, with the extras it asks for.

    Raises:
        AssertionError: Something is not.
    """
    for word in words:
        name = word
        if "/" in word:  # a folder: path/to/queryscope[django]
            name = word.rpartition("/")[2]
        try:
            wanted = Requirement(name)
            found = metadata.metadata(wanted.name)
        except (InvalidRequirement, metadata.PackageNotFoundError) as error:
            raise AssertionError(f"pip install {word}: {error}") from None
        extras = set(found.get_all("Provides-Extra") or ())
        assert wanted.extras <= extras, f"{word}: {wanted.name} has the extras {sorted(extras)}"


def check_target(name: str) -> None:
    """Check that the project's Makefile has a target."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert re.search(rf"^{re.escape(name)}:", makefile, re.MULTILINE), f"make has no {name}"


def environment() -> dict[str, str]:
    """Return the environment of a reader: ours without what belongs to this run of tests."""
    found = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTEST", "QUERYSCOPE", "DJANGO", "FLASK", "COV_", "BOOKING"))
        and name not in ("PYTHONPATH", "PYTHONWARNINGS", "PYTHONDEVMODE", "DATABASE_URL")
    }
    found["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), found.get("PATH", "")])
    found.update(PYTHONUNBUFFERED="1", NO_COLOR="1", COLUMNS="100", TERM="dumb")
    return found


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0
