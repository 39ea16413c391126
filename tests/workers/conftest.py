"""A small database for each example, and what a test client's requests leave behind."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests import serving

PATHS = (
    "/health", "/items/7", "/v2/items/7", "/items/1000000", "/discovery?date=2026-03-03",
    "/v2/discovery?date=2026-03-03", "/admin-board/", "/v2/admin-board/", "/none",
    "/cases/empty", "/cases/unchanged", "/cases/stream", "/cases/file", "/cases/broken",
)  # fmt: skip
"""What is asked of every server; the second round is the one that is compared."""


@pytest.fixture(scope="session")
def databases(tmp_path_factory):
    """Return a function that gives an application's ``DATABASE_URL``."""
    made = {}

    def url(application):
        if application not in made:
            made[application] = serving.seeded(application, tmp_path_factory.mktemp("seeded"))
        return made[application]

    return url


@pytest.fixture(scope="session")
def references(tmp_path_factory, databases):
    """Return a function: application to path to the Trace of a test client's second request."""
    made = {}

    def traces(application):
        if application not in made:
            folder = tmp_path_factory.mktemp("reference")
            environment = serving.environment_of(
                application, folder, databases(application), recorded=True
            )
            done = subprocess.run(
                [sys.executable, str(serving.ROOT / "tests" / "workers" / "reference.py"),
                 application, *PATHS, *PATHS],
                cwd=folder, env=environment, capture_output=True, text=True,
                timeout=serving.BOOT_S, check=False,
            )  # fmt: skip
            assert done.returncode == 0, done.stderr
            second = json.loads(done.stdout.splitlines()[-1])[len(PATHS) :]
            made[application] = dict(zip(PATHS, second, strict=True))
        return made[application]

    return traces
