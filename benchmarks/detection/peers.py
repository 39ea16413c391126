"""The peers: the same scenarios under other tools, each in an environment of its own."""

from __future__ import annotations

from importlib.metadata import version as version_of
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from benchmarks.detection import runs
from benchmarks.detection.verdicts import counted, peer_verdict
from benchmarks.overhead import peers as overhead

if TYPE_CHECKING:
    from collections.abc import Sequence

KEPT = Path(__file__).with_name("peers.json")
"""What the peers did when they were last run; the page shows it."""
SIZE = 6
CODES = ("QS101", "QS102", "QS103", "QS104", "QS105", "QS106", "QS201", "QS202")
"""What such tools speak of: statements that repeat."""
SCENARIOS_NEED = {
    "django": ("djangorestframework", "strawberry-graphql", "celery"),
    "sqlalchemy": ("fastapi", "pydantic", "jinja2", "aiosqlite"),
}


class Peer(NamedTuple):
    """One peer on one ORM.

    Attributes:
        watcher: Its name in ``watchers.WATCHERS``.
        orm: Which scenarios it is run on.
        package: Its name on the registry; also the name that is shown.
        needs: What is installed along.
        note: What has to be known to read its row.
    """

    watcher: str
    orm: str
    package: str
    needs: tuple[str, ...] = ()
    note: str = ""


PEERS: Sequence[Peer] = (
    Peer("zeal", "django", "django-zeal"),
    Peer("nplusone", "django", "nplusone"),
    Peer("nplusone", "sqlalchemy", "nplusone"),
    Peer("nplus1", "django", "django-nplus1"),
    Peer("query_doctor", "django", "django-query-doctor"),
    Peer("debug_toolbar", "django", "django-debug-toolbar", (), "its marks of similar statements"),
    Peer("queryguard", "sqlalchemy", "pytest-queryguard", ("pytest",)),
    Peer("queryspy", "sqlalchemy", "queryspy"),
)


def all_results() -> list[dict[str, Any]]:
    """Run every peer; what cannot be installed or run says why."""
    return [_result(peer) for peer in PEERS]


def _result(peer: Peer) -> dict[str, Any]:
    head = {"name": peer.package, "orm": peer.orm, "codes": CODES, "note": peer.note}
    try:
        python = environment(peer)
    except overhead.NotInstalledError as error:
        return {**head, "reason": f"cannot be installed: {error}"}
    head["version"] = overhead.version(python, peer.package)
    try:
        worked = runs.work(
            peer.orm, "sqlite", [SIZE], codes=CODES, watcher=peer.watcher, python=python
        )
    except RuntimeError as error:
        return {**head, "reason": f"does not run: {str(error).strip().splitlines()[-1][:150]}"}
    found = [peer_verdict(worked.scenarios[line["name"]], "sqlite", line) for line in worked.lines]
    failed = [item for item in found if item.error]
    total, _ = counted(found)
    note = f"{peer.note}{'; ' if peer.note else ''}{len(failed)} scenarios raised" if failed else ""
    return {
        **head,
        "found": total.found,
        "missed": total.missed,
        "alarms": total.alarms,
        "clean": total.clean,
        "recall": total.recall,
        "precision": total.precision,
        "note": note or peer.note,
    }


def environment(peer: Peer) -> Path:
    """Return the Python of the peer's environment, made when it is not there.

    Raises:
        overhead.NotInstalledError: The registry has it not, or not for these versions.
    """
    same = tuple(f"{name}=={version_of(name)}" for name in SCENARIOS_NEED[peer.orm])
    subject = f"detection-{peer.watcher}-{peer.orm}"
    packages = (peer.package, *same, *peer.needs)
    return overhead.environment(overhead.Peer(subject, peer.orm, packages, peer.package, 1.0))
