"""What a database knows of its tables, as frozen values that are alike for all databases."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

BTREE = "btree"
"""The one kind of index that answers for the beginning of its columns, too."""


class Column(NamedTuple):
    """A column: its name, its type in the database's words, whether it may be NULL."""

    name: str
    type: str
    nullable: bool


class IndexColumn(NamedTuple):
    """One part of an index.

    Attributes:
        name: The column; ``""`` where it is an expression.
        expression: The expression in the database's words, ``""`` for a column.
        descending: It is ordered downwards.
        detail: What else makes it another than the plain column: a collation, an operator class,
            where NULLs stand, the length of a prefix; ``""`` for none of it.
    """

    name: str
    expression: str = ""
    descending: bool = False
    detail: str = ""


class Index(NamedTuple):
    """An index.

    Attributes:
        name: Its name; ``""`` for the key of a SQLite table that is its rowid.
        columns: Its parts, in order.
        unique: No two rows may be equal in it.
        primary: It is the primary key.
        constraint: A constraint made it, or is kept by it.
        predicate: The condition of a partial index, in the database's words.
        included: Columns that it only carries along.
        method: ``btree`` or another word of the database's.
        valid: The database uses it; not so while it is being built, ignored or invisible.
        scans: How often the database has used it since it began to count; None if it does not.
    """

    name: str
    columns: tuple[IndexColumn, ...]
    unique: bool = False
    primary: bool = False
    constraint: bool = False
    predicate: str = ""
    included: tuple[str, ...] = ()
    method: str = BTREE
    valid: bool = True
    scans: int | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The columns by name; ``""`` for each expression."""
        return tuple(column.name for column in self.columns)


class ForeignKey(NamedTuple):
    """A foreign key: columns of one table that stand for those of another."""

    name: str
    columns: tuple[str, ...]
    table: str
    referred: tuple[str, ...]


class Check(NamedTuple):
    """A check constraint: its name, and its condition in the database's words."""

    name: str
    condition: str


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table.

    Attributes:
        name: Its name, as the database writes it.
        schema: The schema that it lies in; ``""`` where there is one only.
        columns: Its columns, in order.
        indexes: Its indexes, those of constraints and of the primary key among them.
        foreign_keys: What it refers to.
        checks: Its check constraints.
        rows: About how many rows it has, None where that is not known.
        is_parent: Other tables inherit from it: their rows are read with its own, and its keys do
            not hold for them.
    """

    name: str
    schema: str = ""
    columns: tuple[Column, ...] = ()
    indexes: tuple[Index, ...] = ()
    foreign_keys: tuple[ForeignKey, ...] = ()
    checks: tuple[Check, ...] = ()
    rows: int | None = None
    is_parent: bool = False

    @cached_property
    def primary_key(self) -> tuple[str, ...]:
        """The columns of the primary key, ``()`` without one."""
        return next((index.names for index in self.indexes if index.primary), ())

    @cached_property
    def keys(self) -> tuple[frozenset[str], ...]:
        """Sets of columns that no two rows have alike, in lower case; where none is NULL."""
        if self.is_parent:
            return ()
        return tuple(
            frozenset(name.lower() for name in index.names)
            for index in self.indexes
            if index.unique and index.valid and not index.predicate and _is_plain(index)
        )

    def column(self, name: str) -> Column | None:
        """Return a column by its name, in any case of letters."""
        lowered = name.lower()
        return next((item for item in self.columns if item.name.lower() == lowered), None)

    def index(self, name: str) -> Index | None:
        """Return an index by its name."""
        return next((item for item in self.indexes if item.name == name), None)

    def never_null(self, name: str) -> bool:
        """Tell whether a column is known to hold no NULL."""
        column = self.column(name)
        return column is not None and not column.nullable


@dataclass(frozen=True)
class Schema:
    """The tables of a database.

    Attributes:
        vendor: ``sqlite``, ``postgresql`` or ``mysql`` (which is MariaDB, too).
        tables: The tables; of equal names the one first that the bare name means.
        path: Schemas that a bare name is looked up in.
    """

    vendor: str
    tables: tuple[Table, ...] = ()
    path: tuple[str, ...] = ()

    def table(self, name: str, schema: str = "") -> Table | None:
        """Return a table by its name, in any case of letters; None where several may be meant."""
        found = self._by_name.get(name.lower(), ())
        if schema:
            return next((item for item in found if item.schema == schema), None)
        for place in self.path:
            for item in found:
                if item.schema == place:
                    return item
        return found[0] if len(found) == 1 else None

    @cached_property
    def _by_name(self) -> dict[str, tuple[Table, ...]]:
        found: dict[str, tuple[Table, ...]] = {}
        for table in self.tables:
            name = table.name.lower()
            found[name] = (*found.get(name, ()), table)
        return found


def _is_plain(index: Index) -> bool:
    """Tell whether an index tells apart what its columns do: no expression, no other collation."""
    return all(column.name and not column.detail for column in index.columns)


# -- what follows from it --------------------------------------------------------------------


class Redundant(NamedTuple):
    """An index that another one answers for: it is a ``duplicate`` of it, or its ``prefix``."""

    needless: Index
    by: Index
    how: Literal["duplicate", "prefix"]


def redundant_indexes(table: Table) -> Iterator[Redundant]:
    """Yield the indexes of a table that could go, each with the one that stays.

    None that is unique, of the primary key or of a constraint is among them, and none that backs
    a foreign key unless another one is just like it.
    """
    gone: set[str] = set()
    for index in table.indexes:
        if not can_go(index):
            continue
        for other in table.indexes:
            if other.name == index.name or other.name in gone or not _is_usable(other):
                continue
            if not _is_prefix(index, other):
                continue
            if len(index.columns) == len(other.columns):
                # Of two twins that could both go, the first by name stays.
                if not other.unique and can_go(other) and other.name > index.name:
                    continue
                gone.add(index.name)
                yield Redundant(index, other, "duplicate")
            elif not backs_foreign_key(table, index):
                gone.add(index.name)
                yield Redundant(index, other, "prefix")
            else:
                continue
            break


def can_go(index: Index) -> bool:
    """Tell whether an index is there for speed alone."""
    return not (index.unique or index.primary or index.constraint) and _is_usable(index)


def backs_foreign_key(table: Table, index: Index) -> bool:
    """Tell whether an index begins with the columns of a foreign key and ends with them."""
    names = {name.lower() for name in index.names}
    return any(
        {name.lower() for name in key.columns} == names and len(key.columns) == len(index.columns)
        for key in table.foreign_keys
    )


def _is_usable(index: Index) -> bool:
    return index.valid and index.method == BTREE and bool(index.columns)


def _is_prefix(index: Index, other: Index) -> bool:
    """Tell whether every search by an index can be made by the first columns of another."""
    if index.predicate != other.predicate or len(index.columns) > len(other.columns):
        return False
    carried = {*other.names, *other.included}
    if not carried >= set(index.included):
        return False
    pairs = list(zip(index.columns, other.columns, strict=False))
    if any(
        mine._replace(descending=False) != its._replace(descending=False) for mine, its in pairs
    ):
        return False
    turned = {mine.descending != its.descending for mine, its in pairs}
    return len(turned) == 1  # an index is read backwards as well as forwards, as a whole


def _upwards(column: IndexColumn) -> IndexColumn:
    return column._replace(descending=False)


def is_unique_by(table: Table, columns: frozenset[str]) -> bool:
    """Tell whether no two rows of a table have these columns alike, NULLs counted as alike.

    Args:
        table: The table.
        columns: Names in lower case.
    """
    return any(key <= columns and all(map(table.never_null, key)) for key in table.keys)


def finds_one(table: Table, columns: frozenset[str]) -> bool:
    """Tell whether one row at most is found by equality with values in these columns.

    Args:
        table: The table.
        columns: Names in lower case.
    """
    return any(key <= columns for key in table.keys)
