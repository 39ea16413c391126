"""Numbers as arguments of a command."""

from __future__ import annotations

import argparse

_LARGEST = 2**31 - 1


def count_from_one(text: str) -> int:
    """Return a whole number from 1 on.

    Raises:
        argparse.ArgumentTypeError: It is none.
    """
    try:
        number = int(text)
    except ValueError:
        number = 0
    if not 1 <= number <= _LARGEST:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1 on")
    return number
