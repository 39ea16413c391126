"""Copies of the tables of one statement, under their own names, that nobody else sees."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol
from urllib.parse import quote

from queryscope.plans.catalogue import quoted
from queryscope.plans.connection import CannotExplainError, rows_of
from queryscope.plans.database import transaction
from queryscope.plans.explain import format_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from queryscope.plans.connection import Connection
    from queryscope.plans.database import Database
    from queryscope.plans.schema import Schema
    from queryscope.plans.statement import Statement
    from queryscope.plans.values import Values

MAX_ROWS = 200_000
"""Rows copied of a table at most; an index is tried on the first of a larger one."""
TIMEOUT_MS = 20_000
"""How long one statement of a trial may take: to copy a table, to build an index, to run."""
INDEX = "queryscope_trial"
STEPS = 20
"""Steps of SQLite's machine between two counts."""


HARMLESS = frozenset(
    {
        "abs", "avg", "bit_length", "bool_and", "bool_or", "cast", "ceil", "ceiling",
        "char_length", "character_length", "coalesce", "concat", "concat_ws", "convert", "count",
        "date", "date_add", "date_format", "date_part", "date_sub", "date_trunc", "datetime",
        "day", "dayofmonth", "dayofweek", "dense_rank", "exp", "extract", "first_value", "floor",
        "greatest", "group_concat", "hour", "if", "ifnull", "iif", "instr", "json_extract",
        "julianday", "lag", "last_value", "lcase", "lead", "least", "left", "length", "ln", "log",
        "lower", "lpad", "ltrim", "max", "microsecond", "min", "minute", "mod", "month", "now",
        "nullif", "octet_length", "overlay", "position", "pow", "power", "quarter", "rank",
        "replace", "right", "round", "row_number", "rpad", "rtrim", "second", "sign", "sqrt",
        "stddev", "strftime", "string_agg", "substr", "substring", "sum", "time", "timestampdiff",
        "total", "trim", "trunc", "truncate", "ucase", "unixepoch", "upper", "variance", "week",
        "year",
    }
)  # fmt: skip
"""Functions that change nothing wherever they are called. A statement on a copy is run, and another
function may do anything: count a sequence up, write a file, end a connection."""
_WRITES = {"INTO", "INSERT", "UPDATE", "DELETE", "MERGE"}
"""``FOR UPDATE`` is among them: to lock the rows of a copy is another work than to read them."""


class Work(NamedTuple):
    """What one run took: the database's own measure, and nanoseconds."""

    amount: int
    duration_ns: int


class Copy(Protocol):
    """Copied tables over a connection of our own."""

    connection: Connection
    unit: str
    rows: Mapping[str, int]
    whole: bool

    def index(self, table: str, columns: Sequence[str]) -> AbstractContextManager[str]:
        """Return what builds an index, gives its name, and takes it away again."""

    def work(self, statement: Statement, values: Values) -> Work:
        """Run a statement and return what it took."""


@contextmanager
def copied(database: Database, statement: Statement, schema: Schema) -> Iterator[Copy]:
    """Copy the tables of a statement, and forget them at the end.

    Raises:
        CannotExplainError: They cannot be copied.
    """
    if statement.kind != "select" or any(token.upper in _WRITES for token in statement.tokens):
        raise CannotExplainError("only a SELECT is run on a copy")
    unknown = sorted(statement.calls - HARMLESS)
    if unknown:
        raise CannotExplainError(f"it calls {unknown[0]}(), and what that does is not known")
    sources = set(statement.sources.values())
    if any(source.qualified for source in sources):
        raise CannotExplainError("it names its tables with their schema, which a copy has not")
    tables = {}
    for source in sources:
        table = schema.table(source.name)
        if table is None:
            raise CannotExplainError(f"{source.name} is no table, or one of several")
        tables[table.name] = table.schema
    make = {"sqlite": _SqliteCopy, "postgresql": _PostgresqlCopy, "mysql": _MysqlCopy}
    kind: Any = make[database.vendor]
    with kind.connected(database) as connection:
        copy: Copy = kind(connection, database, tables)
        yield copy


