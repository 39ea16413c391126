"""The lock on the folder of the store: one process at a time, forks included."""

from __future__ import annotations

import fcntl
import os
import signal

import pytest

from queryscope.store.folder import locked

PATIENCE_S = 20


def _forked(work):
    """Run ``work`` in a child process and return the child; it ends by itself."""
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(PATIENCE_S)
        try:
            work()
            os._exit(0)
        finally:
            os._exit(1)
    return child


def _is_free(folder):
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(handle)
    return True


def test_lock_is_held_within_the_block_alone(tmp_path):
    """Whoever asks meanwhile is told that it is taken."""
    with locked(tmp_path) as held:
        assert held
        assert not _is_free(tmp_path)
    assert _is_free(tmp_path)


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_child_forked_under_the_lock_can_take_it(tmp_path):
    """It has the parent's handle, and would wait for itself."""

    def take():
        with locked(tmp_path):
            pass

    with locked(tmp_path):
        child = _forked(take)
    assert os.waitpid(child, 0)[1] == 0


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_child_that_goes_on_does_not_keep_the_lock(tmp_path):
    """Nobody there would ever let go, were the parent killed under the lock."""
    ready, done = os.pipe(), os.pipe()

    def live():
        os.write(ready[1], b".")
        os.read(done[0], 1)

    def parent():
        with locked(tmp_path):
            _forked(live)
            os.read(ready[0], 1)
            os._exit(0)  # as if killed: no block is left

    os.waitpid(_forked(parent), 0)
    try:
        assert _is_free(tmp_path)
    finally:
        os.write(done[1], b".")
        for end in (*ready, *done):
            os.close(end)
