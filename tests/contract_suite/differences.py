"""What is not equal everywhere and is right: each difference once, with its reason.

A ``Difference`` either has scenarios, whose reference is then a text of its own beside the common
one, or a pattern, whatever matches it being blotted out on both sides before they are compared.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass

import django
import sqlalchemy

NEWER = {
    name
    for name, is_newer in {
        "python312": sys.version_info >= (3, 12),
        "python313": sys.version_info >= (3, 13),
        "django60": django.VERSION >= (6, 0),
        "django61": django.VERSION >= (6, 1),
        "sqlalchemy21": not sqlalchemy.__version__.startswith("2.0."),
    }.items()
    if is_newer
}
"""What runs here and is newer than what the reference was made with."""

SESSION_OPENER = r"(?<= · threads 1\n)(?: +at .*\n)+"
ERROR_CLASS = r"(?<= · error )\w+"


@dataclass(frozen=True)
class Difference:
    """One difference.

    Attributes:
        reason: Why it is right.
        orm: ``django`` or ``sqlalchemy``, empty for both.
        where: Databases, drivers, ways or versions that have it, or a database with a version, as
            ``postgresql-django60``.
        scenarios: Those that have a text of their own, named by the first of ``where``.
        pattern: What is blotted out, in the lines joined.
    """

    reason: str
    orm: str
    where: tuple[str, ...]
    scenarios: tuple[str, ...] = ()
    pattern: str = ""

    def holds(self, group, way):
        """Tell whether it holds for a way of a group."""
        names = {group.database, group.driver, way, *NEWER}
        names.update(f"{group.database}-{version}" for version in NEWER)
        return self.orm in (group.orm, "") and bool(names.intersection(self.where))


DIFFERENCES = (
    Difference(
        "Django's BEGIN is a statement on SQLite, its SET on connecting one on MariaDB, PostgreSQL "
        "has neither: the connection's first use is at another line",
        "django",
        ("postgresql", "mariadb"),
        pattern=SESSION_OPENER,
    ),
    Difference(
        "each database calls the same error by another name",
        "django",
        ("postgresql", "mariadb"),
        pattern=ERROR_CLASS,
    ),
    Difference(
        "drivers have other names for the same error",
        "sqlalchemy",
        ("postgresql", "mariadb"),
        pattern=ERROR_CLASS,
    ),
    Difference(
        "a script goes on after what a scenario raises: it is no error of the Trace",
        "django",
        ("run",),
        pattern=r"^error .*\n",
    ),
    Difference(
        "a script goes on after what a scenario raises: it is no error of the Trace",
        "sqlalchemy",
        ("run",),
        pattern=r"^error .*\n",
    ),
    Difference(
        "Django 6.0 opens no transaction for a single statement",
        "django",
        ("postgresql-django60",),
        ("async_writes", "bulk_create"),
    ),
    Difference(
        "Django 6.0 opens no transaction for a single statement",
        "django",
        ("mariadb-django60",),
        ("async_writes",),
    ),
    Difference(
        "on PostgreSQL Django inserts by UNNEST, groups by the primary key alone, compares tuples, "
        "has ON CONFLICT and needs no ESCAPE",
        "django",
        ("postgresql",),
        (
            "annotate",
            "async_writes",
            "bulk_create",
            "many_to_many_add",
            "prefetch",
            "savepoints",
            "thousand_rows",
        ),
    ),
    Difference(
        "MariaDB groups by the primary key alone, compares tuples, has INSERT IGNORE, LIKE BINARY",
        "django",
        ("mariadb",),
        ("annotate", "many_to_many_add", "prefetch", "savepoints"),
    ),
    Difference(
        "PostgreSQL returns new keys in the statement, many at once, and LIMIT goes without OFFSET",
        "sqlalchemy",
        ("postgresql",),
        (
            "async_writes",
            "broken_constraint",
            "create",
            "first",
            "insertmany",
            "insertmany_returning",
            "rolled_back",
            "savepoints",
        ),
    ),
    Difference(
        "psycopg2 has many rows in one statement of SQLAlchemy's, not in executemany",
        "sqlalchemy",
        ("psycopg2",),
        ("thousand_rows",),
    ),
    Difference(
        "MariaDB writes INNER JOIN, LIMIT before OFFSET, and returns many keys at once",
        "sqlalchemy",
        ("mariadb",),
        ("columns", "first", "insertmany", "insertmany_returning", "subquery_load"),
    ),
    Difference("SQLite locks no rows", "django", ("postgresql", "mariadb"), ("select_for_update",)),
    Difference(
        "SQLite locks no rows", "sqlalchemy", ("postgresql", "mariadb"), ("select_for_update",)
    ),
    Difference(
        "Django 6.0 compares tuples, and opens no transaction for a single statement",
        "django",
        ("django60",),
        ("async_writes", "bulk_create", "prefetch"),
    ),
    Difference("Django 6.1 sends NULL as a value", "django", ("django61",), ("delete_cascade",)),
    Difference(
        "a list comprehension has no frame of its own from Python 3.12 on",
        "",
        ("python312",),
        pattern=r"^ +at .*<listcomp>: .*\n",
    ),
    Difference(
        "what to write stands then in the function itself",
        "",
        ("python312",),
        pattern=r"\.<locals>\.<listcomp>(?=: )",
    ),
    Difference(
        "from Python 3.13 on an iterated queryset has a span of its own, not the whole loop's",
        "",
        ("python313",),
        pattern=r"^ +created .*\n",
    ),
    Difference(
        "SQLAlchemy 2.1 gives columns no labels where nothing needs them",
        "sqlalchemy",
        ("sqlalchemy21",),
        pattern=r" AS \w+",
    ),
)


def own_text(group, way, scenario):
    """Return the ending of the name of a scenario's own reference text, ``""`` for the common."""
    for item in DIFFERENCES:
        if scenario in item.scenarios and item.holds(group, way):
            return f".{item.where[0]}"
    return ""


def blotted(lines, group, way):
    """Return lines without what differs by right in a way of a group."""
    text = "".join(f"{line}\n" for line in lines)
    for item in DIFFERENCES:
        if item.pattern and item.holds(group, way):
            text = re.sub(item.pattern, "", text, flags=re.MULTILINE)
    return text.splitlines()
