"""The boot check: the command of production starts, answers once, and leaves nothing behind."""

from __future__ import annotations

import sys

import pytest

from queryscope.verify.booting import boot_error

PYTHON = sys.executable
ANSWERS = """
import sys
from wsgiref.simple_server import make_server

def app(environ, start_response):
    start_response(STATUS, [])
    return [b""]

make_server("127.0.0.1", int(sys.argv[1]), app).serve_forever()
"""


@pytest.fixture
def booted(tmp_path):
    """Return a function that boots a program of Python and gives its error."""

    def boot(program, *, limit_s=60.0):
        tree = tmp_path / "tree"
        tree.mkdir()
        (tree / "serve.py").write_text(program, encoding="utf-8")
        return boot_error(
            [PYTHON, "serve.py", "{port}"],
            tree,
            {"SHOP": "open"},
            folder=tmp_path,
            health="/health",
            host="localhost",
            limit_s=limit_s,
        )

    return boot


@pytest.mark.parametrize("status", ["200 OK", "302 Found", "404 Not Found"])
def test_server_that_answers_boots(booted, status):
    """Which status a path has is the contract's question."""
    assert booted(ANSWERS.replace("STATUS", repr(status))) == ""


def test_server_that_fails_does_not(booted):
    """A worker that cannot import the application answers 500, or 503 for ever."""
    said = booted(ANSWERS.replace("STATUS", repr("500 Broken")))
    assert said == "/health was answered with 500"


def test_first_error_of_the_log_is_told(booted):
    """Not the last: what follows is the server's own complaint."""
    said = booted(
        "import atexit\natexit.register(print, 'ERROR the worker is gone')\nimport nonesuch"
    )
    assert said.startswith("ModuleNotFoundError: No module named 'nonesuch'")


def test_traceback_below_a_logged_error_is_told(booted):
    """A server logs that a request failed, and below it why; only that helps."""
    program = (
        "import logging\nlogging.basicConfig()\n"
        "try:\n    import nonesuch\n"
        "except ImportError:\n    logging.exception('Error handling request')\n"
        "raise RuntimeError('and more')"
    )
    said = booted(program)
    assert said.startswith("ModuleNotFoundError: No module named 'nonesuch' (File ")
    assert "serve.py" in said
    assert "line 4" in said


def test_command_that_ends_is_told(booted):
    """It says nothing: the exit code is all that is known."""
    assert booted("raise SystemExit(3)") == "it ended with exit code 3"


def test_command_that_hangs_is_told(booted):
    """It is ended, and the time is named."""
    said = booted("import time\ntime.sleep(600)", limit_s=0.5)
    assert said.startswith("/health was not answered within")


def test_command_that_is_not_there_is_told(tmp_path):
    """The user's own command is named."""
    said = boot_error(["nonesuch"], tmp_path, {}, folder=tmp_path, health="/", host="localhost")
    assert said == "'nonesuch' cannot be started: No such file or directory"


def test_environment_is_the_project_s_alone(booted, monkeypatch):
    """What the project names is there, the user's secrets are not."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    program = (
        "import os\n"
        "assert os.environ['SHOP'] == 'open'\n"
        "assert 'AWS_SECRET_ACCESS_KEY' not in os.environ\n"
    )
    assert booted(program + ANSWERS.replace("STATUS", repr("200 OK"))) == ""
