"""What was read of each statement's rows, in full recording: columns and relations, by class.

An adapter makes one ``Reads`` for the instances of one class that one statement loaded; all of
them share it, and reading an attribute adds its name. Nothing is kept of a single instance. What
reaches the values past the attributes (``vars()``, pickling) cannot be told apart column by
column: then everything counts as read, and the verdict is "unknown", never "unused".
"""

from __future__ import annotations

import sys
from abc import ABCMeta, abstractmethod
from typing import TYPE_CHECKING, Any

from queryscope.trace.events import Read

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

MAX_READS = 4_000
"""Pairs of statement and class kept in one Trace; of later ones it is not known what was read."""
SAMPLED_ROWS = 4
"""Rows whose values are measured: the first of each class and statement."""
WATCHED_ROWS = 8
"""Rows of each class and statement whose ``__dict__`` is watched; then one here and there.

Who reads values past the attributes does so with every row, or with one of a few.
"""
_STRIDES = ((64, 7), (512, 13), (4_096, 127), (65_536, 2_039))
"""After how many rows one more is watched, up to which row. Primes: of rows that take turns in
something, as every second does, each kind is met."""
MAX_DISTINCT = 20_000
"""Instances of one class and statement that are told apart; of more their number is not known."""
USED = "*"
"""Stands for an attribute where a whole row was used: written, deleted, put into a relation."""
VALUE_BYTES = 8
"""What a value without a length counts as."""

_frame = sys._getframe
_item = dict.__getitem__
_INTERNAL = frozenset({"django", "sqlalchemy", "queryscope"})
"""Packages that look into the dicts of instances by themselves, for nobody's reading."""


class Reads(set[str]):
    """The attributes read so far of the instances of one class that one statement loaded.

    Attributes:
        uid: The statement.
        model: The class, or its name.
        path: The relations that lead from the statement's own class to this one, ``""`` for that
            class itself.
        columns: The columns that came and whose reading is seen, with the bytes of the values
            measured.
        key: The attribute that tells its rows apart, where an adapter asks for it row by row.
        keys: Those of them that the ORM reads for itself: primary and foreign keys.
        measured: Rows measured.
        rows: Instances that the statement made.
        due: The number of the next row that is to be watched.
        watched: What was read of each row that is watched, with the rows that it stands for.
        stood: The rows that those watched stand for.
        seen: Tells the instances of a join apart; None where they are not counted, or too many.
        before: The statement that had loaded the row before, 0 for none.
        opaque: Values beside the columns came along, and their reading is not seen: annotations,
            files, columns with a descriptor of the user's.
        unseen: All values were handed out at once, past the attributes.
    """

    __slots__ = (
        "before",
        "columns",
        "due",
        "key",
        "keys",
        "measured",
        "model",
        "opaque",
        "path",
        "rows",
        "seen",
        "stood",
        "uid",
        "unseen",
        "watched",
    )

    def __init__(self, uid: int, model: Any, path: str = "") -> None:
        """Start with nothing read."""
        super().__init__()
        self.uid = uid
        self.model = model
        self.path = path
        self.columns: dict[str, int] = {}
        self.key = ""
        self.keys: frozenset[str] = frozenset()
        self.measured = 0
        self.rows = 0
        self.opaque = False
        self.unseen = False
        self.due = 1
        self.watched: list[tuple[int, set[str]]] = []
        self.stood = 0
        self.seen: set[Any] | None = None
        self.before = 0

    def watch(self, values: Watched, row: int) -> None:
        """Keep what is read of the row with a number; the rows since the last one are like it."""
        if values.names is None:
            values.names = set()
            self.watched.append((row - self.stood, values.names))
            self.stood = row

    def reread(self, values: Watched) -> None:
        """Start anew with the one row of a refresh: its values were only handed on so far."""
        self.clear()
        self.watched.clear()
        self.stood = 0
        self.watch(values, 1)

    def measure(self, values: Mapping[str, Any], names: Iterable[str]) -> None:
        """Add the sizes of one row's values."""
        self.measured += 1
        columns = self.columns
        for name in names:
            if name in values:
                columns[name] = columns.get(name, 0) + size_of(values[name])

    # Instances are copied and pickled with what their ORM keeps on them. A copy's reads count
    # here; a pickle holds a plain number, and names nothing of ours.

    def __copy__(self) -> Reads:
        return self

    def __deepcopy__(self, memo: Any) -> Reads:
        return self

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        self.unseen = True
        return int, (self.uid,)


def next_watched(row: int) -> int:
    """Return the number of the next row that is watched after one."""
    if row < WATCHED_ROWS:
        return row + 1
    stride = next((stride for last, stride in _STRIDES if row < last), 16_411)
    return row + stride - row % stride


