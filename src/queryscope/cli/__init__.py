"""The command line: one module a command, each with ``configure(parser)`` and ``run(options)``."""

from __future__ import annotations
