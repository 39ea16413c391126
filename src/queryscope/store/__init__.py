"""Where finished Traces are kept: a ring in memory, a file on disk, and the writer before them."""

from __future__ import annotations
