"""The reader of the pages: it does what they say, and notices when they are wrong."""

from __future__ import annotations

import pytest

from queryscope.errors import QueryscopeError
from tests.docs.markdown import Block, blocks
from tests.docs.reader import Reader, check_installed, missing

OUTPUT = """GET /books/  21 queries  10 ms  1 finding  http://127.0.0.1:5123/__queryscope__/1ceccfc5a91b
critical QS101 n-plus-one  20 statements, 0.29 ms
1 passed in 0.37s
"""


def do(folder, info, text=""):
    """Let a reader do one block in a folder and return the reader."""
    language, *words = info.split() or [""]
    reader = Reader(folder)
    reader.do(Block(1, language, tuple(words), text))
    return reader


@pytest.mark.parametrize(
    "expected",
    [
        "GET /books/  21 queries  3.1 s  1 finding  http://127.0.0.1:8000/__queryscope__/0000aaaabbbb",
        "critical QS101 n-plus-one  20 statements, 12 ms\n1 passed in 2.00s",
        "GET /books/ ... 1 finding ...",
        "...\n1 passed in 0.1s",
    ],
)
def test_output_that_differs_in_times_is_the_same(expected):
    """Times, ids, ports and what stands for three dots do not matter."""
    assert missing(expected, OUTPUT) == ""


@pytest.mark.parametrize(
    "expected",
    [
        "GET /books/  22 queries  10 ms  1 finding  http://127.0.0.1:5123/__queryscope__/1ceccfc5a91b",
        "critical QS102 n-plus-one  20 statements, 0.29 ms",
        "1 passed in 0.37s\ncritical QS101 n-plus-one  20 statements, 0.29 ms",
        "critical QS101 ... 2 statements ...",
        "2 passed in 0.37s",
    ],
)
def test_output_that_differs_in_counts_is_missed(expected):
    """Numbers of statements, codes and the order of lines do matter."""
    assert missing(expected, OUTPUT)


def test_file_is_written_and_added_to(tmp_path):
    """A title makes a block the content of a file, ``append`` more of it."""
    do(tmp_path, "python title=pack/app.py", "x = 1\n")
    do(tmp_path, "python title=pack/app.py append", "x += 1\n")
    assert (tmp_path / "pack" / "app.py").read_text() == "x = 1\nx += 1\n"


@pytest.mark.parametrize(
    ("info", "text"),
    [
        ("python title=app.py append", "x = 1\n"),
        ("python title=../app.py", "x = 1\n"),
        ("python title=app.py", "x = \n"),
        ("python", "x = \n"),
        ("python", 'QUERYSCOPE = {"recordings": "light"}\n'),
        ("toml", "x = \n"),
        ("sh", "false\n"),
        ("sh", "false\ntrue\n"),
        ("sh fails", "true\n"),
        ("sh", "make no-such-target\n"),
        ("sh", "pip install no-such-distribution-anywhere\n"),
        ("sh", 'pip install "path/to/queryscope[no-such-extra]"\n'),
        ("text", "what nothing printed\n"),
        ("text", "\n"),
        ("", "what is this\n"),
        ("fortran", "END\n"),
    ],
)
def test_block_that_is_wrong_is_an_error(tmp_path, info, text):
    """Wrong code, failing commands, missing output and blocks of unknown kind do not pass."""
    folder = tmp_path / "folder"
    folder.mkdir()
    with pytest.raises((AssertionError, SyntaxError, ValueError, QueryscopeError)):
        do(folder, info, text)


def test_command_runs_and_its_output_is_looked_at(tmp_path):
    """A command prints, the next block of text is compared with it."""
    reader = do(tmp_path, "sh", "echo 21 queries # said aloud\n")
    reader.do(Block(1, "text", (), "21 queries\n"))
    assert reader.done == {"run": 1, "looked": 1}


def test_server_that_ends_at_once_is_an_error(tmp_path):
    """A server that never answers is not waited for in vain."""
    folder = tmp_path / "folder"
    folder.mkdir()
    with pytest.raises(AssertionError, match="ended"):
        do(folder, "sh server", "python -c 'import sys; sys.exit(3)' 8000\n")


def test_installed_distributions_are_known(tmp_path):
    """What is installed for the tests, and the extras that the package has, pass."""
    check_installed(["flask", "django", "path/to/queryscope[django,sqlalchemy,pytest]"])


def test_block_without_an_end_is_an_error():
    """A fence that is never closed would hide all that follows."""
    with pytest.raises(AssertionError, match="line 3"):
        blocks("text\n\n```sh\ntrue\n")


def test_blocks_keep_their_words_and_text():
    """The first line of a fence says language, words and title; indentation is taken off."""
    found = blocks("1. x\n\n   ```python title=a.py append\n   x = 1\n   ```\n~~~\n```\n~~~\n")
    assert found == [
        Block(3, "python", ("title=a.py", "append"), "x = 1\n"),
        Block(6, "", (), "```\n"),
    ]
    assert [block.title for block in found] == ["a.py", ""]
