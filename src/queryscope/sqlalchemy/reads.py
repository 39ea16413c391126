"""Sees which columns and relationships of loaded instances are read, in full recording.

Nothing is added to instances: SQLAlchemy numbers every load and leaves the number on each instance
(``InstanceState.runid``), and an attribute that is read is noted for that number. The ORM's own
work (flush, history, merge, loaders) reads past the attributes.
"""

from __future__ import annotations

from contextlib import suppress
from functools import wraps
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakKeyDictionary, WeakSet

from sqlalchemy.orm import RelationshipProperty, attributes, loading
from sqlalchemy.orm.attributes import InstrumentedAttribute
from sqlalchemy.orm.instrumentation import ClassManager
from sqlalchemy.orm.state import InstanceState
from sqlalchemy.orm.unitofwork import UOWTransaction

from queryscope.sqlalchemy.pools import MARK
from queryscope.trace import guard
from queryscope.trace.reads import (
    MAX_DISTINCT,
    MAX_READS,
    SAMPLED_ROWS,
    USED,
    Reads,
    Watched,
    next_watched,
)
from queryscope.trace.scope import recording

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from queryscope.trace.patches import Patches

_STATE = "_sa_instance_state"
MAX_SAMPLES = 16
"""Instances of one load by which it is told whether any is still there."""


class Touched(set[Any]):
    """The attributes that were read of the instances of one load."""

    __slots__ = ("later", "uid", "unseen")

    def __init__(self, uid: int) -> None:
        """Start with none."""
        super().__init__()
        self.uid = uid
        self.unseen = False
        # Loads that gave the same instances further columns, and took over their number: what is
        # read since then is read of this load, too.
        self.later: list[Touched] = []

    def whole(self) -> tuple[set[Any], bool]:
        """Return all that was read, also since the loads that followed, and whether unseen."""
        found: set[Any] = set()
        unseen = False
        known: set[int] = set()
        waiting = [self]
        while waiting:
            one = waiting.pop()
            if id(one) not in known:
                known.add(id(one))
                found |= one.copy()
                unseen = unseen or one.unseen
                waiting += one.later
        return found, unseen


class _Runs(dict[Any, "Touched"]):
    """What was read, by the number of the load; as long as its Recorder is there."""

    def __missing__(self, run: Any) -> set[Any]:
        return set()  # for what nobody asks about: to look for it first costs each read more


_runs = _Runs()
_running = _runs.get
_armed: WeakSet[Any] = WeakSet()
"""Class managers whose next instance is to be watched."""
_columns: WeakKeyDictionary[Any, dict[str, bool]] = WeakKeyDictionary()
"""Columns of each mapper by attribute, and whether each is a key."""


class Run:
    """One load of one statement: what was read of its instances, by class and path.

    Args:
        run: The number of the load.
        uid: The statement.
    """

    __slots__ = (
        "before", "linked", "mixed", "number", "records", "samples", "touched", "uid", "unlinked",
    )  # fmt: skip

    def __init__(self, run: int, uid: int) -> None:
        """Start with no instance."""
        self.number = run
        self.uid = uid
        self.touched = _runs[run] = Touched(uid)
        self.before = 0
        # Of rows that come by a join: pairs of parent and child, each once, and the
        # children whose parent is not known yet.
        self.linked: dict[tuple[Any, str], set[tuple[int, int]]] = {}
        self.unlinked: dict[str, list[tuple[tuple[Any, str], int]]] = {}
        self.records: dict[tuple[Any, str], Reads] = {}
        self.samples: list[Callable[[], Any]] = []
        self.mixed = False

    def __del__(self) -> None:
        _runs.pop(self.number, None)

    def record(self, model: Any, path: str) -> Reads:
        """Return the record of a class and path, made when it is new."""
        found = self.records.get((model, path))
        if found is None:
            found = self.records[model, path] = Reads(self.uid, model, path)
            found.before = 0 if path else self.before
        return found

    def link(self, instance: Any, path: str) -> None:
        """Note an instance of a row, made after those that the same row has for it."""
        key = id(instance)
        for kind, child in self.unlinked.pop(path, ()):
            pairs = self.linked.setdefault(kind, set())
            if len(pairs) < MAX_DISTINCT:
                pairs.add((key, child))
        if path:
            outer = path.rpartition(".")[0]
            self.unlinked.setdefault(outer, []).append(((type(instance), path), key))

    def reads(self) -> Iterator[tuple[Reads, bool]]:
        """Yield each record and whether its instances are alive; see ``trace.reads.frozen``."""
        touched, unseen = self.touched.whole()
        alive = any(instance() is not None for instance in self.samples)
        for (model, path), reads in self.records.items():
            pairs = self.linked.get((model, path))
            if pairs is not None and len(pairs) < MAX_DISTINCT:
                reads.rows = len(pairs)
            elif not path and reads.seen is not None:
                reads.rows = len(reads.seen)
            reads.unseen = reads.unseen or self.mixed or unseen
            reads.update(impl.key for impl in touched if issubclass(model, impl.class_))
            yield reads, alive


