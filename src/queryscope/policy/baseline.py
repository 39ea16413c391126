"""The baseline file: known findings, each with its owner, a reason and the day it expires.

``queryscope-baseline.toml`` lies beside ``pyproject.toml`` and is kept under version control:

    version = 1

    [[finding]]
    fingerprint = "9f2c41aa0b3d5e67"
    code = "QS101"
    where = "shop.views:list_orders"
    about = "shop.Order.customer"
    owner = "orders team"
    reason = "the page goes in spring"
    expires = 2027-03-31

``where`` and ``about`` are for readers: a finding is known by its fingerprint.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import re
import secrets
import tomllib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from queryscope.detectors.finding import place_of
from queryscope.detectors.registry import all_detectors
from queryscope.errors import SettingsError, nearest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from queryscope.detectors.finding import Finding

FILE = "queryscope-baseline.toml"
VERSION = 1
"""Version of what is written; a file of a newer one is refused."""
MAX_ABOUT_CHARS = 200
"""A statement's shape is cut here: it is for readers only."""

_TEXTS = ("fingerprint", "code", "where", "about", "owner", "reason")
_KEYS = (*_TEXTS, "expires")
_NEEDED = ("fingerprint", "code")
_FINGERPRINT = re.compile(r"[0-9a-f]{16}")
_HEAD = """\
# Findings that are known, written by `queryscope baseline write`. Give each an owner, a reason and,
# where it shall not last, the last day on which it may stay: expires = 2027-01-31.
"""


class Entry(NamedTuple):
    """One known finding.

    Attributes:
        fingerprint: ``Finding.fingerprint``.
        code: Its code.
        where: Its module and function, or template and tag.
        about: The relation, shape or resource that it is about.
        owner: Who answers for it.
        reason: Why it may stay.
        expires: The last day on which it may, None for no end.
    """

    fingerprint: str
    code: str
    where: str = ""
    about: str = ""
    owner: str = ""
    reason: str = ""
    expires: dt.date | None = None

    def expired(self, today: dt.date) -> bool:
        """Tell whether its last day is over."""
        return self.expires is not None and self.expires < today


@dataclass(frozen=True, slots=True)
class Baseline:
    """The entries of one file, by their fingerprints; those of no file are none."""

    path: Path
    entries: Mapping[str, Entry] = field(default_factory=dict)

    def entry(self, finding: Finding) -> Entry | None:
        """Return the entry of a finding, expired or not."""
        return self.entries.get(finding.fingerprint) if self.entries else None

    def with_findings(
        self,
        findings: Iterable[Finding],
        *,
        owner: str = "",
        reason: str = "",
        expires: dt.date | None = None,
    ) -> Baseline:
        """Return the baseline with entries for findings that have none; the others stay."""
        kept = dict(self.entries)
        for finding in findings:
            fingerprint = finding.fingerprint
            if fingerprint not in kept:
                about = " ".join(finding.subject.split())[:MAX_ABOUT_CHARS]
                kept[fingerprint] = Entry(
                    fingerprint,
                    finding.code,
                    place_of(finding.origin),
                    about,
                    owner,
                    reason,
                    expires,
                )
        return replace(self, entries=kept)

    def without(self, entries: Iterable[Entry]) -> Baseline:
        """Return the baseline without some of its entries."""
        gone = {entry.fingerprint for entry in entries}
        return replace(self, entries={k: e for k, e in self.entries.items() if k not in gone})

    def write(self) -> None:
        """Write the file, whole or not at all, sorted so that versions of it compare well.

        Raises:
            SettingsError: It cannot be written.
        """
        draft = self.path.with_name(f".{self.path.name}.{secrets.token_hex(6)}")
        try:
            draft.write_text(self.text(), encoding="utf-8", errors="replace")
            os.replace(draft, self.path)  # noqa: PTH105 - the same call
        except OSError as error:
            draft.unlink(missing_ok=True)
            raise SettingsError(f"{self.path} cannot be written: {error.strerror}.") from error

    def text(self) -> str:
        """Return the file's text."""
        parts = [f"{_HEAD}\nversion = {VERSION}\n"]
        in_order = sorted(
            self.entries.values(), key=lambda e: (e.where, e.code, e.about, e.fingerprint)
        )
        for entry in in_order:
            lines = ["\n[[finding]]"]
            lines += [f"{name} = {_quoted(getattr(entry, name))}" for name in _TEXTS]
            if entry.expires is not None:
                lines.append(f"expires = {entry.expires.isoformat()}")
            parts.append("\n".join(lines) + "\n")
        return "".join(parts)


def _quoted(text: str) -> str:
    """Return a text as a basic string of TOML: JSON's, but for the one character it leaves out."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def read(path: Path) -> Baseline:
    """Return the baseline of a file; one without entries where there is no file.

    Raises:
        SettingsError: The file cannot be read, is no TOML, or has a key or a value that it
            should not have.
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Baseline(path)
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise SettingsError(f"{path} cannot be read: {reason}.") from error
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path} is no TOML: {error}.") from error
    _check_document(path, document)
    entries: dict[str, Entry] = {}
    for number, table in enumerate(document.get("finding", ()), 1):
        entry = _entry(f"{path}: finding {number}", table)
        if entry.fingerprint in entries:
            raise SettingsError(
                f"{path}: finding {number}: {entry.fingerprint} is there twice. Delete one of them."
            )
        entries[entry.fingerprint] = entry
    return Baseline(path, entries)


def _check_document(path: Path, document: dict[str, Any]) -> None:
    for key in document:
        if key not in ("version", "finding"):
            hint = nearest(key, ("version", "finding"))
            raise SettingsError(f"{path}: there is no key {key!r}.{hint}")
    version = document.get("version")
    if type(version) is not int or version < 1:
        raise SettingsError(f"{path}: version must be {VERSION}, not {version!r}.")
    if version > VERSION:
        raise SettingsError(
            f"{path} has version {version}, written by a newer queryscope; this one reads up to "
            f"{VERSION}. Update queryscope."
        )
    tables = document.get("finding", [])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise SettingsError(f"{path}: findings are written as tables, each below [[finding]].")


def _entry(source: str, table: dict[str, Any]) -> Entry:
    for key in table:
        if key not in _KEYS:
            raise SettingsError(f"{source}: there is no key {key!r}.{nearest(key, _KEYS)}")
    for key in _TEXTS:
        value = table.get(key, "")
        if not isinstance(value, str):
            raise SettingsError(f"{source}: {key} must be a text, not {value!r}.")
        if key in _NEEDED and not value:
            raise SettingsError(f"{source}: {key} is missing.")
    expires = table.get("expires")
    if expires is not None and type(expires) is not dt.date:
        raise SettingsError(
            f"{source}: expires must be a day without quotes, such as 2027-01-31, not {expires!r}."
        )
    entry = Entry(**table)
    if not _FINGERPRINT.fullmatch(entry.fingerprint):
        raise SettingsError(
            f"{source}: fingerprint must be 16 hexadecimal digits, not {entry.fingerprint!r}."
        )
    if entry.code not in all_detectors():
        hint = nearest(entry.code.upper(), all_detectors())
        raise SettingsError(f"{source}: there is no code {entry.code!r}.{hint}")
    return entry
