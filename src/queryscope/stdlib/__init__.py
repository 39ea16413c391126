"""The standard library's threads and pools, fatal signals, log calls and outgoing requests."""

from __future__ import annotations

from queryscope.stdlib import http_calls, log_calls, signals, threads

__all__ = ["install", "uninstall"]


def install(*, full: bool = False) -> None:
    """Install all of it; a second call changes nothing.

    Args:
        full: Also the hooks of full recording: log calls and outgoing requests.
    """
    threads.install()
    signals.install()
    if full:
        log_calls.install()
        http_calls.install()


def uninstall() -> None:
    """Put everything back."""
    threads.uninstall()
    signals.uninstall()
    log_calls.uninstall()
    http_calls.uninstall()