class _WatchedInstance(Watched):
    """The ``__dict__`` of a mapped instance."""

    __slots__ = ()
    own = globals()

    def _seen(self) -> None:
        state = dict.get(self, _STATE)
        run: Any = getattr(state, "runid", None)
        touched = _running(run)
        if touched is not None:
            touched.unseen = True


def install(patches: Patches) -> None:
    """Track every mapped class."""
    patches.replace(InstrumentedAttribute, "__get__", _getting)
    patches.replace(loading, "_instance_processor", _processing)
    patches.replace(InstanceState, "__getstate__", _pickling)
    patches.replace(InstrumentedAttribute, "__set__", _setting)
    collections = getattr(attributes, "_CollectionAttributeImpl", None)  # of 2.1
    if collections is None:
        collections = attributes.CollectionAttributeImpl
    patches.replace(collections, "fire_append_event", _appending)
    patches.replace(UOWTransaction, "register_object", _flushing)
    patches.later(_forget)


def _forget() -> None:
    for manager in list(_armed):
        vars(manager).pop("new_instance", None)
    _armed.clear()
    _runs.clear()
    _columns.clear()


def _getting(original: Callable[..., Any]) -> Callable[..., Any]:
    # As SQLAlchemy's own, with the note where the value is there. No guard: every line runs for
    # every value that is read. To ask whether the attribute is there costs less than to add it
    # again.
    runs = _runs

    @wraps(original)
    def __get__(self: Any, instance: Any, owner: Any = None) -> Any:
        if instance is None:
            return self
        if not runs:
            return original(self, instance, owner)
        try:
            values = instance.__dict__
            value = values[self.key]
            impl = self.impl
            touched = runs[values[_STATE].runid]
            if impl not in touched:
                touched.add(impl)
            if impl.supports_population:
                return value
        except (AttributeError, KeyError):
            pass
        value = original(self, instance, owner)
        with suppress(AttributeError, KeyError):
            # It may have been loaded just now, by another load than the rest.
            runs[instance.__dict__[_STATE].runid].add(self.impl)
        return value

    return __get__


