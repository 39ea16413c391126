"""The command ``queryscope rule``: the page of a code, or all codes in one line each."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from queryscope.detectors import registry

if TYPE_CHECKING:
    import argparse


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``rule``."""
    parser.add_argument("code", nargs="?", metavar="CODE", help="such as QS101")


def run(options: argparse.Namespace) -> int:
    """Print the page, or the list."""
    if options.code is not None:
        sys.stdout.write(registry.page_of(options.code))
        return 0
    detectors = registry.all_detectors()
    width = max(len(detector.NAME) for detector in detectors.values())
    for code, detector in detectors.items():
        head = registry.page_of(code).partition("\n")[0]
        print(f"{code}  {detector.NAME:{width}}  {head.removeprefix(code).lstrip(': ')}")
    return 0
