"""The pytest plugin: budgets on what a block of a test sends to the database."""

from __future__ import annotations
