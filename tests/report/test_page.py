"""The documentation page of a code, taken apart."""

from __future__ import annotations

import re

import pytest

from queryscope.detectors import registry
from queryscope.report.page import Block, Run, page_view, parsed

PAGE = """QS999: one sentence.

## What it does

Reads ``trace.queries`` and
counts.

## Example

    for book in books:
        print(book)

    done()

## Not flagged

- One query.
- Two, if they
  differ.

## Source

A book.
"""


def test_page_is_split_at_its_headings():
    """Title, headings and kinds of blocks are told apart."""
    view = parsed(PAGE)
    assert view.title == "QS999: one sentence."
    assert [section.heading for section in view.sections] == [
        "What it does",
        "Example",
        "Not flagged",
        "Source",
    ]
    kinds = [[block.kind for block in section.blocks] for section in view.sections]
    assert kinds == [["text"], ["code"], ["item", "item"], ["text"]]


def test_code_in_a_sentence_is_a_run_of_its_own():
    """Backticks become code, the words around them stay."""
    runs = parsed(PAGE).sections[0].blocks[0].runs
    assert [run.text for run in runs if run.code] == ["trace.queries"]
    assert "".join(run.text for run in runs) == "Reads trace.queries and\ncounts."


def test_example_keeps_its_indentation():
    """An example is dedented as a whole, blank lines inside kept."""
    block = parsed(PAGE).sections[1].blocks[0]
    assert block == Block(
        "code", (Run(code=True, text="for book in books:\n    print(book)\n\ndone()"),)
    )


def test_fenced_example_is_code():
    """Lines between fences are an example, whatever they begin with."""
    view = parsed("QS1: x.\n\n## Example\n\n```python\n# one\n- two\n\n    three\n```\n\nAfter.\n")
    blocks = view.sections[0].blocks
    assert [block.kind for block in blocks] == ["code", "text"]
    assert blocks[0].runs[0].text == "# one\n- two\n\n    three"


def test_item_goes_on_in_the_next_line():
    """An item of two lines is one block."""
    items = parsed(PAGE).sections[2].blocks
    assert items[1].runs[0].text == "Two, if they\ndiffer."


@pytest.mark.parametrize("underline", ["Example\n-------\n", "Example:\n", "# Example\n"])
def test_headings_are_known_in_every_dress(underline):
    """A heading is known by its words, not by its decoration."""
    view = parsed(f"QS1: x.\n\n{underline}\n    code()\n")
    assert [section.heading for section in view.sections] == ["Example"]
    assert view.sections[0].blocks[0].kind == "code"


@pytest.mark.parametrize("code", sorted(registry.all_detectors()))
def test_no_word_of_a_page_is_lost(code):
    """What a detector's page says is all there, in its order."""
    view = page_view(code)
    assert view is not None
    shown = view.title
    for section in view.sections:
        shown += f" {section.heading} "
        shown += " ".join("".join(run.text for run in block.runs) for block in section.blocks)
    wanted = re.sub(r"(?m)^```.*$|^ *[-*] |^ *[0-9]+\. |^#+ |`", "", registry.page_of(code))
    assert shown.replace("`", "").split() == wanted.split()


def test_unknown_code_has_no_page():
    """A finding of another version's detector is shown without a page."""
    assert page_view("QS000") is None
