"""What every test of the suite shares: the fixtures of pytest's own test harness, a clean start."""

from __future__ import annotations

import pytest

import queryscope

pytest_plugins = ["pytester"]


@pytest.fixture(autouse=True, scope="module")
def without_hooks():
    """Let no module find hooks that another has left in: modules run in any order."""
    queryscope.uninstall()
