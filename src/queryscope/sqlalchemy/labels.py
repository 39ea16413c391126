"""What SQLAlchemy's own frames say about a statement: its verb and its class.

Every source reads the locals of one frame, once per statement, and runs no code of the user's.
"""

from __future__ import annotations

from inspect import unwrap
from typing import TYPE_CHECKING, Any

from sqlalchemy.engine import Connection
from sqlalchemy.orm import Query, Session, attributes, loading, strategies
from sqlalchemy.sql import ClauseElement

from queryscope.sqlalchemy.loads import (
    AttributeRead,
    LazyColumns,
    LazyRelation,
    SelectIn,
    Subquery,
)
from queryscope.sqlalchemy.pools import MARK

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    from queryscope.trace.codes import RawLabel


def _plain(operation: str, model: Any = "", created: int = 0) -> RawLabel:
    return (operation, model, "", "", "", False, False, created), None, 0, None


def _model(columns: Any) -> tuple[Any, bool]:
    """Return (class of the first mapped thing selected, whether it is one of its columns)."""
    for column in columns:
        annotations = column._annotations
        mapper = annotations.get("parentmapper")
        if mapper is not None:
            return mapper.class_, "proxy_key" in annotations
    return "", True


def _selected(operation: str, statement: Any, created: int = 0) -> RawLabel:
    """Return the label of a SELECT of mapped classes; ``statement`` may be a legacy Query."""
    model, columns = _model(statement._raw_columns)
    if columns and operation == "iterate":
        operation = "values"
    criteria = statement._where_criteria
    for criterion in criteria:
        mark = criterion.__dict__.get(MARK)
        if mark is not None:
            relation, owner, attribute, ordered, parent, parent_query = mark
            narrowed = (
                operation != "iterate"
                or len(criteria) > 1
                or (bool(statement._order_by_clauses) and not ordered)
                or statement._limit_clause is not None
                or statement._offset_clause is not None
                or bool(statement._group_by_clauses)
            )
            static = (operation, model, relation, owner, attribute, narrowed, False, created)
            return static, parent, 1, parent_query
    return _plain(operation, model, created)


class Executed:
    """``Session.execute`` and its like: the statement that the user gave.

    ``Session._execute_internal``, where all of them meet, has thirty locals: reading them costs
    as much as the whole walk.
    """

    final = False
    made = False

    def read(self, frame: FrameType) -> RawLabel:
        """See ``LabelSource``."""
        names = frame.f_locals
        statement = names["statement"]
        statement = getattr(statement, "_resolved", statement)
        kind = statement.__visit_name__
        if statement._propagate_attrs.get("compile_state_plugin") != "orm":
            return _plain("raw" if kind.startswith("text") else "core")
        if kind == "select":
            return _selected("iterate", statement)
        if kind in ("update", "delete", "insert"):
            mapper = statement.table._annotations.get("parentmapper")
            if kind == "insert":
                kind = "bulk_create" if isinstance(names.get("params"), list) else "create"
            return _plain(kind, "" if mapper is None else mapper.class_)
        if kind == "orm_from_statement":
            element = statement.element.__visit_name__
            model, _ = _model(statement._raw_columns)
            return _plain("raw" if element.startswith("text") else "iterate", model)
        selects = getattr(statement, "selects", None)  # of a UNION
        model, columns = _model(selects[0]._raw_columns) if selects else ("", False)
        return _plain("values" if columns else "iterate", model)


class Queried:
    """A method of the legacy ``Query`` that evaluates it."""

    final = False

    def __init__(self, operation: str) -> None:
        """Name the verb of the method."""
        self.operation = operation

    def read(self, frame: FrameType) -> RawLabel:
        """See ``LabelSource``."""
        query = frame.f_locals["self"]
        created = query.__dict__.get(MARK, 0)
        statement = query._statement
        if statement is not None:
            operation = "raw" if statement.__visit_name__.startswith("text") else self.operation
            return _plain(operation, _model(query._raw_columns)[0], created)
        return _selected(self.operation, query, created)


