"""What a child process is told: the application, the database, the ways, and where to write."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

PATIENT = {
    "held_idle_min_ms": 60_000,
    "held_idle_gap_min_ms": 60_000,
    "pool_wait_min_ms": 60_000,
}
"""Thresholds that the machine's pace does not reach."""

SETTINGS = {
    "mode": "production",
    "recording": "full",
    "console": False,
    "viewer": False,
    "store": False,
    "keep_values": True,
    **PATIENT,
}
"""The same for every way."""


@dataclass(frozen=True)
class Plan:
    """One child process's work.

    Attributes:
        orm: ``django`` or ``sqlalchemy``.
        database: ``sqlite``, ``postgresql`` or ``mariadb``.
        driver: SQLAlchemy's name of the driver, empty for Django.
        first: URL of the database, or the path of an SQLite file.
        second: The same of the second alias or engine.
        ways: Names of the ways to run.
        output: The file for the lines, as JSON: way, scenario, lines.
    """

    orm: str
    database: str
    driver: str
    first: str
    second: str
    ways: tuple[str, ...]
    output: str

    def text(self) -> str:
        """Return it as an argument of a command."""
        return json.dumps(asdict(self))

    @classmethod
    def of(cls, text: str) -> Plan:
        """Return what ``text`` was made of."""
        values = json.loads(text)
        return cls(**{**values, "ways": tuple(values["ways"])})

    def write(self, found: object) -> None:
        """Write the result."""
        Path(self.output).write_text(json.dumps(found), encoding="utf-8")
