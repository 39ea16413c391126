"""Tests of the Django adapter, with a small library application to query."""

from __future__ import annotations
