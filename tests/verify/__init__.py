"""The judge of patches."""

from __future__ import annotations
