"""Settings per path: which codes and which severities count in which part of a project."""

from __future__ import annotations

import fnmatch
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from queryscope.detectors.finding import SEVERITIES, Severity
from queryscope.detectors.registry import all_detectors
from queryscope.errors import SettingsError, nearest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

KEYS = ("ignore", "level")
_FAMILY = re.compile(r"QS\d$")
_WILD = re.compile(r"[*?\[]")


class PathRule(NamedTuple):
    """What one pattern sets; None where it leaves a key to less specific patterns.

    Attributes:
        pattern: As written, relative to the project's folder, with slashes.
        ignore: Codes, or families of codes such as ``QS5``, that nobody wants to hear of.
        level: The mildest severity that counts.
    """

    pattern: str
    ignore: frozenset[str] | None = None
    level: Severity | None = None

    def matches(self, path: str) -> bool:
        """Tell whether a path is meant: by the pattern, or because its folder is.

        ``*`` stands for slashes, too: ``app/legacy/*`` is everything below.
        """
        pattern = self.pattern.removeprefix("./").rstrip("/")
        return fnmatch.fnmatchcase(path, pattern) or fnmatch.fnmatchcase(path, f"{pattern}/*")

    @property
    def weight(self) -> tuple[bool, int, int]:
        """How specific it is: a path without wildcards first, then by what is not wild."""
        bare = _WILD.sub("", self.pattern)
        return bare == self.pattern, len(bare), -len(self.pattern)


class Verdict(NamedTuple):
    """What the patterns together say of one path, each key from the most specific that sets it."""

    ignore: frozenset[str] = frozenset()
    ignored_by: str = ""
    level: Severity | None = None
    level_by: str = ""


@dataclass(frozen=True, slots=True)
class Paths:
    """The rules of a project, the most specific first."""

    rules: tuple[PathRule, ...] = ()

    def of(self, path: str) -> Verdict:
        """Return what holds for a path, which is relative to the project's folder."""
        ignore: PathRule | None = None
        level: PathRule | None = None
        for rule in self.rules:
            if (ignore is None or level is None) and rule.matches(path):
                ignore = rule if ignore is None and rule.ignore is not None else ignore
                level = rule if level is None and rule.level is not None else level
        return Verdict(
            (ignore and ignore.ignore) or frozenset(),
            ignore.pattern if ignore else "",
            level.level if level else None,
            level.pattern if level else "",
        )


def names(codes: frozenset[str], code: str) -> bool:
    """Tell whether a code is among codes and families of codes."""
    return code in codes or code[:3] in codes


def paths_of(source: str, tables: object) -> Paths:
    """Check the tables that a user wrote and return them as rules.

    Args:
        source: Where they stand, for the error text.
        tables: Patterns to their tables.

    Raises:
        SettingsError: A key or a code is unknown, or a value is of the wrong type.
    """
    if not isinstance(tables, dict):
        raise SettingsError(f"{source}: per-path must be a table of patterns, not {tables!r}.")
    found = [_rule(f'{source}: per-path."{name}"', name, table) for name, table in tables.items()]
    return Paths(tuple(sorted(found, key=lambda rule: rule.weight, reverse=True)))


def _rule(source: str, pattern: str, table: Any) -> PathRule:
    if not isinstance(table, dict):
        raise SettingsError(f"{source} must be a table with {' and '.join(KEYS)}, not {table!r}.")
    if not pattern.strip("./") or os.path.isabs(pattern) or "\\" in pattern:  # noqa: PTH117 - text
        raise SettingsError(
            f"{source}: a pattern is relative to the project's folder, with slashes, such as "
            '"app/legacy/*".'
        )
    for key in table:
        if key not in KEYS:
            raise SettingsError(f"{source}: there is no setting {key!r}.{nearest(key, KEYS)}")
    return PathRule(pattern, _ignored(source, table), level_of(source, table))


def _ignored(source: str, table: Mapping[str, Any]) -> frozenset[str] | None:
    if "ignore" not in table:
        return None
    codes: Sequence[Any] = table["ignore"]
    if not isinstance(codes, list) or not all(isinstance(code, str) for code in codes):
        raise SettingsError(f"{source}: ignore must be a list of codes, not {codes!r}.")
    known = all_detectors()
    families = {code[:3] for code in known}
    for code in codes:
        if code not in known and not (_FAMILY.match(code) and code in families):
            raise SettingsError(
                f"{source}: there is no code {code!r}.{nearest(code.upper(), known)}"
            )
    return frozenset(codes)


def level_of(source: str, table: Mapping[str, Any]) -> Severity | None:
    """Return the severity that a table sets, None where it sets none.

    Raises:
        SettingsError: It is none.
    """
    level = table.get("level")
    if level is None:
        return None
    for severity in SEVERITIES:
        if level == severity:
            return severity
    raise SettingsError(
        f"{source}: level must be {' or '.join(map(repr, SEVERITIES))}, not {level!r}."
    )


def relative(file: str, root: Path) -> str:
    """Return a file with slashes, relative to a folder if it lies below."""
    path = file.replace(os.sep, "/")
    base = str(root).replace(os.sep, "/").rstrip("/")
    return path[len(base) + 1 :] if path.startswith(f"{base}/") else path