def _pickling(original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    def __getstate__(self: Any) -> Any:
        touched = _running(self.__dict__.get("runid"))
        if touched is not None:
            touched.unseen = True
        return original(self)

    return __getstate__


# -- rows that are used without being read ---------------------------------------------------


class _Used(NamedTuple):
    """Stands for an attribute where a whole row of a class was used."""

    key: str
    class_: Any


def _note_used(state: Any) -> None:
    """Note that a row was written, deleted or put into a relationship."""
    touched = _running(state.runid)
    if touched is not None:
        touched.add(_Used(USED, state.class_))


def _setting(original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    def __set__(self: Any, instance: Any, value: Any) -> None:
        original(self, instance, value)
        if _runs:
            try:
                _note_used(instance.__dict__[_STATE])
                if hasattr(type(value), "__mapper__"):
                    _note_used(value.__dict__[_STATE])
            except (AttributeError, KeyError):
                pass  # of a class with other instrumentation than SQLAlchemy's own

    return __set__


def _appending(original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    def fire_append_event(
        self: Any, state: Any, dict_: Any, value: Any, *args: Any, **kwargs: Any
    ) -> Any:
        if _runs and value is not None:
            with suppress(AttributeError, KeyError):
                _note_used(value.__dict__[_STATE])
        return original(self, state, dict_, value, *args, **kwargs)

    return fire_append_event


def _flushing(original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    def register_object(self: Any, state: Any, *args: Any, **kwargs: Any) -> Any:
        if _runs:
            _note_used(state)
        return original(self, state, *args, **kwargs)

    return register_object


# -- the instances of one load ---------------------------------------------------------------


def _processing(original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap ``_instance_processor``, which makes what turns rows into instances of one mapper."""

    @wraps(original)
    def _instance_processor(
        query_entity: Any, mapper: Any, context: Any, result: Any, path: Any, *args: Any,
        **kwargs: Any,
    ) -> Any:  # fmt: skip
        process = original(query_entity, mapper, context, result, path, *args, **kwargs)
        recorder = recording()
        if recorder is None or recorder.reads is None:
            return process
        try:
            mark = getattr(getattr(result, "context", None), MARK, None)
            if mark is None:
                return process
            run = _run_of(recorder, context, mark[1])
            if run is None:
                return process
            state = kwargs.get("refresh_state")
            earlier = None if state is None else _running(state.runid)
            if earlier is not None and earlier is not run.touched:
                if kwargs.get("only_load_props") is not None:
                    earlier.later.append(run.touched)
                else:
                    run.before = earlier.uid
            several = bool(getattr(context.compile_state, "multi_row_eager_loaders", False))
            return _noting(process, run, mapper, _path_of(path), several=several)
        except Exception as error:  # noqa: BLE001 - the guard passes on what is not ours
            guard.caught(error, "sqlalchemy.reads")
            return process

    return _instance_processor


def _run_of(recorder: Any, context: Any, uid: int) -> Run | None:
    """Return the load that a context is about; None when no more are kept."""
    kept = recorder.reads
    run: int = context.runid
    # The processors of one load are made one after the other, but others may be between them.
    for known in reversed(kept[-8:]):
        if type(known) is Run and known.number == run:
            return known
    if len(kept) >= MAX_READS:
        recorder.drop("reads", 1)
        return None
    made = Run(run, uid)
    # Rows can be locked for their own sake; the statement does not say so on SQLite.
    made.mixed = getattr(context.compile_state, "_for_update_arg", None) is not None
    kept.append(made)
    return made


def _path_of(path: Any) -> str:
    """Return the relationships of a path, joined by dots."""
    return ".".join(step.key for step in path.path if isinstance(step, RelationshipProperty))


def _noting(
    process: Callable[[Any], Any], run: Run, mapper: Any, path: str, *, several: bool
) -> Callable[[Any], Any]:
    """Return a row processor that counts the instances which this load makes.

    Args:
        process: SQLAlchemy's own.
        run: The load.
        mapper: Of the instances.
        path: The relationships that lead to them.
        several: Collections come by a join: an instance has several rows.
    """
    model, number = mapper.class_, run.number
    manager = mapper.class_manager
    columns = _columns_of(mapper)
    reads: Reads | None = None
    last = due = 0
    _arm(manager)

    def _instance(row: Any) -> Any:
        nonlocal due, last, reads
        instance = process(row)
        if several and instance is not None:
            run.link(instance, path)
        # Rows of a subclass come from a processor of its own.
        if type(instance) is not model:
            return instance
        key = id(instance)
        if key == last:
            if path and reads is not None:
                reads.rows += 1  # of another parent, unless collections came along
            return instance
        last = key
        try:
            values = instance.__dict__
            if values[_STATE].runid != number:
                run.mixed = True
                return instance
            if reads is None:
                reads = run.record(model, path)
                if (several or path) and not reads.rows:
                    reads.seen = set()
            reads.rows = count = reads.rows + 1
            seen = reads.seen
            if seen is not None and len(seen) < MAX_DISTINCT:
                seen.add(key)
            if count >= due or type(values) is _WatchedInstance:
                due = sampled(reads, values, count)
        except Exception as error:  # noqa: BLE001 - the guard passes on what is not ours
            guard.caught(error, "sqlalchemy.reads")
        return instance

    def sampled(reads: Reads, values: Any, count: int) -> int:
        """Look closer at a row with a number; return that of the next row to look at."""
        if count <= SAMPLED_ROWS:
            reads.keys = reads.keys | {name for name, key in columns.items() if key}
            reads.measure(values, columns)
        if not count & (count - 1) and len(run.samples) < MAX_SAMPLES:
            run.samples.append(values[_STATE].obj)
        if type(values) is _WatchedInstance:
            reads.watch(values, count)
        if count >= reads.due:
            reads.due = next_watched(count)
        if count + 1 >= reads.due:
            _arm(manager)
        return min(1 << count.bit_length(), max(reads.due - 1, count + 1))

    return _instance


def _columns_of(mapper: Any) -> dict[str, bool]:
    found = _columns.get(mapper)
    if found is None:
        found = {}
        for prop in mapper.column_attrs:
            column = prop.columns[0]
            key = bool(getattr(column, "primary_key", False) or column.foreign_keys)
            found[prop.key] = key
        _columns[mapper] = found
    return found


def _arm(manager: Any) -> None:
    """Let the next instance of a class tell when it is read whole.

    From the start: SQLAlchemy keeps the dict of an instance while it fills it.
    """

    def new_instance(state: Any = None) -> Any:
        vars(manager).pop("new_instance", None)
        instance = ClassManager.new_instance(manager, state)
        values = instance.__dict__
        if type(values) is dict:
            instance.__dict__ = _WatchedInstance(values)
        return instance

    if type(manager) is ClassManager:
        vars(manager)["new_instance"] = new_instance
        _armed.add(manager)
