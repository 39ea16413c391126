"""The guard: our errors are swallowed and counted, everybody else's pass on."""

from __future__ import annotations

import signal
import sys
from functools import partial

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


def by_signal(handler):
    """Return the exception that a signal handler raises into a frame."""
    before = signal.signal(signal.SIGUSR1, handler)
    try:
        return raised(lambda: signal.raise_signal(signal.SIGUSR1))
    finally:
        signal.signal(signal.SIGUSR1, before)


class Handlers:
    def method(self, number, frame):
        """Raise at once."""
        raise SoftTimeLimit

    def deeper(self, number, frame):
        """Raise from a function that the handler calls."""
        self.method(number, None)

    def any_arguments(self, *args):
        """Take number and frame as they come."""
        raise TimeoutError


@pytest.mark.parametrize(
    ("handler", "kind"),
    [
        (Handlers().method, SoftTimeLimit),
        (Handlers().deeper, SoftTimeLimit),
        (Handlers().any_arguments, TimeoutError),
        (partial(lambda limit, number, frame: 1 // limit, 0), ZeroDivisionError),
    ],
)
def test_error_of_a_signal_handler_passes_on(handler, kind):
    """What a signal handler raised into our frame belongs to the application, of whatever class."""
    error = by_signal(handler)
    with pytest.raises(kind):
        guard.caught(error, "django.execute")
    assert guard.failures() == ()


def test_asynchronous_error_passes_on():
    """An exception of a class of the user's, set in a thread that stands in our frame, passes."""
    error = SoftTimeLimit()
    error.__traceback__ = raised(ours).__traceback__
    with pytest.raises(SoftTimeLimit):
        guard.caught(error, "django.execute")


@pytest.mark.parametrize("kind", [SoftTimeLimit, RuntimeError, KeyError])
def test_error_of_the_users_code_that_we_made_run_is_swallowed(kind):
    """A property or a hash that only a hook asked for must not break the application."""

    class Hostile:
        @property
        def pk(self):
            frame = sys._getframe(1)
            raise kind(frame.f_code.co_name)

    guard.caught(raised(lambda: Hostile().pk), "django.execute")
    (failure,) = guard.failures()
    assert kind.__name__ in failure.error


def test_error_without_a_text_is_counted():
    """An error whose ``__str__`` raises is counted all the same."""

    class Mute(Exception):  # noqa: N818 - it says nothing
        def __str__(self):
            raise RuntimeError

    guard.count(Mute(), "writer")
    assert guard.failures()[0].error == "Mute: no text"


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
