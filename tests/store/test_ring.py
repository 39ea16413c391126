"""The ring in memory: bounded, newest first, found by id or by the beginning of one."""

from __future__ import annotations

import os
import threading

import pytest

from queryscope.detectors.registry import Judged
from queryscope.errors import NotFoundError
from queryscope.store.ring import Ring
from tests.builders import a_trace


def judged(name: str) -> Judged:
    """Return a Trace with this id and no findings."""
    return Judged(a_trace(id=name), ())


def a_ring(*names: str, size: int = 50) -> Ring:
    """Return a ring to which Traces with these ids were added, in this order."""
    ring = Ring(size)
    for name in names:
        ring.add(judged(name))
    return ring


def ids(ring: Ring, limit: int | None = None) -> list[str]:
    """Return the ids in a ring."""
    return [item.trace.id for item in ring.newest(limit)]


def test_newest_come_first():
    """The Trace that came last stands first, and a limit cuts the oldest."""
    assert ids(a_ring("a1", "b2", "c3")) == ["c3", "b2", "a1"]
    assert ids(a_ring("a1", "b2", "c3"), 2) == ["c3", "b2"]


def test_forgotten_id_comes_back():
    """An id that left the full ring, or was cleared away, is new again; one is kept at least."""
    assert ids(a_ring("a1", "b2", "c3", "a1", "c3", "c3", size=2)) == ["c3", "a1"]
    assert ids(a_ring("a1", "b2", "b2", "a1", size=1)) == ["a1"]
    ring = a_ring("a1", "b2")
    ring.clear()
    ring.add(judged("a1"))
    assert ids(ring) == ["a1"]


def test_full_ring_forgets_oldest():
    """One too many pushes the oldest out."""
    ring = a_ring("a1", "b2", "c3", size=2)
    assert ids(ring) == ["c3", "b2"]
    assert len(ring) == 2


def test_same_id_stands_once():
    """A Trace added again moves to the front."""
    assert ids(a_ring("a1", "b2", "a1")) == ["a1", "b2"]


@pytest.mark.parametrize(("key", "found"), [("a1", "a1"), ("b", "b2"), ("a1x", "a1x")])
def test_id_or_unique_prefix_finds(key, found):
    """An id is found even when it begins another one; a prefix must have only one."""
    assert a_ring("a1", "a1x", "b2").get(key).trace.id == found


@pytest.mark.parametrize(
    ("key", "text"),
    [("a", "2 Traces begin with 'a': a1x, a1"), ("b3", "Did you mean 'b2'?"), ("", "no Trace ''")],
)
def test_unclear_key_is_refused(key, text):
    """A key that names none or several is refused with the nearest ones."""
    ring = a_ring("a1", "a1x", "b2")
    assert ring.find(key) is None
    with pytest.raises(NotFoundError) as caught:
        ring.get(key)
    assert text in str(caught.value)


def test_threads_lose_nothing():
    """Threads that add at once leave every Trace in the ring, readers see whole rings."""
    ring = Ring(1_000)
    seen: list[int] = []

    def add(first: str) -> None:
        for n in range(100):
            ring.add(judged(f"{first}{n}"))
            seen.append(len(ring.newest()))

    threads = [threading.Thread(target=add, args=(f"{n}-",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(ids(ring))) == 400
    assert max(seen) == 400


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_child_is_not_locked_out():
    """A lock held in the parent while it forks does not hold up the child."""
    ring = a_ring("a1")
    with ring._lock:
        child = os.fork()
        if child == 0:
            ring.add(judged("b2"))
            os._exit(0 if ids(ring) == ["b2", "a1"] else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