class _SqliteCopy:
    """Tables in our memory; the file is attached, read only, while they are copied."""

    unit = "steps"

    def __init__(self, connection: Any, database: Database, tables: Mapping[str, str]) -> None:
        self.connection: Any = connection
        self.rows: dict[str, int] = {}
        self.steps = 0
        self.whole = True
        self.end = time.monotonic() + TIMEOUT_MS / 1_000
        connection.set_progress_handler(self.tick, STEPS)
        path = quote(str(Path(database.name).absolute()))
        rows_of(connection, "ATTACH ? AS source", (f"file:{path}?mode=ro",))
        try:
            for table in tables:
                self.copy(table)
            known = "SELECT 1 FROM source.sqlite_master WHERE name = 'sqlite_stat1'"
            self.analyzed = bool(rows_of(connection, known))
        finally:
            rows_of(connection, "DETACH source")
        self.analyze()

    @staticmethod
    @contextmanager
    def connected(database: Database) -> Iterator[Any]:
        with closing(database.connect()):  # it says why where there is no such file
            pass
        with closing(sqlite3.connect(":memory:", isolation_level=None, uri=True)) as connection:
            yield connection

    def tick(self) -> bool:
        self.steps += STEPS
        return time.monotonic() > self.end

    def copy(self, table: str) -> None:
        name = quoted(table, "sqlite")
        made = rows_of(
            self.connection,
            "SELECT sql FROM source.sqlite_master WHERE tbl_name = ? AND sql IS NOT NULL "
            "AND type IN ('table', 'index') ORDER BY type = 'index'",
            (table,),
        )
        if not made or made[0][0].upper().startswith("CREATE VIRTUAL"):
            raise CannotExplainError(f"{table} is no plain table")
        rows_of(self.connection, made[0][0])
        text = f"INSERT INTO main.{name} SELECT * FROM source.{name} LIMIT {MAX_ROWS}"  # noqa: S608 - quoted
        rows_of(self.connection, text)
        for (index,) in made[1:]:
            rows_of(self.connection, index)
        self.rows[table.lower()] = _count(self.connection, f"main.{name}")
        beyond = f"SELECT 1 FROM source.{name} LIMIT 1 OFFSET {MAX_ROWS}"  # noqa: S608 - quoted
        self.whole &= not rows_of(self.connection, beyond)

    def analyze(self) -> None:
        if self.analyzed:
            rows_of(self.connection, "ANALYZE")

    @contextmanager
    def index(self, table: str, columns: Sequence[str]) -> Iterator[str]:
        rows_of(self.connection, _create(INDEX, quoted(table, "sqlite"), columns, "sqlite"))
        self.analyze()
        try:
            yield INDEX
        finally:
            rows_of(self.connection, f"DROP INDEX {INDEX}")

    def work(self, statement: Statement, values: Values) -> Work:
        self.end = time.monotonic() + TIMEOUT_MS / 1_000
        text = statement.rendered(["?"] * len(statement.slots), doubled=False)
        before, begin = self.steps, time.perf_counter_ns()
        rows_of(self.connection, text, values.of or ())
        duration_ns = time.perf_counter_ns() - begin
        return Work(self.steps - before + STEPS, duration_ns)  # those since the last count at most


