"""The results as tables: for the terminal, and as a page of the documentation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import peers
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from pairs import Middle

LIGHT_RATIO, FULL_RATIO = 1.06, 1.10
"""A recorded request of 100 queries by the bare one, CPU time."""
FIXED_US = 300.0
"""Microseconds that recording adds to a request without queries, detection included."""
LINEAR = 1.1
"""Cost a query at 1,000 queries by the cost at 100."""
IDLE = 1.005
"""A request with the hooks in and no Recorder, by one without them."""
PEAK_BYTES = 512.0
"""Peak memory a query."""
AT = 100
AFTER = ", after recording other requests"
"""Ends the names of the processes that are not idle any more."""


class Target(NamedTuple):
    """A number that was aimed at, and whether it was reached; None: the noise does not tell."""

    what: str
    aim: str
    measured: str
    met: bool | None


class Rows(NamedTuple):
    """A table."""

    title: str
    note: str
    head: tuple[str, ...]
    rows: list[tuple[str, ...]]


def _at(entry: dict[str, Any], queries: int) -> dict[str, Any]:
    found: dict[str, Any] = next(row for row in entry["sizes"] if row["queries"] == queries)
    return found


def per_query(entry: dict[str, Any], queries: int) -> float:
    """Return the microseconds that a query adds, without what the request adds by itself."""
    fixed = _at(entry, 0)["added_us"].value
    return float((_at(entry, queries)["added_us"].value - fixed) / queries)


def _below(found: Middle, limit: float) -> bool | None:
    """Tell whether a median is below a limit; None when the limit lies in its interval."""
    if found.high <= limit:
        return True
    return None if found.low <= limit else False


def targets(result: dict[str, Any]) -> list[Target]:
    """Return what was aimed at beside what was measured."""
    found = []
    for name, entry in result["ours"].items():
        limit = LIGHT_RATIO if name.endswith("light") else FULL_RATIO
        cpu = _at(entry, AT)["cpu"]
        found.append(
            Target(
                f"{name}: request of 100 queries", f"<= {limit}", cpu.show(3), _below(cpu, limit)
            )
        )
    for name, entry in result["ours"].items():
        fixed = _at(entry, 0)["added_us"].value + _at(entry, 0)["off_us"].value
        found.append(
            Target(
                f"{name}: fixed cost of a request, detection included"
                + (", and a commit of the store" if name.endswith("full") else ""),
                f"<= {FIXED_US / 1000} ms",
                f"{fixed / 1000:.2f} ms",
                fixed <= FIXED_US,
            )
        )
    for name, entry in result["ours"].items():
        top = entry["sizes"][-1]["queries"]
        if top > AT:
            growth = per_query(entry, top) / per_query(entry, AT)
            found.append(
                Target(
                    f"{name}: cost a query, {top:,} by 100",
                    f"<= {LINEAR}",
                    f"{growth:.2f}",
                    growth <= LINEAR,
                )
            )
    for name, entry in result["ours"].items():
        peak = entry["memory"]["request"]
        found.append(
            Target(f"{name}: peak memory a query", "<= 512 B", f"{peak:.0f} B", peak <= PEAK_BYTES)
        )
    for name, found_idle in result["idle"].items():
        if not name.endswith(("noise", AFTER)):
            found.append(
                Target(
                    f"{name}: installed but idle",
                    f"<= {IDLE}",
                    found_idle.show(4),
                    _below(found_idle, IDLE),
                )
            )
    rows = result["peers"]["rows"]
    for peer in peers.PEERS:
        if peer.subject in rows:
            mine = rows[f"{peer.framework}-light"]["query_us"].value
            share = mine / rows[peer.subject]["query_us"].value
            found.append(
                Target(
                    f"{peer.framework}-light: cost a query by that of {peer.subject}",
                    f"<= 1/{1 / peer.share:.0f}",
                    f"1/{1 / share:.1f}",
                    share <= peer.share,
                )
            )
    return found


def tables(result: dict[str, Any]) -> list[Rows]:
    """Return the tables of the results."""
    return [_requests(result), _queries(result), _idle(result), _peers(result)]


def _requests(result: dict[str, Any]) -> Rows:
    rows = []
    for name, entry in result["ours"].items():
        for row in [*entry["sizes"][1:], entry["lazy"]]:
            kind = "lazy loads" if row is entry["lazy"] else "queries"
            rows.append(
                (
                    name,
                    f"{row['queries']:,} {kind}",
                    row["cpu"].show(3),
                    row["wall"].show(3),
                    row["noise"].show(3),
                )
            )
        rows.append(
            (name, "100 queries, no garbage collector", entry["without_gc"].show(3), "", "")
        )
    return Rows(
        "A recorded request by a bare one",
        "Median of the ratios of pairs, with its interval of 95 %. The last column is a bare "
        "request by another bare one: what a ratio of 1 looks like here.",
        ("what", "a request of", "CPU time", "wall time", "noise, CPU time"),
        rows,
    )


def _queries(result: dict[str, Any]) -> Rows:
    rows = []
    for name, entry in result["ours"].items():
        fixed = _at(entry, 0)
        sizes = [row["queries"] for row in entry["sizes"][1:]]
        off = _at(entry, AT)["off_us"].value - fixed["off_us"].value
        rows.append(
            (
                name,
                f"{fixed['added_us'].value:.0f}",
                f"{fixed['off_us'].value:.0f}",
                " / ".join(f"{per_query(entry, size):.1f}" for size in sizes),
                f"{off / AT:.1f}",
                f"{100 * _at(entry, AT)['off_share']:.0f} %",
                f"{entry['memory']['request']:.0f} / {entry['memory']['frozen']:.0f}",
            )
        )
    shown = " / ".join(
        str(row["queries"]) for row in next(iter(result["ours"].values()))["sizes"][1:]
    )
    return Rows(
        "What a request and a query add",
        "Microseconds of CPU time. Off the path is the writer's thread: the Trace is frozen, "
        "judged and kept after the response is closed, here one Trace at a time; under load it "
        "takes them in batches. Its share is of the bare request of 100 queries. Memory is the "
        "peak in bytes, of the request and with the frozen Trace.",
        (
            "what",
            "a request",
            "and off its path",
            f"a query, at {shown}",
            "and off its path",
            "share of CPU off the path",
            "memory a query",
        ),
        rows,
    )


def _idle(result: dict[str, Any]) -> Rows:
    return Rows(
        "Installed but idle",
        "A request of 100 queries without our middleware, by one in a process without queryscope; "
        "median over sets of fresh processes. The noise is one plain process by another. The first "
        "row of each pair never recorded anything; the second did before, and so has the writer's "
        "thread. The pairs of the first table do not contain this cost, since both halves pay it: "
        "the table of the peers does.",
        ("what", "CPU time"),
        [(name, found.show(4)) for name, found in result["idle"].items()],
    )


def _peers(result: dict[str, Any]) -> Rows:
    found = result["peers"]["rows"]
    rows = []
    for name, row in found.items():
        framework = "sqlalchemy" if "sqlalchemy" in name or name == "sqltap" else "django"
        mine = found[f"{framework}-light"]["query_us"].value
        times = row["query_us"].value / mine
        rows.append(
            (
                f"{name} {row['version']}" if "version" in row else f"queryscope, {name}",
                f"{row['ratio'].value:.2f}",
                f"{row['query_us'].value:.1f}",
                f"{row['request_us'].value:.0f}",
                f"{times:.1f}",
            )
        )
    rows += [(name, reason, "", "", "") for name, reason in result["peers"]["missing"].items()]
    return Rows(
        "Beside its peers",
        "A request of 100 queries, each tool in a process of its own beside one without any, so "
        "that what its hooks cost everywhere is in it. What a tool does later, in another thread, "
        "is not in it; what it does before the response is closed, is.",
        ("what", "CPU time by plain", "us a query", "us a request", "by queryscope light"),
        rows,
    )


_MET = {True: "yes", False: "no", None: "undecided"}


def show(result: dict[str, Any], aims: list[Target]) -> None:
    """Print the tables."""
    console = Console()
    for item in tables(result):
        table = Table(*item.head, title=item.title, caption=item.note, caption_justify="left")
        for row in item.rows:
            table.add_row(*row)
        console.print(table)
    table = Table("target", "aim", "measured", "met", title="Targets")
    for aim in aims:
        table.add_row(aim.what, aim.aim, aim.measured, _MET[aim.met])
    console.print(table)


def markdown(result: dict[str, Any], aims: list[Target]) -> str:
    """Return the page."""
    machine = result["machine"]
    lines = [
        "# Overhead",
        "",
        "Written by `make bench-overhead`; do not edit.",
        "",
        (
            f"Measured on {result['date']} with Python {machine['python']}, Django "
            f"{machine['django']} and SQLAlchemy {machine['sqlalchemy']}, on a "
            f"{machine['system']} machine ({machine['architecture']}) with {machine['cores']} "
            "cores that did other work too. Each query reads one row by its primary key from an "
            "SQLite file. Ratios travel between machines, microseconds do not; neither is a "
            "promise. A query to a server costs more by itself than one to a file, and the ratio "
            "is the smaller for it."
        ),
        "",
    ]
    for item in tables(result):
        lines += [f"## {item.title}", "", item.note, "", *_rows(item.head, item.rows), ""]
    lines += [
        "## Targets",
        "",
        "Undecided: the aim lies within the interval of what was measured.",
        "",
    ]
    lines += _rows(
        ("target", "aim", "measured", "met"),
        [(aim.what, aim.aim, aim.measured, _MET[aim.met]) for aim in aims],
    )
    return "\n".join([*lines, ""])


def _rows(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> list[str]:
    return [
        f"| {' | '.join(head)} |",
        f"|{' --- |' * len(head)}",
        *(f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in rows),
    ]
