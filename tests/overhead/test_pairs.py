"""The medians of the benchmark, and the processes that it measures."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pytest

from benchmarks.overhead.pairs import added, middle, ratio
from benchmarks.overhead.processes import ProcessError, paired, started


def test_median_has_its_interval_by_rank():
    """Of 100 values the interval lies between the 41st and the 61st."""
    values = list(range(1, 101))
    random.Random(1).shuffle(values)
    found = middle(values)
    assert found.value == 50.5
    assert (found.low, found.high) == (41, 61)


def test_few_values_are_their_own_interval():
    """Of three values nothing better can be said than that it lies between them."""
    assert middle([3, 1, 2]) == (2, 1, 3)


def test_ratio_is_that_of_pairs():
    """A machine that slows down for a round slows both halves of a pair."""
    bare = [10.0, 100.0, 1000.0]
    assert ratio([value * 1.05 for value in bare], bare) == pytest.approx(1.05)
    assert added([value + 7 for value in bare], bare) == 7


def test_process_answers_one_request_of_each_variant_a_round(tmp_path):
    """A measured process starts, records, and answers with times above 0."""
    with started(Path(sys.executable), "sqlalchemy-light", tmp_path) as process:
        samples = paired(process, "/books/3", 2)
    assert set(samples) == {"bare", "bare2", "recorded"}
    assert all(len(rows) == 2 for rows in samples.values())
    assert all(cpu > 0 < wall for rows in samples.values() for cpu, wall, _ in rows)


def test_process_that_cannot_start_says_why(tmp_path):
    """The last word of a process that ended is the error."""
    with (
        pytest.raises(ProcessError, match="no such tool"),
        started(Path(sys.executable), "no such tool", tmp_path),
    ):
        pass
