"""Runs a piece of Python in a process of its own, and sets a project up there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
LIMIT_S = 120


def run(code, *, cwd=".", check=True, limit_s=LIMIT_S, **environ):
    """Run ``code`` as a script; return the finished process with its output as text."""
    path = os.pathsep.join([str(ROOT), str(ROOT / "src")])
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": path, **environ},
        capture_output=True,
        text=True,
        timeout=limit_s,
        check=False,
    )
    assert not check or done.returncode == 0, done.stderr[-4000:]
    return done


def finished(code, **kwargs):
    """Run ``code`` as a script; return what it printed."""
    return run(code, **kwargs).stdout


def django_project(count=6, **more):
    """Set Django up in this process, on a database in memory with some books."""
    from tests.django import settings as own

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.django.settings")
    from django.conf import settings

    values = {name: getattr(own, name) for name in dir(own) if name.isupper()}
    settings.configure(**{**values, "ROOT_URLCONF": "tests.faults.views", **more})
    import django

    django.setup()
    from django.core.management import call_command

    call_command("migrate", run_syncdb=True, verbosity=0)
    if count:
        from tests.django.conftest import make_books

        make_books(count)


django_project.APPS = [
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "django.contrib.sessions",
    "tests.django.library",
]
