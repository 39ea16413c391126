"""The words of advice that several detectors share: where to mend, and what to write there."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from queryscope.detectors.finding import Mend
from queryscope.trace.codes import is_own
from queryscope.trace.definitions import is_class, queryset_of, shows
from queryscope.trace.endpoint import endpoint_of
from queryscope.trace.events import Frame, TemplateNode
from queryscope.trace.expressions import expression_at, methods_at, only_mention

if TYPE_CHECKING:
    from collections.abc import Sequence

    from queryscope.trace.events import Load, Query, Trace
    from queryscope.trace.repeat import Repeat
    from queryscope.trace.repeats import Repeats

TO_ONE = frozenset({"forward", "one_to_one", "reverse_one_to_one"})
"""Relations that lead to one row at most: a join brings it along without repeating the parent."""

_DJANGO_VERBS = frozenset(
    {
        "prefetch",
        "in_bulk",
        "m2m_write",
        "get_or_create",
        "update_or_create",
        "exists",
        "aggregate",
        "orm",
        "last",
    }
)
_SQLALCHEMY_VERBS = frozenset({"select_in", "subquery", "flush", "autoflush", "merge", "core"})
_SQL_VERBS = frozenset({"raw", "core", "cursor", ""})
_BY_KEY = frozenset({"get", "refresh", "get_or_create", "update_or_create"})
_EXPLICIT = frozenset({"iterate", "values", "first", "last", "get"})
"""Verbs of a select that the user wrote for a relationship; an attribute read is ``lazy``."""
_BUILDERS = frozenset(
    {
        "all",
        "exclude",
        "filter",
        "first",
        "get",
        "last",
        "only",
        "defer",
        "options",
        "order_by",
        "prefetch_related",
        "query",
        "raw",
        "select",
        "select_related",
        "using",
        "where",
    }
)
"""Methods that make a queryset or a select: an expression with one of them is the place."""
_JOIN = re.compile(
    r'JOIN\s+["`\[]?(?P<table>\w+)["`\]]?(?:\s+(?:AS\s+)?["`]?(?P<alias>(?!ON\b)\w+)["`]?)?'
    r'\s+ON\s+\(?["`\[]?(?P<a>\w+)["`\]]?\.["`\[]?(?P<x>\w+)["`\]]?'
    r'\s*=\s*["`\[]?(?P<b>\w+)["`\]]?\.["`\[]?(?P<y>\w+)["`\]]?',
    re.IGNORECASE,
)


def framework_of(trace: Trace, query: Query) -> str:
    """Return ``django``, ``sqlalchemy`` or ``""``: whose words the advice has to use.

    The session knows; without one the verb or the way the class is named may tell.
    """
    if query.session is not None and 0 <= query.session < len(trace.sessions):
        return trace.sessions[query.session].framework
    if query.operation in _SQLALCHEMY_VERBS:
        return "sqlalchemy"
    name = query.model or (query.load.owner if query.load is not None else "")
    if query.operation in _DJANGO_VERBS or re.match(r"[a-z_]\w*\.\w+$", name):
        return "django"
    return "sqlalchemy" if name else ""


def short(model: str) -> str:
    """Return the class without its application: ``Book`` of ``library.Book``."""
    return model.rpartition(".")[2]


def own_step(steps: Sequence[Frame | TemplateNode | None]) -> Frame | TemplateNode | None:
    """Return the first of some steps that is the user's to edit; a library's template is not."""
    return next((step for step in steps if step is not None and is_own(step)), None)


def position_of(query: Query) -> Frame | TemplateNode | None:
    """Return where a queryset or select was written: where it was made, else evaluated.

    None where only library code made and evaluated it.
    """
    tag: TemplateNode | None = None
    for step in query.origin.steps:
        if isinstance(step, TemplateNode):
            tag = step if tag is None and is_own(step) else tag
        elif tag is not None and step == query.created:
            return tag  # the line renders the template, whose tag made the queryset
    frame = query.created or query.origin.frame
    if frame is None:
        return tag
    found = expression_at(frame)
    if query.created is None and query.model and not methods_at(frame) & _BUILDERS:
        # Light recording, and the evaluation is a call of render(), of a serializer or such: the
        # queryset was made further out.
        frames = (step for step in query.origin.steps if isinstance(step, Frame))
        mentions = (only_mention(step, short(query.model)) for step in frames)
        found = next((mention for mention in mentions if mention is not None), found)
    return found


def eager_load(trace: Trace, repeats: Repeats, repeat: Repeat) -> Mend:
    """Return how to load a relation together with the rows that it was loaded for."""
    first = repeat.queries[0]
    loads, root = repeats.hops(first)
    owner = short(loads[0].owner)
    prefix: list[str] | None = []
    if root is not None and root.model and root.model != loads[0].owner:
        prefix = joined_path(repeats, root, loads[0].owner)
    at = position_of(root) if root is not None else None
    framework = framework_of(trace, first)
    selected = short(root.model) if root is not None and root.model else owner
    if framework == "django":
        write = _django_loader(loads, prefix or [], first if repeat.narrowed else None)
        how = f"Add it to the queryset of {selected}"
    elif framework == "sqlalchemy" and first.operation in _EXPLICIT:
        related = short(first.model) or loads[-1].attribute
        write = f"select({related}).where({related}.key.in_(keys))"
        how = (
            f"Ask once for all rows of {short(loads[-1].owner)}; a relationship that is neither "
            f"dynamic nor write-only can be loaded with selectinload({loads[-1].attribute})"
        )
    elif framework == "sqlalchemy":
        write = _sqlalchemy_loader(loads, prefix or [], root)
        how = f"Pass it to .options() where the rows of {selected} are selected"
    else:
        write = f"{repeat.relation} together with its rows"
        how = f"Load it where the rows of {owner} are loaded"
    if root is None:
        how += ": which statement loaded them is not known"
    elif prefix is None:
        how += (
            f"; the rows of {owner} came along with {short(root.model)}: put the path from "
            f"{short(root.model)} to {owner} in front"
        )
    if framework == "django":
        at, words = placed(trace, at, selected, write)
        how += words
    if repeats.is_tree(repeat):
        how += "; a level for each depth, or read the whole tree with one recursive query"
    return Mend(at, write, how + ".")


def placed(trace: Trace, at: Frame | TemplateNode | None, model: str, write: str) -> Placed:
    """Return where a queryset of Django's is to be edited, and the words that say so.

    Where no line of the user's made it, the class that answers the request has what it is made
    with. A function has not: its own querysets have lines.

    Args:
        trace: The Trace.
        at: The line that made the queryset, if known.
        model: The class whose rows it selects.
        write: What is to be written.
    """
    if isinstance(at, Frame) or trace.kind != "request":
        return Placed(at, "")
    endpoint = endpoint_of(trace)
    if at is not None and not (endpoint is not None and shows(endpoint, short(model))):
        return Placed(at, "")
    view = trace.attributes.get("view", "")
    attribute = "queryset or "
    if view.startswith("django.contrib.admin."):
        attribute = "list_select_related or " if write.startswith(".select_related") else ""
        view = "the admin class"
    if endpoint is None or not is_class(endpoint):
        return Placed(
            None,
            f"; which line made it is not known: see {attribute}get_queryset() of "
            f"{view or 'the view'}, or of a form field",
        )
    made = f"; library code made it for {endpoint.function}"
    found = queryset_of(endpoint, short(model))
    if found is not None:
        return Placed(found, made)
    return Placed(endpoint, f"{made}: see {attribute}get_queryset() there, or a form field")


class Placed(NamedTuple):
    """Where to edit, and the words to add to a sentence about it."""

    at: Frame | TemplateNode | None
    words: str


def _django_loader(loads: tuple[Load, ...], prefix: list[str], narrowed: Query | None) -> str:
    path = "__".join([*prefix, *(load.attribute for load in loads)])
    if narrowed is not None:
        model = short(narrowed.model) or "Related"
        return (
            f'.prefetch_related(Prefetch("{path}", queryset={model}.objects.filter(...), '
            f'to_attr="wanted_{loads[-1].attribute}"))'
        )
    joins = all(load.relation in TO_ONE for load in loads)
    return f'.{"select_related" if joins else "prefetch_related"}("{path}")'


def _sqlalchemy_loader(loads: tuple[Load, ...], prefix: list[str], root: Query | None) -> str:
    parts = []
    if prefix and root is not None:
        parts = [f"joinedload({short(root.model)}.{prefix[0]})"]
    for load in loads:
        name = "joinedload" if load.relation in TO_ONE else "selectinload"
        parts.append(f"{name}({short(load.owner)}.{load.attribute})")
    return ".".join(parts)


def joined_path(repeats: Repeats, root: Query, owner: str) -> list[str] | None:
    """Return the attributes that lead from the rows of ``root`` to rows of ``owner`` in it.

    The rows came along by a join. The foreign keys of the joins tell the attributes where they
    are named as both frameworks' conventions have it; otherwise another load of the Trace may.

    Returns:
        Attribute names, outermost first; None where the way is not clear.
    """
    known = {
        query.load.attribute
        for query in repeats.queries
        if query.load is not None and query.load.owner == root.model and query.model == owner
    }
    if len(known) == 1:
        return [known.pop()]
    joins: dict[str, tuple[str, str, str]] = {}
    for match in _JOIN.finditer(root.statement):
        alias = match["alias"] or match["table"]
        ours = match["a"].lower() == alias.lower()
        other, key = (match["b"], match["y"]) if ours else (match["a"], match["x"])
        joins[alias.lower()] = (match["table"].lower(), other.lower(), key)
    wanted = owner.replace(".", "_").lower()
    name = short(owner).lower()
    matches = [
        alias
        for alias, (table, _, key) in joins.items()
        if table in (wanted, name, f"{name}s", f"{name}es", f"{name[:-1]}ies")
        or (len(joins) == 1 and key.lower() == f"{name}_id")
    ]
    if len(matches) != 1:
        return None
    path: list[str] = []
    alias = matches[0]
    while alias in joins and len(path) < len(joins):
        _, alias, key = joins[alias]
        if not key.endswith("_id"):
            return None  # joined from the other side: the attribute's name is free
        path.insert(0, key.removesuffix("_id"))
    return path


def batch(trace: Trace, query: Query, model: str) -> str:
    """Return what asks for many keys at once where ``query`` asks for one.

    Args:
        trace: The Trace.
        query: A look-up of one key.
        model: The class, without its application, or the table that it looks in.
    """
    framework = framework_of(trace, query)
    if query.operation in _SQL_VERBS or not framework:
        return "WHERE key IN (...)"
    if framework == "django":
        if query.operation in _BY_KEY:
            return f"{model}.objects.in_bulk(keys)"
        return f"{model}.objects.filter(key__in=keys)"
    return f"select({model}).where({model}.key.in_(keys))"


def columns_mend(trace: Trace, repeats: Repeats, repeat: Repeat) -> Mend:
    """Return how to get columns with their rows that were fetched row by row."""
    load = repeat.load
    assert load is not None  # noqa: S101 - the row of the table that calls this asks for it
    first = repeat.queries[0]
    owner, names = short(load.owner), load.attribute
    parent = repeats.parent(repeat)
    at = position_of(parent.query) if parent is not None else None
    if load.relation == "expired":
        if first.session is not None and 0 <= first.session < len(trace.sessions):
            at = trace.sessions[first.session].opener.first
        return Mend(
            at,
            "expire_on_commit=False",
            f"Give it to the session, or select the rows of {owner} again in one statement after "
            "the commit.",
        )
    if framework_of(trace, first) == "sqlalchemy":
        if parent is not None and parent.query.model != load.owner and _of_subclass(parent.query):
            base = short(parent.query.model)
            write = f"selectin_polymorphic({base}, [{owner}])"
            return Mend(at, write, f"Pass it to .options() where the rows of {base} are selected.")
        columns = [name.strip() for name in names.split(",") if name.strip()]
        write = ", ".join(f"undefer({owner}.{name})" for name in columns) or f"undefer({owner}.*)"
        return Mend(at, write, f"Pass it to .options() where the rows of {owner} are selected.")
    methods = methods_at(at) if isinstance(at, Frame) else frozenset()
    if "only" in methods and "defer" not in methods:
        return Mend(at, f'.only(..., "{names}")', f'Add "{names}" to the columns of only().')
    if "defer" in methods and "only" not in methods:
        return Mend(at, ".defer(...)", f'Take "{names}" out of defer().')
    return Mend(
        at, f'.only(..., "{names}")', f'Add "{names}" to only(), or take it out of defer().'
    )


def _of_subclass(query: Query) -> bool:
    """Tell whether rows of another class came as rows of a subclass, not by a join."""
    return bool(query.model) and not query.shape.joins
