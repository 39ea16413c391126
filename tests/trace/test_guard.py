"""The guard: our errors are swallowed and counted, everybody else's pass on."""

from __future__ import annotations

import pytest

from queryscope.errors import SettingsError
from queryscope.settings import Settings
from queryscope.trace import guard


@pytest.fixture(autouse=True)
def cleared():
    """Each test starts and ends without counted failures."""
    before = guard.failures()
    guard.clear()
    yield
    guard.clear()
    for failure in before:
        for _ in range(failure.count):
            guard.count(Exception(failure.error), failure.place)


def raised(function):
    """Return the exception that ``function`` raises."""
    with pytest.raises(Exception) as caught:  # noqa: PT011 - whichever it is
        function()
    return caught.value


def ours():
    """Raise from a frame of queryscope itself."""
    Settings.from_mapping(None, source="x", thresholds={})


def test_error_of_ours_is_swallowed_and_counted():
    """A built-in error out of our own frame stays with us, and is counted by place."""
    for _ in range(3):
        guard.caught(raised(ours), "django.execute")
    (failure,) = guard.failures()
    assert (failure.place, failure.count) == ("django.execute", 3)
    assert failure.error.startswith("AttributeError: 'NoneType'")


def test_error_class_of_ours_is_swallowed():
    """Our own error classes count as ours, too."""
    error = raised(lambda: Settings.from_mapping({"x": 1}, source="s", thresholds={}))
    assert isinstance(error, SettingsError)
    guard.caught(error, "install")
    assert len(guard.failures()) == 1


class SoftTimeLimit(Exception):  # noqa: N818 - as such exceptions are named
    """What a task queue raises from a signal handler."""


def test_error_from_outside_passes_on():
    """What a signal handler raised into our frame belongs to the application."""

    def handler():
        raise SoftTimeLimit

    with pytest.raises(SoftTimeLimit):
        guard.caught(raised(handler), "django.execute")
    assert guard.failures() == ()


def test_built_in_error_of_foreign_code_passes_on():
    """A built-in error raised by a frame of the user's is the user's."""

    def handler():
        raise TimeoutError

    with pytest.raises(TimeoutError):
        guard.caught(raised(handler), "django.execute")


def test_kinds_of_failures_are_bounded():
    """Failures with ever new texts are counted under one name once there are many."""
    for number in range(200):
        guard.count(ValueError(f"number {number}"), "writer")
    assert len(guard.failures()) == guard.MAX_KINDS + 1
    assert sum(failure.count for failure in guard.failures()) == 200


def test_long_error_is_cut():
    """A failure's text is bounded."""
    guard.count(ValueError("x" * 10_000), "writer")
    assert len(guard.failures()[0].error) == 200
