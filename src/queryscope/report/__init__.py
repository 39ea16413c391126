"""What a person or a program gets to read of a Trace: views, then HTML, terminal and JSON."""

from __future__ import annotations
