"""What the user has decided about findings: the baseline, inline ignores, settings per path."""

from __future__ import annotations
