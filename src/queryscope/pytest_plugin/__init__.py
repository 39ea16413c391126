"""The pytest plugin: budgets on what a test, or a block of one, asks of the database."""

from __future__ import annotations
