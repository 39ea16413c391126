"""The catalogue: one file a code; dropping a file in registers it."""

from __future__ import annotations
