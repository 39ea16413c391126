"""The command line as a whole: commands are found, errors are sentences, nothing leaves a mess."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import queryscope
from queryscope.cli.main import COMMANDS, main
from queryscope.detectors.registry import Judged
from queryscope.store.file import Store
from tests.builders import a_trace

MODULE = [sys.executable, "-m", "queryscope"]


def said(capsys, *arguments: str) -> tuple[int, str, str]:
    """Return exit code, output and errors of a command line."""
    try:
        code = main(arguments)
    except SystemExit as end:  # how argparse ends
        code = end.code
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.fixture
def store_path(tmp_path) -> Path:
    """Return the path of a store that holds one Trace."""
    path = tmp_path / ".queryscope" / "traces.db"
    store = Store(path)
    store.add([Judged(a_trace(started_at_ns=time.time_ns()), ())])
    store.close()
    return path


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(capsys, name):
    """Each command's module is there, and its help begins with what it does."""
    code, output, errors = said(capsys, name, "--help")
    assert (code, errors) == (0, "")
    assert output.startswith(f"usage: queryscope {name}")
    assert COMMANDS[name].summary in " ".join(output.split())
    assert "--store PATH" in output


def test_help_names_all_commands(capsys):
    """The help has a line for each command."""
    code, output, _ = said(capsys, "--help")
    assert code == 0
    for name, entry in COMMANDS.items():
        assert f"  {name}" in output
        assert entry.summary in output


def test_no_command_is_wrong_use(capsys):
    """Without a command the help is shown as an error."""
    code, output, errors = said(capsys)
    assert (code, output) == (2, "")
    assert "commands:" in errors


def test_version_is_told(capsys):
    """--version prints the version of the package."""
    assert said(capsys, "--version") == (0, f"queryscope {queryscope.__version__}\n", "")


def test_unknown_command_names_nearest(capsys):
    """A mistyped command is refused with the nearest one."""
    code, _, errors = said(capsys, "lst")
    assert code == 2
    assert "there is no command 'lst'. Did you mean 'list'?" in errors


@pytest.mark.parametrize("order", ["before", "joined", "after"])
def test_store_stands_before_or_after(capsys, store_path, order):
    """--store may stand on either side of the command."""
    arguments = {
        "before": ["--store", str(store_path), "list"],
        "joined": [f"--store={store_path}", "list"],
        "after": ["list", "--store", str(store_path)],
    }[order]
    code, output, errors = said(capsys, *arguments)
    assert (code, errors) == (0, "")
    assert "k3f" in output


def test_store_without_path_is_wrong_use(capsys):
    """--store with nothing behind it is an error of argparse, not a traceback."""
    code, _, errors = said(capsys, "--store")
    assert code == 2
    assert "--store" in errors


def test_default_store_is_of_the_working_directory(capsys, store_path, monkeypatch):
    """Without --store the file is the one where the settings put it."""
    monkeypatch.chdir(store_path.parent.parent)
    assert "k3f" in said(capsys, "list")[1]


def test_our_errors_are_one_sentence(capsys, tmp_path):
    """An error of ours goes to stderr with exit code 2 and without a traceback."""
    file = tmp_path / "notes.txt"
    file.write_text("my notes\n" * 50)
    code, output, errors = said(capsys, "--store", str(file), "list")
    assert (code, output) == (2, "")
    assert errors.startswith(f"queryscope: {file} is no SQLite file. It was left as it is.")
    assert file.read_text() == "my notes\n" * 50


def test_hostile_words_do_not_reach_the_terminal(capsys, store_path):
    """An error text that quotes something recorded or typed has no escape sequence in it."""
    code, _, errors = said(capsys, "--store", str(store_path), "report", "\x1b[31m\udcff")
    assert code == 2
    assert "\x1b" not in errors
    assert r"\x1b[31m\udcff" in errors


def test_module_runs_the_command(store_path):
    """``python -m queryscope`` is the command."""
    done = subprocess.run(
        [*MODULE, "--store", str(store_path), "list"], capture_output=True, text=True, check=True
    )
    assert "k3f" in done.stdout


def test_closed_pipe_is_quiet(store_path):
    """When the reader is gone the command ends without a word."""
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as pipe:
        done = subprocess.run(
            [*MODULE, "--store", str(store_path), "list"],
            stdout=pipe, stderr=subprocess.PIPE, check=False,
        )  # fmt: skip
    assert (done.returncode, done.stderr) == (141, b"")


def test_interrupt_is_quiet(store_path, tmp_path):
    """Ctrl-C ends a command without a traceback, with the code that shells expect."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    child = subprocess.Popen(
        [*MODULE, "--store", str(store_path), "report", "--output", str(pipe)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        # A shell has its background jobs, and so us, ignore SIGINT.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - no threads
    )  # fmt: skip
    # It waits for a reader of the pipe, which never comes: when it waits there, interrupt it.
    deadline = time.monotonic() + 30
    while "pipe" not in waiting_in(child.pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    child.send_signal(signal.SIGINT)
    output, errors = child.communicate(timeout=30)
    assert (child.returncode, output, errors) == (130, b"", b"")


def waiting_in(pid: int) -> str:
    """Return where in the kernel a process waits, such as ``wait_for_partner`` at a pipe."""
    place = Path(f"/proc/{pid}/wchan").read_text()
    return "pipe" if place in ("wait_for_partner", "fifo_open") else place


def test_commands_load_no_framework():
    """Showing the version imports no framework, no template engine and no terminal library."""
    source = (
        "import sys; from queryscope.cli.main import main\n"
        "try: main(['--version'])\n"
        "except SystemExit: pass\n"
        "print(*sorted({'django', 'sqlalchemy', 'jinja2', 'rich', 'sqlparse', 'sqlite3'}"
        " & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", source], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[1:] == [""]