class _PostgresqlCopy:
    """Temporary tables, which go before others of their name, in a transaction rolled back."""

    unit = "pages"

    def __init__(self, connection: Connection, _: Database, tables: Mapping[str, str]) -> None:
        self.connection = connection
        self.rows: dict[str, int] = {}
        rows_of(connection, "SET LOCAL max_parallel_workers_per_gather = 0")
        rows_of(connection, "SET LOCAL jit = off")
        self.whole = True
        for table, schema in tables.items():
            name = quoted(table, "postgresql")
            original = f"{quoted(schema, 'postgresql')}.{name}" if schema else name
            rows_of(
                connection,
                f"CREATE TEMPORARY TABLE {name} (LIKE {original} INCLUDING INDEXES "
                "INCLUDING STATISTICS)",
            )
            rows_of(
                connection,
                f"INSERT INTO pg_temp.{name} OVERRIDING SYSTEM VALUE SELECT * FROM {original} "  # noqa: S608 - quoted
                f"LIMIT {MAX_ROWS}",
            )
            rows_of(connection, f"ANALYZE pg_temp.{name}")
            self.rows[table.lower()] = _count(connection, f"pg_temp.{name}")
            self.whole &= self.rows[table.lower()] < MAX_ROWS

    @staticmethod
    @contextmanager
    def connected(database: Database) -> Iterator[Connection]:
        with (
            closing(database.connect()) as connection,
            transaction(connection, database.vendor, timeout_ms=TIMEOUT_MS, writable=True),
        ):
            yield connection

    @contextmanager
    def index(self, table: str, columns: Sequence[str]) -> Iterator[str]:
        name = f"pg_temp.{quoted(table, 'postgresql')}"
        rows_of(self.connection, _create(INDEX, name, columns, "postgresql"))
        rows_of(self.connection, f"ANALYZE {name}")
        yield INDEX
        rows_of(self.connection, f"DROP INDEX pg_temp.{INDEX}")

    def work(self, statement: Statement, values: Values) -> Work:
        asked = "EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON)"
        text = f"{asked} {format_text(statement)}"
        found = rows_of(self.connection, text, values.of or ())[0][0][0]
        kinds = ("Local Hit Blocks", "Local Read Blocks", "Shared Hit Blocks", "Shared Read Blocks")
        pages = sum(found["Plan"][kind] for kind in kinds)
        return Work(int(pages), round(found["Execution Time"] * 1_000_000))


class _MysqlCopy:
    """Temporary tables, which go before others of their name, until the connection is closed."""

    unit = "rows read"

    def __init__(self, connection: Connection, _: Database, tables: Mapping[str, str]) -> None:
        self.connection = connection
        self.rows: dict[str, int] = {}
        made = []
        for number, table in enumerate(tables):
            name, copy = quoted(table, "mysql"), f"{INDEX}_{number}"
            rows_of(connection, f"CREATE TEMPORARY TABLE {copy} LIKE {name}")
            rows_of(connection, f"INSERT INTO {copy} SELECT * FROM {name} LIMIT {MAX_ROWS}")  # noqa: S608 - quoted
            self.rows[table.lower()] = _count(connection, copy)
            made.append((copy, name))
        for copy, name in made:
            rows_of(connection, f"ALTER TABLE {copy} RENAME TO {name}")
        self.whole = all(count < MAX_ROWS for count in self.rows.values())

    connected = _PostgresqlCopy.connected

    @contextmanager
    def index(self, table: str, columns: Sequence[str]) -> Iterator[str]:
        name = quoted(table, "mysql")
        rows_of(self.connection, _create(INDEX, name, columns, "mysql"))
        yield INDEX
        rows_of(self.connection, f"DROP INDEX {INDEX} ON {name}")

    def work(self, statement: Statement, values: Values) -> Work:
        before, begin = self.read(), time.perf_counter_ns()
        rows_of(self.connection, format_text(statement), values.of or ())
        duration_ns = time.perf_counter_ns() - begin
        return Work(self.read() - before, duration_ns)

    def read(self) -> int:
        """Return how many rows this connection has asked the storage engine for."""
        counts = rows_of(self.connection, "SHOW SESSION STATUS LIKE 'Handler_read%'")
        return sum(int(count) for _, count in counts)


def _create(index: str, table: str, columns: Sequence[str], vendor: str) -> str:
    return f"CREATE INDEX {index} ON {table} ({', '.join(quoted(c, vendor) for c in columns)})"


def _count(connection: Connection, table: str) -> int:
    return int(rows_of(connection, f"SELECT count(*) FROM {table}")[0][0])  # noqa: S608 - quoted
