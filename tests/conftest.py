"""What every test of the suite shares: the fixtures of pytest's own test harness."""

from __future__ import annotations

pytest_plugins = ["pytester"]
