"""The core: facts, the Recorder that collects them, and the Trace they become."""

from __future__ import annotations
