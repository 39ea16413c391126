"""The peers: the same scenarios under other tools, each in an environment of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections import Counter
from importlib.metadata import version as version_of
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from benchmarks.detection import peer_watchers, runs
from benchmarks.detection.verdicts import counted, peer_verdict
from benchmarks.overhead import peers as overhead

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.detection.verdicts import Verdict

HERE = Path(__file__).parent
KEPT = HERE / "peers.json"
"""What the peers did when they were last run; the page shows it."""
DATABASE = "sqlite"
SIZE = 6
SCENARIOS_NEED = {
    "django": ("djangorestframework", "strawberry-graphql", "celery"),
    "sqlalchemy": ("fastapi", "pydantic", "jinja2", "aiosqlite"),
}


class Peer(NamedTuple):
    """One peer on one ORM.

    Attributes:
        watcher: Its name in ``peer_watchers.PEERS``.
        orm: Which scenarios it is run on.
        package: Its name on the registry; also the name that is shown.
        version: Which is installed.
        needs: What is installed along.
        note: What has to be known to read its row.
        python: The Python that it is run on, as ``3.13``; ours where none is named.
    """

    watcher: str
    orm: str
    package: str
    version: str
    needs: tuple[str, ...] = ()
    note: str = ""
    python: str = ""

    @property
    def codes(self) -> tuple[str, ...]:
        """The codes that it claims to see."""
        return peer_watchers.PEERS[self.watcher].codes()


_NPLUSONE_NEEDS = ("six==1.17.0", "blinker==1.9.0")
PEERS: Sequence[Peer] = (
    Peer("zeal", "django", "django-zeal", "2.3.0"),
    Peer("nplusone", "django", "nplusone", "1.0.0", _NPLUSONE_NEEDS),
    Peer(
        "nplus1", "django", "django-nplus1", "0.2.0",
        note="on Python 3.13; releases after it, up to 0.6.2, ask for Python 3.14 and Django 6",
        python="3.13",
    ),
    Peer("query_doctor", "django", "django-query-doctor", "2.3.0"),
    Peer(
        "debug_toolbar", "django", "django-debug-toolbar", "8.0.0",
        note="its marks of similar and duplicate statements",
    ),
    Peer(
        "nplusone", "sqlalchemy", "nplusone", "1.0.0", _NPLUSONE_NEEDS,
        "it sees rows that come from iterating a `Query`, which raises with SQLAlchemy 2.0; "
        "`select()` and `Query.all()` go past it",
    ),
    Peer("queryguard", "sqlalchemy", "pytest-queryguard", "0.4.1", ("pytest",)),
    Peer("queryspy", "sqlalchemy", "queryspy", "0.6.0"),
)  # fmt: skip


def all_results() -> list[dict[str, Any]]:
    """Run every peer; what cannot be installed or run says why."""
    return [_result(peer) for peer in PEERS]


def _result(peer: Peer) -> dict[str, Any]:
    head: dict[str, Any] = {
        "name": peer.package, "version": peer.version, "orm": peer.orm, "codes": peer.codes,
    }  # fmt: skip
    print(f"{peer.package} on {peer.orm}", file=sys.stderr, flush=True)
    try:
        python = environment(peer)
        worked = runs.work(
            peer.orm, DATABASE, [SIZE], codes=peer.codes, watcher=peer.watcher, python=python
        )
    except overhead.NotInstalledError as error:
        return {**head, "reason": f"cannot be installed: {error}"}
    except RuntimeError as error:
        return {**head, "reason": f"does not run: {str(error).strip().splitlines()[-1][:150]}"}
    found = [peer_verdict(worked.scenarios[line["name"]], DATABASE, line) for line in worked.lines]
    total, _ = counted(found)
    return {
        **head,
        "found": total.found,
        "missed": total.missed,
        "alarms": total.alarms,
        "clean": total.clean,
        "recall": total.recall,
        "precision": total.precision,
        "note": "; ".join(filter(None, (peer.note, raised(found)))),
    }


def raised(found: Sequence[Verdict]) -> str:
    """Return how many scenarios end with an error under a peer, and with which most often."""
    errors = [item.error for item in found if item.error]
    if not errors:
        return ""
    if len(errors) == 1:
        return f"a scenario raised: {errors[0][:150]}"
    (most, times), *_ = Counter(errors).most_common()
    return f"{len(errors)} scenarios raised, {times} of them this: {most[:150]}"


def environment(peer: Peer) -> Path:
    """Return the Python of the peer's environment, made when it is not there.

    Raises:
        overhead.NotInstalledError: The registry has it not, or not for these versions.
    """
    names = (*overhead.SAME, *SCENARIOS_NEED[peer.orm])
    what = [f"{peer.package}=={peer.version}", *(f"{name}=={version_of(name)}" for name in names)]
    what += [need if "==" in need else f"{need}=={version_of(need)}" for need in peer.needs]
    python = _interpreter(peer.python) if peer.python else Path(sys.executable)
    name = HERE / f".venv-{peer.watcher}-{peer.orm}"
    return overhead.installed(name, what, " ".join(what), python)


def _interpreter(version: str) -> Path:
    """Return a Python of a version: from PATH, or from pyenv.

    Raises:
        overhead.NotInstalledError: There is none here.
    """
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    on_path = shutil.which(f"python{version}")
    found = [Path(on_path)] if on_path else []
    found += sorted(root.glob(f"versions/{version}.*/bin/python"))
    for python in found:  # pyenv's shims are on PATH also for versions that are not chosen
        if subprocess.run([python, "--version"], capture_output=True, check=False).returncode == 0:
            return python
    raise overhead.NotInstalledError(f"it asks for Python {version}, which is not here")
