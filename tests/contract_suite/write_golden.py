"""Writes the reference texts anew: ``python -m tests.contract_suite.write_golden``.

The reference is ``profile`` on SQLite; on other databases only what the table of differences
names has a text of its own.
With newer versions only what is different there is written.
Read the difference before you commit it.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from tests.contract_suite.differences import NEWER, own_text
from tests.contract_suite.suite import GOLDEN, Group, lines_by_way

BOTH = ("profile", "async-profile")
GROUPS = (
    Group("django", "sqlite", "", BOTH),
    Group("django", "postgresql", "", BOTH),
    Group("django", "mariadb", "", BOTH),
    Group("sqlalchemy", "sqlite", "", BOTH),
    Group("sqlalchemy", "postgresql", "psycopg", BOTH),
    Group("sqlalchemy", "postgresql", "psycopg2", ("profile",)),
    Group("sqlalchemy", "mariadb", "pymysql", ("profile",)),
)


def of_version(name):
    """Tell whether a text is of a newer version: there it is written, and nothing else."""
    version = name.rpartition(".")[2].rpartition("-")[2]
    return version.startswith(("django6", "sqlalchemy2", "python3"))


def main():
    """Write every text, and delete those of scenarios that are gone."""
    texts = {}
    for group in GROUPS:
        with tempfile.TemporaryDirectory() as folder:
            found = lines_by_way(group, Path(folder))
        for way, scenarios in found.items():
            for name, lines in scenarios.items():
                own = own_text(group, way, name)
                if of_version(own) if NEWER else own or group.database == "sqlite":
                    path = GOLDEN / group.orm / f"{name}{own}.txt"
                    texts.setdefault(path, "".join(f"{line}\n" for line in lines))
    for path in GOLDEN.glob("*/*.txt"):
        if path not in texts and not NEWER and not of_version(path.stem):
            path.unlink()
    for path, text in texts.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
