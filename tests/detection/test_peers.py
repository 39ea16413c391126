"""What the peers' row of the detection page is made of, without running any of them."""

from __future__ import annotations

import json
from contextlib import contextmanager

import pytest

from benchmarks.detection import page, peers
from benchmarks.detection.peer_watchers import PEERS, Said, Watcher
from benchmarks.detection.scenario import Scenario
from benchmarks.detection.verdicts import Verdict
from benchmarks.overhead.peers import NotInstalledError


class Loud(Watcher):
    """A tool that says three things of every block, one of them twice."""

    claims = {"loop": ("QS101", "QS102")}

    @contextmanager
    def block(self):
        """See ``Watcher``."""
        said = []
        yield said
        said += [Said("loop", "Book.author"), Said("index", "book"), Said("loop", "Book.author")]


def test_kind_that_claims_no_code_is_left_out():
    """What is said twice is one thing, and stands for each code that it may mean."""
    watcher = Loud("django")
    with watcher.watch("endpoint") as said:
        assert said == []
    reports = watcher.reports([said], timed=False, url="")
    assert [(one.code, one.text) for one in reports] == [
        ("QS101", "Book.author"),
        ("QS102", "Book.author"),
    ]
    assert Loud.codes() == ("QS101", "QS102")


def test_kept_results_are_of_the_peers_there_are():
    """A peer that is added, or pinned anew, has to be run."""
    kept = json.loads(peers.KEPT.read_text(encoding="utf-8"))
    assert [
        (item["name"], item["version"], item["orm"], tuple(item["codes"])) for item in kept
    ] == [(peer.package, peer.version, peer.orm, peer.codes) for peer in peers.PEERS]
    assert {peer.watcher for peer in peers.PEERS} == set(PEERS)


def test_python_that_is_not_here_is_a_reason(tmp_path, monkeypatch):
    """The row says what the peer asks for."""
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NotInstalledError, match=r"asks for Python 3\.99"):
        peers.environment(peers.PEERS[0]._replace(python="3.99"))


@pytest.mark.parametrize(
    ("errors", "note"),
    [
        (["", ""], ""),
        (["", "TypeError: no"], "a scenario raised: TypeError: no"),
        (
            ["KeyError: 1", "TypeError: no", "TypeError: no", ""],
            "3 scenarios raised, 2 of them this: TypeError: no",
        ),
    ],
)
def test_scenarios_that_raise_under_a_peer_are_told(errors, note):
    """With the error that came most often."""
    scenario = Scenario(name="one", orm="django", code="QS101", kind="dirty", run=print)
    found = [Verdict(scenario, "sqlite", 6, False, None, (), error) for error in errors]
    assert peers.raised(found) == note


def test_peer_stands_beside_ours_on_the_same_scenarios():
    """Our verdicts on other codes, databases and sizes are not its business."""

    def a_verdict(code="QS101", size=peers.SIZE, database=peers.DATABASE, found=True, orm="django"):
        scenario = Scenario(name=code, orm=orm, code=code, kind="dirty", run=print)
        return Verdict(scenario, database, size, found, None, ())

    ours = [
        a_verdict(),
        a_verdict(code="QS301", found=False),
        a_verdict(size=50, found=False),
        a_verdict(database="mariadb", found=False),
        a_verdict(orm="sqlalchemy", found=False),
    ]
    counts = {"found": 3, "missed": 1, "alarms": 2, "clean": 9, "recall": 0.75, "precision": 0.6}
    head = {"name": "tool", "version": "1.0", "orm": "django", "codes": ["QS101", "QS102"]}
    text = page.page(ours, [], [{**head, **counts, "note": ""}, {**head, "reason": "not for us"}])
    assert (
        "| tool | 1.0 | django | 101, 102 | 3 | 1 | 2 | 9 | 0.750 | 0.600 |  | 1.000 | 1.000 |"
        in text
    )
    assert "| - | - | - | - | - | - | not for us | 1.000 | 1.000 |" in text
