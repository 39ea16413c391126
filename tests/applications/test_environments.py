"""What a worker of the applications benchmark is started with."""

from __future__ import annotations

import subprocess

from benchmarks.applications import environments


def test_application_does_not_find_our_checkout(tmp_path, monkeypatch):
    """An application that asks git for its version is answered the same after a commit of ours."""
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    inside = tmp_path / "applications" / ".venv-one" / "lib"
    inside.mkdir(parents=True)
    monkeypatch.delenv("GIT_DIR", raising=False)

    def found():
        command = ["git", "rev-parse", "--show-toplevel"]
        env = environments.variables()
        return subprocess.run(command, cwd=inside, env=env, capture_output=True, check=False)

    assert found().returncode == 0
    monkeypatch.setattr(environments, "HERE", tmp_path / "applications")
    assert found().returncode != 0
