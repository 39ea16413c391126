"""How text, durations and counts are written."""

from __future__ import annotations

import pytest

from queryscope.report.text import (
    counted,
    duration,
    error_text,
    moment,
    noun,
    share,
    values,
    visible,
)


@pytest.mark.parametrize(
    ("ns", "shown"),
    [
        (0, "0 ms"),
        (4_000, "0 ms"),
        (5_000, "0.01 ms"),
        (430_000, "0.43 ms"),
        (1_000_000, "1.00 ms"),
        (38_240_000, "38.2 ms"),
        (999_000_000, "999 ms"),
        (1_942_000_000, "1.94 s"),
        (59_900_000_000, "59.9 s"),
        (61_000_000_000, "1 min 01 s"),
    ],
)
def test_duration_has_unit_and_digits(ns, shown):
    """A duration is shown with the unit that fits and three digits."""
    assert duration(ns) == shown


def test_two_digits_shorten_a_duration():
    """The one-line form has two digits."""
    assert duration(1_942_000_000, digits=2) == "1.9 s"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x00b", "a\\x00b"),
        ("a\x1b[31m", "a\\x1b[31m"),
        ("user\u202egpj.exe", "user\\u202egpj.exe"),
        ("x\u2066y\u200b\ufeff", "x\\u2066y\\u200b\\ufeff"),
        ("\ud800", "\\ud800"),
        ("line\nnext\ttab\r", "line\\nnext\\ttab\\r"),
        ("\U000e0041", "\\U000e0041"),
        ("שלום ünï 漢 👩\u200d👧", "שלום ünï 漢 👩\u200d👧"),
    ],
)
def test_hidden_characters_become_visible(text, shown):
    """What cannot be seen or moves text is written as an escape; scripts and emoji stay."""
    assert visible(text) == shown


def test_every_result_can_be_encoded():
    """Whatever character was recorded, the text can be written as UTF-8."""
    everything = "".join(map(chr, range(0x110000)))
    visible(everything, limit=len(everything)).encode("utf-8")


def test_long_text_is_cut_and_says_so():
    """A text over the limit says how much is missing."""
    assert visible("x" * 1_300, limit=300) == "x" * 300 + "… (1,000 more characters)"


def test_values_are_bounded():
    """Parameters of any size come out as one short line."""
    line = values(("x" * 10_000_000, b"y" * 10_000_000, list(range(100_000)), 10**5_000))
    assert len(line) < 400
    assert "<10,000,000 bytes>" in line
    assert "<int>" in line


def test_named_values_keep_their_names():
    """Parameters sent by name are shown by name."""
    assert values((("id", 7), ("state", "paid"))) == "id: 7, state: 'paid'"


def test_error_without_values_folds_what_it_quotes():
    """A database's error text quotes values: without values they do not show."""
    error = "IntegrityError: Duplicate entry 'ada@example.org' for key 'email'\nDETAIL: secret"
    assert error_text(error, with_values=False) == "IntegrityError: Duplicate entry '…' for key '…'"
    assert "ada@example.org" in error_text(error, with_values=True)


def test_counts_and_shares_read_as_sentences():
    """One is singular, a little is never nothing."""
    assert counted(1, "query") == "1 query"
    assert counted(1_200, "query") == "1,200 queries"
    assert counted(2, "row") == "2 rows"
    assert share(1, 1_000) == "<1 %"
    assert share(0, 0) == "0 %"


def test_moment_of_no_calendar_is_empty():
    """A moment beyond every calendar is left out, not an error."""
    assert moment(1_700_000_000_000_000_000) == "2023-11-14 22:13:20 UTC"
    assert moment(2**90) == ""


def test_noun_follows_its_number():
    """The noun alone is singular for one only."""
    assert [noun(number, "query") for number in (0, 1, 2)] == ["queries", "query", "queries"]
