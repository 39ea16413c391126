"""All settings in one frozen value; every name carries its unit."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, get_args

from queryscope.errors import SettingsError, nearest

if TYPE_CHECKING:
    from collections.abc import Mapping

Mode = Literal["development", "tests", "production"]
Recording = Literal["light", "full"]

RUN_VARIABLE = "QUERYSCOPE_RUN"
"""Environment variable that ``queryscope run`` sets in the process it starts."""

STORE_VARIABLE = "QUERYSCOPE_STORE"
"""Environment variable with the store's path, set by ``queryscope run --store``; it overrides
``store_path``."""

CAPTURE_VARIABLE = "QUERYSCOPE_CAPTURE"
"""Environment variable that ``pytest --contract-capture`` sets: in tests it stands for
``capture_requests``."""

NO_THRESHOLDS: Mapping[str, float] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a user may set, with defaults.

    ``None`` means "decided by the mode": development when Django's DEBUG is on or
    ``queryscope run`` started the process, tests under pytest, else production.

    Attributes:
        enabled: Record at all.
        mode: Where this process runs; decides the defaults of what is None below.
        recording: ``light`` (production) or ``full`` (development, tests).
        reads: Track in full recording which columns and relations are read. None: yes; without
            full recording never.
        viewer: Answer ``viewer_path`` from loopback addresses.
        viewer_path: Where the viewer answers; starts and ends with a slash.
        console: Print one line per request to standard error.
        headers: Send ``Server-Timing`` and ``X-Queryscope-Trace``.
        keep_values: Keep statement parameters in the memory ring and on disk. None: in the
            ring only, and only in development with the viewer on.
        ring_traces: Traces kept in memory.
        store: Write Traces to ``store_path``.
        store_path: The SQLite file of the store, relative to the working directory.
        store_max_mib: Size from which the oldest Traces are deleted, in MiB.
        store_max_age_days: Age from which Traces are deleted, in days.
        queue_traces: Finished Traces waiting for the writer; more are dropped and counted.
        max_queries: Queries kept in one Trace; more are counted.
        max_statement_chars: Length at which a statement is cut.
        max_frames: Frames walked from a statement outwards.
        user_packages: Top-level packages that are the user's although installed as libraries.
        library_packages: Top-level packages that are libraries although they lie in the project.
        ignore_paths: URL path prefixes that are not recorded.
        capture_requests: Keep whole requests in the store for `queryscope contract record
            --captured`, without credentials; in development and tests, never in production.
        thresholds: Thresholds of detectors by name; ``queryscope rule CODE`` lists them.
    """

    enabled: bool = True
    mode: Mode | None = None
    recording: Recording | None = None
    reads: bool | None = None
    viewer: bool | None = None
    viewer_path: str = "/__queryscope__/"
    console: bool | None = None
    headers: bool | None = None
    keep_values: bool | None = None
    ring_traces: int = 50
    store: bool | None = None
    store_path: str = ".queryscope/traces.db"
    store_max_mib: int = 200
    store_max_age_days: float = 14.0
    queue_traces: int = 1_000
    max_queries: int = 20_000
    max_statement_chars: int = 65_536
    max_frames: int = 150
    user_packages: tuple[str, ...] = ()
    library_packages: tuple[str, ...] = ()
    ignore_paths: tuple[str, ...] = ()
    capture_requests: bool = False
    thresholds: Mapping[str, float] = field(default_factory=lambda: NO_THRESHOLDS)

    @classmethod
    def from_mapping(
        cls, values: Mapping[str, Any], *, source: str, thresholds: Mapping[str, float]
    ) -> Settings:
        """Check ``values`` and return them as Settings.

        Args:
            values: Names to values, as the user wrote them. Thresholds of detectors stand
                beside the settings, by their own flat names.
            source: Where the values stand, for the error text, such as ``settings.QUERYSCOPE``.
            thresholds: Every known threshold and its default.

        Raises:
            SettingsError: A name is unknown, or a value is of the wrong type or range.
        """
        known = {item.name: item for item in fields(cls)}
        plain: dict[str, Any] = {}
        chosen: dict[str, float] = {}
        for name, value in values.items():
            if name in thresholds:
                chosen[name] = _checked_number(name, value, source)
            elif name in known and name != "thresholds":
                plain[name] = _checked(name, value, source)
            else:
                hint = nearest(str(name), [*known, *thresholds])
                raise SettingsError(f"{source}: there is no setting {name!r}.{hint}")
        return cls(**plain, thresholds=MappingProxyType(chosen))


_CHOICES: Mapping[str, tuple[str, ...]] = {"mode": get_args(Mode), "recording": get_args(Recording)}
_BOOLEANS = {"enabled", "capture_requests"}
_OPTIONAL_BOOLEANS = {"viewer", "console", "headers", "keep_values", "reads", "store"}
_COUNTS = {
    "ring_traces",
    "store_max_mib",
    "queue_traces",
    "max_queries",
    "max_statement_chars",
    "max_frames",
}
_TUPLES = {"user_packages", "library_packages", "ignore_paths"}


def _checked_number(name: str, value: object, source: str) -> float:
    """Return a threshold's value, or say why it is none."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 10**12:
        raise SettingsError(f"{source}: {name} must be a number from 0 on, not {value!r}.")
    return value


def _checked(name: str, value: object, source: str) -> object:
    """Return a setting's value in its own type, or say why it has none."""
    if name in _CHOICES:
        choices = _CHOICES[name]
        if value is None or value in choices:
            return value
        wanted = " or ".join(repr(choice) for choice in choices)
        raise SettingsError(f"{source}: {name} must be {wanted}, not {value!r}.")
    if name in _BOOLEANS or name in _OPTIONAL_BOOLEANS:
        if isinstance(value, bool) or (value is None and name in _OPTIONAL_BOOLEANS):
            return value
        raise SettingsError(f"{source}: {name} must be True or False, not {value!r}.")
    if name in _COUNTS:
        if isinstance(value, int) and not isinstance(value, bool) and value > 0:
            return value
        raise SettingsError(f"{source}: {name} must be a whole number above 0, not {value!r}.")
    if name in _TUPLES:
        if isinstance(value, (list, tuple)) and all(isinstance(item, str) for item in value):
            return tuple(value)
        raise SettingsError(f"{source}: {name} must be a list of strings, not {value!r}.")
    if name == "store_max_age_days":
        return _checked_number(name, value, source)
    if not isinstance(value, str) or not value:
        raise SettingsError(f"{source}: {name} must be a string, not {value!r}.")
    if name == "viewer_path" and not (value.startswith("/") and value.endswith("/")):
        raise SettingsError(f"{source}: viewer_path must start and end with '/', not {value!r}.")
    return value