def size_of(value: Any) -> int:
    """Return about how many bytes a value takes on its way from the database."""
    kind = type(value)
    if kind is str or kind is bytes:
        return len(value)
    if kind is memoryview:
        return int(value.nbytes)
    if kind is list or kind is tuple:
        return sum(map(size_of, value)) + 2 * len(value)
    if kind is dict:
        return sum(size_of(key) + size_of(item) + 4 for key, item in value.items())
    return VALUE_BYTES


def references(records: list[Any]) -> list[int]:
    """Return how many references to each record there are, as ``sys.getrefcount`` has it."""
    return [sys.getrefcount(record) for record in records]


UNREFERENCED = references([Reads(0, "")])[0]
"""References to a record that only one list holds."""


def frozen(records: list[Any], numbers: Mapping[int, int], name: Any) -> Iterator[Read]:
    """Yield what a closed Recorder's records say, in the order of their statements.

    Args:
        records: What the adapters appended to ``Recorder.reads``: ``Reads``, or values with a
            method ``reads()`` that gives pairs of one and whether its instances are alive.
        numbers: ``Query.number`` by uid.
        name: Makes the name of a class.
    """
    for record, count in zip(records, references(records), strict=True):
        pairs: Iterable[tuple[Reads, bool]] = (
            [(record, count > UNREFERENCED)] if type(record) is Reads else record.reads()
        )
        for reads, alive in pairs:
            number = numbers.get(reads.uid)
            if number is not None and reads.rows:
                before = numbers.get(reads.before)
                yield _frozen(reads, number, name(reads.model), before, alive=alive)


def _frozen(reads: Reads, number: int, model: str, before: int | None, *, alive: bool) -> Read:
    # Copies in one step each: an instance that is alive may be read at this moment.
    read = sorted(reads.copy())
    seen = reads.seen if len(reads.seen or ()) < MAX_DISTINCT else None
    columns = tuple(reads.columns.items())
    measured = max(reads.measured, 1)
    return Read(
        number,
        model,
        reads.path,
        reads.rows,
        tuple(name for name, _ in columns),
        tuple(size // measured for _, size in columns),
        tuple(name for name, _ in columns if name in reads.keys),
        tuple(read),
        reads.opaque,
        not reads.unseen,
        alive,
        _read_rows(reads, read),
        None if seen is None else len(seen),
        before,
    )


def _read_rows(reads: Reads, names: list[str]) -> tuple[int, ...]:
    """Return on about how many rows each of some names was read, none where no row was watched."""
    watched = [(stood, rows.copy()) for stood, rows in reads.watched]
    whole = sum(stood for stood, _ in watched)
    return tuple(
        round(reads.rows * sum(stood for stood, read in watched if name in read) / whole)
        for name in names
        if whole
    )


class Watched(dict[str, Any], metaclass=ABCMeta):
    """The ``__dict__`` of an instance here and there, which tells when somebody reads it whole.

    Attribute access goes past these methods, in C, but for that of our own descriptors: those tell
    what is read of this very instance. Copies and pickles of it are plain dicts.

    Attributes:
        own: The names of the module whose descriptors read values for who reads an attribute.
        names: What was read of it; None where that is not kept.
    """

    __slots__ = ("names",)

    own: Mapping[str, Any]
    names: set[str] | None

    def __init__(self, values: Mapping[str, Any]) -> None:
        """Take the place of a dict."""
        super().__init__(values)
        self.names = None

    @abstractmethod
    def _seen(self) -> None:
        """Note that values were read past the attributes."""

    def _note(self, frame: Any) -> None:
        name = frame.f_globals.get("__name__")
        if type(name) is str and name.partition(".")[0] not in _INTERNAL:
            self._seen()

    def note(self, name: str) -> None:
        """Note that an attribute of this instance is read."""
        if self.names is not None:
            self.names.add(name)

    def __iter__(self) -> Iterator[str]:
        self._note(_frame(1))
        return super().__iter__()

    def __getitem__(self, key: str) -> Any:
        frame = _frame(1)
        if frame.f_globals is not self.own:
            self._note(frame)
        elif self.names is not None:
            self.names.add(key)
        return _item(self, key)

    def get(self, key: str, default: Any = None) -> Any:
        """See ``dict.get``."""
        self._note(_frame(1))
        return super().get(key, default)

    def keys(self) -> Any:
        """See ``dict.keys``."""
        self._note(_frame(1))
        return super().keys()

    def values(self) -> Any:
        """See ``dict.values``."""
        self._note(_frame(1))
        return super().values()

    def items(self) -> Any:
        """See ``dict.items``."""
        self._note(_frame(1))
        return super().items()

    def copy(self) -> dict[str, Any]:
        """See ``dict.copy``."""
        self._note(_frame(1))
        return super().copy()

    def __or__(self, other: Any) -> Any:
        self._note(_frame(1))
        return super().copy() | other if isinstance(other, dict) else NotImplemented

    def __ror__(self, other: Any) -> Any:
        self._note(_frame(1))
        return other | super().copy() if isinstance(other, dict) else NotImplemented

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        self._seen()
        return dict, (super().copy(),)
