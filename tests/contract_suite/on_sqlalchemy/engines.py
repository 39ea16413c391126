"""The engines of the application: two sync ones and, where the driver has it, an async one."""

from __future__ import annotations

sync = None
second = None
asynchronous = None
