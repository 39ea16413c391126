"""Where finished Traces go: a ring in memory, a file on disk, a writer off the request's path."""

from __future__ import annotations
