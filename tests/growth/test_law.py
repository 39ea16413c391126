"""The law that counts follow: what is level, what rises with rows or pairs, what does not tell."""

from __future__ import annotations

import math

import pytest

from queryscope.growth.law import LAWS, Point, faster, fit

SIZES = (2, 4, 8)


def law_of(*counts, sizes=SIZES):
    """Return the law of counts at the usual sizes."""
    return fit(Point(size, times) for size, times in zip(sizes, counts, strict=True))


@pytest.mark.parametrize("counts", [(1, 1, 1), (7, 5, 5), (12, 12, 12), (0, 1, 1), (1, 2, 2)])
def test_counts_that_end_level_are_constant(counts):
    """A warm cache, a constant loop and a page that is full do not grow."""
    assert law_of(*counts).law == "1"
    assert law_of(*counts).at(10_000) == counts[-1]


@pytest.mark.parametrize("counts", [(5, 3, 4), (3, 9, 2)])
def test_counts_up_and_down_tell_nothing(counts):
    """What does not end highest does not rise, and is not level."""
    assert law_of(*counts).law == "unknown"


def test_one_size_tells_nothing():
    """One point lies on every law."""
    assert fit([Point(8, 9), Point(8, 9)]).law == "unknown"
    assert fit([]).law == "unknown"


def test_sizes_close_together_tell_nothing():
    """Between 100 and 120 rows anything looks level."""
    assert law_of(9, 9, 9, sizes=(100, 110, 120)).law == "unknown"


def test_one_statement_more_tells_nothing():
    """A single statement more may be a chunk, a page or chance."""
    assert law_of(0, 0, 1).law == "unknown"


@pytest.mark.parametrize(
    ("count", "law"),
    [
        (lambda n: n + 1, "n"),
        (lambda n: 3 * n + 4, "n"),
        (lambda n: n // 2, "n"),
        (lambda n: n - 1, "n"),
        (lambda n: math.ceil(n / 3), "n"),
        (lambda n: n * n, "n*m"),
        (lambda n: n * n + 2, "n*m"),
        (lambda n: n * (n + 1) // 2, "n*m"),
        (lambda n: n * (n - 1), "n*m"),
    ],
    ids=["n+1", "3n+4", "half", "n-1", "chunks", "square", "square+2", "triangle", "pairs"],
)
def test_law_holds_at_ten_thousand(count, law):
    """From 2, 4 and 8 rows the count at 10,000 is met within 2 %."""
    found = law_of(*map(count, SIZES))
    assert found.law == law
    assert found.at(10_000) == pytest.approx(count(10_000), rel=0.02)


def test_two_sizes_draw_a_line_and_are_unsure():
    """A square cannot be told from a line by two points."""
    found = law_of(4, 64, sizes=(2, 8))
    assert (found.law, found.confidence) == ("n", "low")


def test_growth_between_the_laws_is_unknown():
    """The law n log n is none of the three."""
    assert law_of(*(int(n * math.log2(n)) for n in (2, 4, 8, 16)), sizes=(2, 4, 8, 16)).law == (
        "unknown"
    )


def test_noise_within_the_tolerance_is_a_line():
    """Recorded traffic misses a line by a few of a hundred; a tenth is allowed there."""
    points = [Point(10, 10), Point(20, 19), Point(40, 41), Point(80, 78)]
    assert fit(points, tolerance=0.1).law == "n"
    assert fit(points, tolerance=0).law == "unknown"


def test_unknown_growth_exceeds_every_law():
    """What is not known may be anything, so no law that was stated covers it."""
    assert all(faster("unknown", than=law) for law in LAWS[:-1])
    assert not faster("1", than="n")
    assert not faster("n", than="n")
