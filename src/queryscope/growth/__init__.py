"""How counts grow with the data: the law of each line, from runs at several sizes."""

from __future__ import annotations
