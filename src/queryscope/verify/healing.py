"""Clones on which the original itself fails, healed table by table until it answers.

A row of settings that no longer parses breaks every request, and a clone on which everything
breaks shows nothing. The tables that a failing request read last are put back as they were, the
smallest first: what else was changed stays.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from queryscope.verify.plan import plan
from queryscope.verify.project import sqlite_file

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from queryscope.verify.bench import Bench
    from queryscope.verify.contract import Request
    from queryscope.verify.launch import Run
    from queryscope.verify.parts import Clone
    from queryscope.verify.plan import Plan

ROUNDS = 5
"""Tables of one clone that are put back at most."""
SERVER_ERROR = 500


def heal(
    bench: Bench, recorded: Mapping[str, Sequence[Request]], clones: Sequence[Clone]
) -> list[Clone]:
    """Return the clones, those healed on which recorded requests failed; SQLite alone.

    Nothing is raised where the original does not run at all: the baseline will say so.
    """
    if sqlite_file(clones[0].url, Path("/")) is None:
        return list(clones)
    kept = bench.baselines.healed(bench.source, recorded, clones)
    healed = kept.read()
    if healed is None:
        healed = _healed(bench, recorded, clones)
        kept.write(healed)
    else:
        for clone in clones:
            for table in healed.get(clone.name, ()):
                _put_back(clone, clones[0], [table])
    return [
        clone._replace(changed=f"{clone.changed}; as it was, or nothing answers: {', '.join(put)}")
        if (put := healed.get(clone.name))
        else clone
        for clone in clones
    ]


def _healed(
    bench: Bench, recorded: Mapping[str, Sequence[Request]], clones: Sequence[Clone]
) -> dict[str, list[str]]:
    """Heal clones, and return what was put back on each."""
    healed: dict[str, list[str]] = {}
    sick = [clone for clone in clones if clone.changed]
    for round_ in range(ROUNDS):
        if not sick:
            break
        scouted = plan(recorded, {}, [clones[0], *sick])
        run = bench.run(bench.original, scouted, name=f"scout-{round_}-a")
        if not run.complete:
            break
        suspects = _suspects(scouted, run)
        sick = []
        for clone in clones:
            known = healed.setdefault(clone.name, [])
            tables = [one for one in suspects.get(clone.name, ()) if one not in known]
            table = _put_back(clone, clones[0], tables)
            if table:
                known.append(table)
                sick.append(clone)
    return {name: put for name, put in healed.items() if put}


def failed(status: int) -> bool:
    """Tell whether an answer is a failure of the application, or none."""
    return status == 0 or status >= SERVER_ERROR


def _suspects(scouted: Plan, run: Run) -> dict[str, list[str]]:
    """Return clones to the tables that were read last before a failure that is the clone's."""
    well = {
        scouted.place(step)[1].key
        for step in scouted.measured
        if not failed(run.replies[step].answer.status)
    }
    found: dict[str, list[str]] = {}
    for step in scouted.questions:
        clone, request, _ = scouted.place(step)
        reply = run.replies[step]
        if clone.changed and request.key in well and failed(reply.answer.status):
            found.setdefault(clone.name, []).extend(reply.tables)
    return found


def _put_back(clone: Clone, pristine: Clone, tables: Sequence[str]) -> str:
    """Put the smallest of some tables back as it was, and return its name; ``""`` if none is."""
    source = sqlite_file(pristine.url, Path("/"))
    target = sqlite_file(clone.url, Path("/"))
    with closing(sqlite3.connect(str(target), isolation_level=None)) as connection:
        connection.execute("PRAGMA foreign_keys = OFF")
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("ATTACH DATABASE ? AS pristine", (str(source),))
        names: dict[str, str] = {
            name.lower(): name
            for (name,) in connection.execute(
                "SELECT name FROM pristine.sqlite_master WHERE type = 'table'"
            )
        }
        sizes = [
            (_size(connection, names[table]), names[table]) for table in tables if table in names
        ]
        if not sizes:
            return ""
        _, name = min(sizes)
        quoted = _quoted(name)
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(f"DELETE FROM main.{quoted}")  # noqa: S608 - quoted above
        connection.execute(
            f"INSERT INTO main.{quoted} SELECT * FROM pristine.{quoted}"  # noqa: S608 - as above
        )
        connection.execute("COMMIT")
        return name.lower()


def _size(connection: sqlite3.Connection, name: str) -> int:
    statement = f"SELECT COUNT(*) FROM pristine.{_quoted(name)}"  # noqa: S608 - quoted there
    size: int = connection.execute(statement).fetchone()[0]
    return size


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
