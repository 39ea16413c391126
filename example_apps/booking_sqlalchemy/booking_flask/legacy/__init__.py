"""The API as it grew: every slow spot carries a ``bottleneck`` comment."""

from __future__ import annotations
