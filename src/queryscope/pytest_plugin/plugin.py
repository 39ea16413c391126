"""What pytest loads: fixtures, marks and settings of queryscope."""

from __future__ import annotations