class Verb:
    """A session's method whose name says it all; ``name`` is its local that tells the class."""

    made = False

    def __init__(self, operation: str, name: str = "", *, final: bool = False) -> None:
        """Name the verb and where the class stands."""
        self.operation = operation
        self.name = name
        self.final = final

    def read(self, frame: FrameType) -> RawLabel:
        """See ``LabelSource``."""
        if not self.name:
            return _plain(self.operation)
        given = frame.f_locals[self.name]
        if isinstance(given, type):
            return _plain(self.operation, given)
        if "_sa_instance_state" in getattr(given, "__dict__", ()):
            return _plain(self.operation, type(given))
        mapper = getattr(given, "mapper", None)
        return _plain(self.operation, getattr(mapper, "class_", ""))


class Bulk:
    """``Session._bulk_save_mappings``."""

    final = False

    def read(self, frame: FrameType) -> RawLabel:
        """See ``LabelSource``."""
        names = frame.f_locals
        operation = "bulk_update" if names["isupdate"] else "bulk_create"
        return _plain(operation, names["mapper"].class_)


class Cored:
    """A Core statement, or text, on its way to a connection; ``name`` is the local that has it.

    ``ClauseElement._execute_on_connection`` has a third of the locals that
    ``Connection._execute_clauseelement`` has, and reading costs by the local; functions and
    lambdas come by the latter alone.
    """

    final = False
    made = False

    def __init__(self, name: str) -> None:
        """Name the local."""
        self.name = name

    def read(self, frame: FrameType) -> RawLabel:
        """See ``LabelSource``."""
        kind = frame.f_locals[self.name].__visit_name__
        return _plain("raw" if kind.startswith("text") else "core")


def _first(owner: Any, *names: str) -> Any:
    """Return the first attribute of ``names`` that ``owner`` has; 2.1 made many private."""
    for name in names:
        found = getattr(owner, name, None)
        if found is not None:
            return found
    return None


def _method(owner: Any, name: str) -> Callable[..., Any] | None:
    function: Callable[..., Any] | None = getattr(owner, name, None)
    return None if function is None else unwrap(function)


def sources() -> Iterator[tuple[str, Callable[..., Any] | None, Any]]:
    """Yield (name, function or None where this SQLAlchemy has none, its label source)."""
    lazy = _first(strategies, "LazyLoader", "_LazyLoader")
    immediate = _first(strategies, "ImmediateLoader", "_ImmediateLoader")
    select_in = _first(strategies, "SelectInLoader", "_SelectInLoader")
    subquery = _first(strategies, "SubqueryLoader", "_SubqueryLoader")
    columns = _first(loading, "load_scalar_attributes", "_load_scalar_attributes")
    attribute = _first(attributes, "AttributeImpl", "_AttributeImpl")
    yield "load_scalar_attributes", columns, LazyColumns()
    owners: list[tuple[Any, str, Any]] = [
        (attribute, "_fire_loader_callables", AttributeRead()),
        (lazy, "_load_for_state", LazyRelation(final=False)),
        (immediate, "_load_for_path", LazyRelation(final=True)),
        (select_in, "_load_for_path", SelectIn()),
        (getattr(subquery, "_SubqCollections", None), "_load", Subquery()),
        (Session, "execute", Executed()),
        (Session, "scalars", Executed()),
        (Session, "scalar", Executed()),
        (Session, "get", Verb("get", "entity")),
        (Session, "refresh", Verb("refresh", "instance")),
        (Session, "_merge", Verb("merge", "state")),
        (Session, "_flush", Verb("flush")),
        (Session, "_autoflush", Verb("autoflush", final=True)),
        (Session, "_bulk_save_mappings", Bulk()),
        (Query, "_iter", Queried("iterate")),
        (Query, "first", Queried("first")),
        (Query, "one", Queried("get")),
        (Query, "one_or_none", Queried("get")),
        (Query, "get", Queried("get")),
        (Query, "scalar", Queried("iterate")),
        (Query, "count", Queried("count")),
        (Query, "update", Queried("update")),
        (Query, "delete", Queried("delete")),
        (Connection, "_execute_clauseelement", Cored("elem")),
        (ClauseElement, "_execute_on_connection", Cored("self")),
        (Connection, "_execute_default", Verb("core")),
        (Connection, "_execute_ddl", Verb("core")),
        (Connection, "exec_driver_sql", Verb("cursor")),
    ]
    for owner, name, source in owners:
        yield f"{getattr(owner, '__name__', owner)}.{name}", _method(owner, name), source
