"""What the detectors that judge schemas share: the tables of recorded traffic, and their models."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from queryscope.detectors._loops import in_migration
from queryscope.plans.study import ANY, Sent
from queryscope.trace.codes import is_user
from queryscope.trace.definitions import attribute_of, definition

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from queryscope.detectors.planned import Planned
    from queryscope.plans.declared import Model
    from queryscope.plans.schema import Schema, Table
    from queryscope.plans.study import Studied
    from queryscope.trace.events import Frame


class Used(NamedTuple):
    """A table that recorded statements read or write.

    Attributes:
        database: The alias or engine name.
        schema: The tables of that database.
        table: The table.
        statements: The statements about it that were looked at, by shape; no INSERT is.
        writes: Each time that a statement wrote it.
        example: One statement about it: a write, if there was any.
    """

    database: str
    schema: Schema
    table: Table
    statements: tuple[Studied, ...]
    writes: tuple[Sent, ...]
    example: Sent


def used_tables(planned: Planned) -> Iterator[Used]:
    """Yield the tables that recorded statements are about, migrations left aside."""
    study = planned.study
    sent: dict[tuple[str, str], list[Sent]] = defaultdict(list)
    for one in _sent(planned):
        for name in sorted(one.query.shape.reads | one.query.shape.writes):
            sent[one.query.database, name].append(one)
    looked_at: dict[tuple[str, str], list[Studied]] = defaultdict(list)
    for studied in study.statements:
        for name in studied.query.shape.reads | studied.query.shape.writes:
            looked_at[studied.query.database, name].append(studied)
    for (database, name), found in sent.items():
        schema = study.schemas.get(database)
        table = schema.table(name) if schema is not None else None
        if schema is not None and table is not None:
            writes = tuple(one for one in found if name in one.query.shape.writes)
            yield Used(
                database=database,
                schema=schema,
                table=table,
                statements=tuple(looked_at[database, name]),
                writes=writes,
                example=(writes or found)[0],
            )


def _sent(planned: Planned) -> Iterator[Sent]:
    for trace in planned.study.traces:
        for part in trace.subtree():
            for query in part.queries:
                if query.error is None and not in_migration(query.origin.steps):
                    yield Sent(trace, part, query)


def models_of(planned: Planned, used: Used) -> Sequence[Model]:
    """Return the models whose rows lie in a table."""
    models = planned.study.models
    names = (used.database, ANY) if used.database != ANY else (ANY,)
    return [
        model
        for name in names
        for model in models.get(name, ())
        if model.table.lower() == used.table.name.lower()
        and used.schema.table(model.table, model.schema) is used.table
    ]


def is_users(model: Model) -> bool:
    """Tell whether a model is the user's own, not a library's."""
    return not model.file or is_user(model.module, model.file)


def place_of(model: Model, attribute: str = "") -> Frame | None:
    """Return where a model, or an attribute of it, is defined; None where that is not known."""
    frame = definition(model.file, model.scope) if model.file else None
    if frame is None:
        return None
    frame = frame._replace(module=model.module)
    return attribute_of(frame, attribute) if attribute else frame
